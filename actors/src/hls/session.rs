//! A room's playlist and segments, from the first publisher of a stream to its end and a little beyond.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use log::error;
use synctv_media::{
    access::{SignedKey, sign_playlist},
    cluster::numbers::HlsNumbers,
    hls::{
        container::{SegmentFormat, Unsupported},
        playlist::{Playlist, PlaylistConfig, SegmentInfo},
        segment::Segment,
        segment_name::SegmentName,
    },
    stream::room::RoomName,
};
use tokio::sync::watch;

use super::stored_segment::StoredSegment;
use crate::{
    cluster::registry::numbers::NumberReserve,
    gzip::{Effort, gzip},
};

/// What a segmenter fills and the HTTP port reads.
#[derive(Debug)]
pub struct HlsSession {
    room: RoomName,
    state: Mutex<SessionState>,
    playlist_state: watch::Sender<PlaylistState>,
    last_request_ms: AtomicU64,
}

/// What there is to say to someone who asks for the playlist.
#[derive(Debug, Clone)]
pub enum PlaylistState {
    /// There is no segment yet.
    Pending,
    /// The playlist.
    Ready(Arc<Playlists>),
    /// The publisher's codec does not fit the container.
    Unsupported(Unsupported),
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
    /// `None` if it cannot be compressed.
    gzip: OnceLock<Option<Bytes>>,
    /// The text with the newest key that was asked for.
    signed: Mutex<Option<(SignedKey, Arc<PlaylistText>)>>,
}

#[derive(Debug)]
struct SessionState {
    shape: SessionShape,
    /// Not before a publisher came with numbers.
    numbered: Option<Numbered>,
    phase: Phase,
    segments: BTreeMap<u64, Arc<StoredSegment>>,
}

#[derive(Debug)]
struct Numbered {
    playlist: Playlist,
    reserve: NumberReserve,
}

/// What does not depend on the publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SessionShape {
    /// How many segments are listed.
    pub window: usize,
    /// The segmenter's target, in milliseconds.
    pub target_ms: u32,
    /// The form of the segments.
    pub format: &'static SegmentFormat,
    /// Another session of the room may have been there before, here or elsewhere: the first segment is a discontinuity.
    pub follows: bool,
    /// Numbers that earlier sessions of this process have reached.
    pub above: HlsNumbers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    /// The publisher left. It may come back, here or through another node.
    Vacant,
    /// The room was on another node since. Segments stay for those who still want them.
    Past,
    Ended,
    Gone,
}

/// What a new segment brought about.
#[derive(Debug)]
pub(super) struct Change {
    pub published: Arc<StoredSegment>,
    pub expired: Vec<Arc<StoredSegment>>,
}

impl HlsSession {
    /// A session without segments.
    pub(super) fn new(room: RoomName, shape: SessionShape) -> Self {
        Self {
            room,
            state: Mutex::new(SessionState {
                shape,
                numbered: None,
                phase: Phase::Live,
                segments: BTreeMap::new(),
            }),
            playlist_state: watch::Sender::new(PlaylistState::Pending),
            last_request_ms: AtomicU64::new(0),
        }
    }

    /// The room.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// What there is to say, as soon as there is something but [`PlaylistState::Pending`], or else after `patience`.
    pub async fn playlist_state(&self, patience: Duration) -> PlaylistState {
        let mut playlist_state = self.playlist_state.subscribe();
        let settled =
            playlist_state.wait_for(|playlist_state| !matches!(playlist_state, PlaylistState::Pending));
        match tokio::time::timeout(patience, settled).await {
            Ok(Ok(playlist_state)) => playlist_state.clone(),
            Ok(Err(_)) | Err(_) => PlaylistState::Pending,
        }
    }

    /// A segment that has not expired.
    pub fn segment(&self, name: SegmentName) -> Option<Arc<StoredSegment>> {
        let state = self.state();
        state.segments.get(&name.sequence).filter(|segment| segment.name() == name).cloned()
    }

    /// Whether its publisher is here.
    pub fn is_published(&self) -> bool {
        self.state().phase == Phase::Live
    }

    /// Numbers above all that were used.
    pub(crate) fn next_numbers(&self) -> HlsNumbers {
        self.state().numbered.as_ref().map(Numbered::next).unwrap_or_default()
    }

    /// Whether it has, or will have, this number or a higher one. One that has no number yet has no lower one.
    pub(super) fn reaches(&self, sequence: u64) -> bool {
        let state = self.state();
        state.numbered.as_ref().is_none_or(|numbered| numbered.next().sequence >= sequence)
    }

