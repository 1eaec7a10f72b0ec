//! A room's playlist and segments, from the first publisher of a stream to its end and a little beyond.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use log::error;
use synctv_media::{
    hls::{
        container::Codec,
        playlist::{Playlist, PlaylistConfig, SegmentInfo},
        segment::Segment,
    },
    room::RoomName,
};
use tokio::sync::watch;

use super::stored::StoredSegment;

/// What a segmenter fills and the HTTP port reads.
#[derive(Debug)]
pub struct HlsSession {
    room: RoomName,
    listed: Mutex<Listed>,
    listing: watch::Sender<Listing>,
    last_request_ms: AtomicU64,
}

/// What there is to say to someone who asks for the playlist.
#[derive(Debug, Clone)]
pub enum Listing {
    /// There is no segment yet.
    Pending,
    /// The playlist.
    Ready(Arc<Playlists>),
    /// The publisher's codec does not fit the container.
    Unsupported(Codec),
    /// The session is over.
    Gone,
}

/// One playlist under its two addresses.
#[derive(Debug)]
pub struct Playlists {
    /// For `ROOM/index.m3u8`.
    pub index: PlaylistText,
    /// For `ROOM.m3u8`, from where segments are in another directory.
    pub flat: PlaylistText,
}

/// A playlist's text.
#[derive(Debug)]
pub struct PlaylistText {
    /// As it is.
    pub plain: Bytes,
    /// Differs from that of every other text of this address.
    pub tag: String,
    gzip: OnceLock<Bytes>,
}

#[derive(Debug)]
struct Listed {
    playlist: Playlist,
    phase: Phase,
    /// Another session of the room may have been there before.
    follows: bool,
    segments: BTreeMap<u64, Arc<StoredSegment>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    /// The publisher left. It may come back, here or through another node.
    Vacant,
    Ended,
    Gone,
}

/// What a new segment brought about.
#[derive(Debug)]
pub(super) struct Change {
    pub published: Arc<StoredSegment>,
    pub expired: Vec<Arc<StoredSegment>>,
    pub next_sequence: u64,
}

impl HlsSession {
    /// A session without segments. If it `follows` another one of the room, here or elsewhere, its first segment is a
    /// discontinuity.
    pub(super) fn new(room: RoomName, config: PlaylistConfig, follows: bool) -> Self {
        Self {
            room,
            listed: Mutex::new(Listed {
                playlist: Playlist::new(config),
                phase: Phase::Live,
                follows,
                segments: BTreeMap::new(),
            }),
            listing: watch::Sender::new(Listing::Pending),
            last_request_ms: AtomicU64::new(0),
        }
    }

    /// The room.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// What there is to say, as soon as there is something but [`Listing::Pending`], or else after `patience`.
    pub async fn listing(&self, patience: Duration) -> Listing {
        let mut listing = self.listing.subscribe();
        let settled = listing.wait_for(|listing| !matches!(listing, Listing::Pending));
        match tokio::time::timeout(patience, settled).await {
            Ok(Ok(listing)) => listing.clone(),
            Ok(Err(_)) | Err(_) => Listing::Pending,
        }
    }

    /// A segment that has not expired.
    pub fn segment(&self, sequence: u64) -> Option<Arc<StoredSegment>> {
        self.listed().segments.get(&sequence).cloned()
    }

    /// Whether its publisher is here.
    pub fn is_published(&self) -> bool {
        self.listed().phase == Phase::Live
    }

    /// How far the discontinuities are counted.
    pub(super) fn last_discontinuity_sequence(&self) -> u64 {
        self.listed().playlist.last_discontinuity_sequence()
    }

