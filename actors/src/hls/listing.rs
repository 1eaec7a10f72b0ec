//! A playlist as it is at one moment, in all its texts.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use log::error;
use synctv_media::{
    access::{SignedKey, sign_playlist},
    hls::{
        blocking_request::without_directives,
        container::InitSection,
        playlist::{Detail, Playlist},
    },
    stream::room::RoomName,
};

use crate::gzip::{Effort, gzip};

/// The addresses of a room's playlists: segments are named relative to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlaylistAddress {
    /// `/APP/ROOM/index.m3u8`
    Index,
    /// `/APP/ROOM.m3u8`
    Flat,
    /// `/APP/ROOM/ll.m3u8`: segments of fragmented MP4 with their parts.
    LowLatency,
    /// `/APP/ROOM/master.m3u8`: the multivariant playlist, which names the codecs.
    Master,
}

/// One playlist under its addresses. A text is made for the first who asks for it, so that a room that has no viewers costs no
/// text.
#[derive(Debug)]
pub struct Listing {
    playlist: Playlist,
    room: RoomName,
    init: Option<Arc<InitSection>>,
    has_end: bool,
    is_past: bool,
    texts: [OnceLock<Option<PlaylistText>>; 4],
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

impl Listing {
    /// A playlist with at least one segment. `init` is the initialisation section of the newest one.
    pub(super) fn new(
        playlist: Playlist,
        room: RoomName,
        init: Option<Arc<InitSection>>,
        has_end: bool,
        is_past: bool,
    ) -> Self {
        Self { playlist, room, init, has_end, is_past, texts: Default::default() }
    }

    /// Returns whether the room is on another node, which lists what comes.
    pub(super) fn is_past(&self) -> bool {
        self.is_past
    }

    /// The playlist itself.
    pub fn playlist(&self) -> &Playlist {
        &self.playlist
    }

    /// Its text for an address; `None` for one that its segments have no playlist for.
    pub fn text(&self, address: PlaylistAddress) -> Option<&PlaylistText> {
        let [index, flat, low_latency, master] = &self.texts;
        let text = match address {
            PlaylistAddress::Index => index,
            PlaylistAddress::Flat => flat,
            PlaylistAddress::LowLatency => low_latency,
            PlaylistAddress::Master => master,
        };
        text.get_or_init(|| self.render(address)).as_ref()
    }

    /// A playlist changes with each segment or part and with its end, and sequence numbers are not used twice.
    fn render(&self, address: PlaylistAddress) -> Option<PlaylistText> {
        let (next_sequence, part_count) = (self.playlist.next_sequence(), self.playlist.part_count());
        let ended = if self.has_end { "e" } else { "" };
        let segments = |prefix: &str| self.playlist.render(prefix, Detail::Segments);
        let text = match address {
            PlaylistAddress::Index => segments("")?,
            PlaylistAddress::Flat => segments(&format!("{}/", self.room))?,
            PlaylistAddress::LowLatency => self.playlist.render("", Detail::Parts)?,
            PlaylistAddress::Master => self.playlist.render_multivariant(self.init.as_deref()?, "ll.m3u8")?,
        };
        let tag = match address {
            PlaylistAddress::LowLatency => format!("{next_sequence}.{part_count}{ended}"),
            _ => format!("{next_sequence}{ended}"),
        };
        Some(PlaylistText::new(text.into(), tag))
    }
}

impl PlaylistText {
    /// A text with its tag.
    pub(crate) fn new(plain: Bytes, tag: String) -> Self {
        Self { plain, tag, gzip: OnceLock::new(), signed: Mutex::default() }
    }

    /// Returns whether no more segments will come.
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

    /// The text of a multivariant playlist with `query` in the address of its last line, as players ask for that one without
    /// the query of this. All of it but the directives of Low-Latency HLS: a callback may decide by any parameter.
    pub fn with_query(&self, query: &str) -> Self {
        let query = without_directives(query);
        if query.is_empty() {
            return Self::new(self.plain.clone(), self.tag.clone());
        }
        let text = String::from_utf8_lossy(&self.plain);
        Self::new(format!("{}?{query}\n", text.trim_end()).into(), self.tag.clone())
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
