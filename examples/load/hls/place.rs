//! The place of a room on the server, and its playlist.

use std::net::SocketAddr;

use synctv_testkit::hls::Playlist;

/// The place of a room's playlist and segments on the server.
pub struct Place {
    pub server: SocketAddr,
    pub room: String,
}

impl Place {
    pub fn path(&self, name: &str) -> String {
        format!("/live/{}/{name}", self.room)
    }
}

/// The playlist in an answer; `None` if it is none, or has no segments.
pub fn playlist(text: &[u8]) -> Option<Playlist> {
    let playlist = Playlist::try_parse(std::str::from_utf8(text).ok()?).ok()?;
    (!playlist.segments.is_empty() && playlist.target_s > 0).then_some(playlist)
}