    /// Whether more segments may come.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.listed().phase, Phase::Live | Phase::Vacant)
    }

    /// Someone asked for the playlist.
    pub(super) fn touch(&self, now_ms: u64) {
        self.last_request_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(super) fn is_idle(&self, now_ms: u64, timeout: Duration) -> bool {
        let idle_ms = now_ms.saturating_sub(self.last_request_ms.load(Ordering::Relaxed));
        Duration::from_millis(idle_ms) >= timeout
    }

    /// Lists a segment. `None` if the session is over.
    pub(super) fn publish(&self, segment: Segment, program_date_time_ms: u64, now_ms: u64) -> Option<Change> {
        let mut listed = self.listed();
        let change = listed.add(segment, program_date_time_ms, now_ms);
        self.show(&listed);
        drop(listed);
        change
            .inspect_err(|reason| error!(room = self.room.as_str(), reason = reason.as_str(); "a segment could not be listed"))
            .ok()
    }

    /// The publisher's codec does not fit.
    pub(crate) fn refuse(&self, codec: Codec) {
        self.listing.send_replace(Listing::Unsupported(codec));
    }

    /// The publisher left.
    pub(crate) fn vacate(&self) {
        let mut listed = self.listed();
        if listed.phase == Phase::Live {
            listed.phase = Phase::Vacant;
        }
    }

    /// Another publisher came, whose codecs may fit.
    pub(crate) fn resume(&self) {
        let mut listed = self.listed();
        if listed.phase == Phase::Vacant {
            listed.phase = Phase::Live;
        }
        self.show(&listed);
    }

    /// No more segments will come. Tells whether there is anything to keep.
    pub(crate) fn end(&self) -> bool {
        let mut listed = self.listed();
        if matches!(listed.phase, Phase::Live | Phase::Vacant) {
            listed.phase = Phase::Ended;
            listed.playlist.end();
            self.show(&listed);
        }
        !listed.segments.is_empty()
    }

    /// Whoever waits is told that it is over. Returns the segments.
    pub(super) fn retire(&self) -> Vec<Arc<StoredSegment>> {
        let mut listed = self.listed();
        listed.phase = Phase::Gone;
        self.listing.send_replace(Listing::Gone);
        std::mem::take(&mut listed.segments).into_values().collect()
    }

    fn show(&self, listed: &Listed) {
        let shown = match listed.phase {
            Phase::Gone => Listing::Gone,
            Phase::Live | Phase::Vacant | Phase::Ended => listed.render(&self.room),
        };
        self.listing.send_replace(shown);
    }

    fn listed(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listed {
    fn add(&mut self, segment: Segment, program_date_time_ms: u64, now_ms: u64) -> Result<Change, String> {
        let sequence = self.playlist.next_sequence();
        let info = SegmentInfo {
            sequence,
            duration_ms: segment.duration_ms,
            discontinuity: segment.discontinuity || (self.follows && self.segments.is_empty()),
            independent: segment.independent,
            program_date_time_ms,
            size_bytes: segment.bytes.len(),
        };
        self.playlist.push(info, now_ms).map_err(|error| error.to_string())?;
        let published = Arc::new(StoredSegment::new(sequence, segment.bytes));
        self.segments.insert(sequence, published.clone());
        let expired = self.playlist.expired(now_ms);
        Ok(Change {
            published,
            expired: expired.iter().filter_map(|sequence| self.segments.remove(sequence)).collect(),
            next_sequence: self.playlist.next_sequence(),
        })
    }

    fn render(&self, room: &RoomName) -> Listing {
        let text = |prefix: &str| self.playlist.render(prefix).map(|text| self.tagged(text));
        match (text(""), text(&format!("{room}/"))) {
            (Some(index), Some(flat)) => Listing::Ready(Arc::new(Playlists { index, flat })),
            _ => Listing::Pending,
        }
    }

    /// A playlist changes with each segment and with its end, and sequence numbers are not used twice.
    fn tagged(&self, text: String) -> PlaylistText {
        let ended = if self.phase == Phase::Ended { "e" } else { "" };
        PlaylistText::new(text.into(), format!("{}{ended}", self.playlist.next_sequence()))
    }
}

impl PlaylistText {
    /// A text with its tag.
    pub(crate) fn new(plain: Bytes, tag: String) -> Self {
        Self { plain, tag, gzip: OnceLock::new() }
    }

    /// Whether it says that no more segments will come.
    pub(crate) fn has_end(&self) -> bool {
        self.plain.ends_with(b"#EXT-X-ENDLIST\n")
    }

    /// The text, compressed for the first who asks.
    pub fn gzip(&self) -> &Bytes {
        self.gzip.get_or_init(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            // Writing to a Vec cannot fail.
            let _ = encoder.write_all(&self.plain);
            encoder.finish().unwrap_or_default().into()
        })
    }
}