    /// Whether more segments may come.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state().phase, Phase::Live | Phase::Vacant)
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
        let mut state = self.state();
        let change = state.add(segment, program_date_time_ms, now_ms);
        self.show(&state);
        drop(state);
        change
            .inspect_err(|reason| error!(room = self.room.as_str(), reason = reason.as_str(); "a segment could not be listed"))
            .ok()
    }

    /// The publisher's codec does not fit. Returns whether that is news.
    pub(crate) fn refuse(&self, unsupported: Unsupported) -> bool {
        let before = self.playlist_state.send_replace(PlaylistState::Unsupported(unsupported));
        !matches!(before, PlaylistState::Unsupported(_))
    }

    /// The publisher left.
    pub(crate) fn vacate(&self) {
        let mut state = self.state();
        if state.phase == Phase::Live {
            state.phase = Phase::Vacant;
        }
    }

    /// A publisher came, whose codecs may fit. Says whether the session goes on: not if another process has used numbers of
    /// the room since.
    pub(crate) fn resume(&self, reserve: NumberReserve) -> bool {
        let mut state = self.state();
        if !state.take_numbers(reserve) {
            return false;
        }
        if state.phase == Phase::Vacant {
            state.phase = Phase::Live;
        }
        self.show(&state);
        true
    }

    /// The room is, or was, on another node. Tells whether there is anything to keep.
    pub(crate) fn leave_behind(&self) -> bool {
        let mut state = self.state();
        if matches!(state.phase, Phase::Live | Phase::Vacant) {
            state.phase = Phase::Past;
        }
        !state.segments.is_empty()
    }

    /// No more segments will come. Tells whether there is anything to keep.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.state();
        if matches!(state.phase, Phase::Live | Phase::Vacant) {
            state.phase = Phase::Ended;
            if let Some(numbered) = &mut state.numbered {
                numbered.playlist.end();
            }
            self.show(&state);
        }
        !state.segments.is_empty()
    }

    /// Whoever waits is told that it is over. Returns the segments.
    pub(super) fn retire(&self) -> Vec<Arc<StoredSegment>> {
        let mut state = self.state();
        state.phase = Phase::Gone;
        self.playlist_state.send_replace(PlaylistState::Gone);
        std::mem::take(&mut state.segments).into_values().collect()
    }

    fn show(&self, state: &SessionState) {
        let shown = match state.phase {
            Phase::Gone => PlaylistState::Gone,
            Phase::Live | Phase::Vacant | Phase::Past | Phase::Ended => state.render(&self.room),
        };
        self.playlist_state.send_replace(shown);
    }

    fn state(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Numbered {
    fn next(&self) -> HlsNumbers {
        HlsNumbers {
            sequence: self.playlist.next_sequence(),
            discontinuity: self.playlist.last_discontinuity_sequence().saturating_add(1),
        }
    }
}

impl SessionState {
    /// Begins the playlist, or goes on with it if that is possible.
    fn take_numbers(&mut self, reserve: NumberReserve) -> bool {
        match &mut self.numbered {
            Some(numbered) if reserve.continues() => numbered.reserve = reserve,
            Some(_) => return false,
            None => {
                let first = reserve.next().max(self.shape.above);
                let playlist = Playlist::new(PlaylistConfig {
                    format: self.shape.format,
                    window: self.shape.window,
                    target_ms: self.shape.target_ms,
                    first_sequence: first.sequence,
                    first_discontinuity_sequence: first.discontinuity,
                });
                self.numbered = Some(Numbered { playlist, reserve });
            }
        }
        true
    }

    fn add(&mut self, segment: Segment, program_date_time_ms: u64, now_ms: u64) -> Result<Change, String> {
        let Some(numbered) = &mut self.numbered else { return Err("it has no number".to_owned()) };
        let name = numbered.playlist.next_name();
        let sequence = name.sequence;
        if !numbered.reserve.may_use(sequence) {
            return Err(format!("its number {sequence} may be another node's"));
        }
        let info = SegmentInfo {
            sequence,
            duration_ms: segment.duration_ms,
            discontinuity: segment.discontinuity || (self.shape.follows && self.segments.is_empty()),
            independent: segment.independent,
            program_date_time_ms,
            size_bytes: segment.bytes.len(),
        };
        numbered.playlist.push(info, now_ms).map_err(|error| error.to_string())?;
        numbered.reserve.note_next(numbered.next());
        let published = Arc::new(StoredSegment::new(name, segment.bytes));
        self.segments.insert(sequence, published.clone());
        let expired = numbered.playlist.expired(now_ms);
        Ok(Change {
            published,
            expired: expired.iter().filter_map(|sequence| self.segments.remove(sequence)).collect(),
        })
    }

    fn render(&self, room: &RoomName) -> PlaylistState {
        let Some(Numbered { playlist, .. }) = &self.numbered else { return PlaylistState::Pending };
        let next_sequence = playlist.next_sequence();
        let text = |prefix: &str| playlist.render(prefix).map(|text| self.tagged(text, next_sequence));
        match (text(""), text(&format!("{room}/"))) {
            (Some(index), Some(flat)) => PlaylistState::Ready(Arc::new(Playlists { index, flat })),
            _ => PlaylistState::Pending,
        }
    }

    /// A playlist changes with each segment and with its end, and sequence numbers are not used twice.
    fn tagged(&self, text: String, next_sequence: u64) -> PlaylistText {
        let ended = if self.phase == Phase::Ended { "e" } else { "" };
        PlaylistText::new(text.into(), format!("{next_sequence}{ended}"))
    }
}

impl PlaylistText {
    /// A text with its tag.
    pub(crate) fn new(plain: Bytes, tag: String) -> Self {
        Self { plain, tag, gzip: OnceLock::new(), signed: Mutex::default() }
    }

    /// Whether it says that no more segments will come.
    pub(crate) fn has_end(&self) -> bool {
        self.plain.ends_with(b"#EXT-X-ENDLIST\n")
    }

    /// The text with `key` in the address of each segment, made for the first who asks with that key. Its tag differs
    /// from that of the same text with another key.
    pub fn signed(&self, key: &SignedKey) -> Arc<Self> {
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = signed.as_ref().filter(|(known, _)| known.is(key)) {
            return text.clone();
        }
        let plain = sign_playlist(&String::from_utf8_lossy(&self.plain), key);
        let tag = format!("{}-{:x}", self.tag, key.expires_unix_s());
        let text = Arc::new(Self::new(plain.into(), tag));
        *signed = Some((*key, text.clone()));
        text
    }

    /// The text, compressed for the first who asks. `None` if that failed: an empty text would be a playlist without
    /// segments.
    pub fn gzip(&self) -> Option<&Bytes> {
        let compress = || {
            let failed =
                |error: &std::io::Error| error!(reason:% = error; "a playlist could not be compressed");
            gzip(&self.plain, Effort::Fast).inspect_err(failed).ok()
        };
        self.gzip.get_or_init(compress).as_ref()
    }
}
