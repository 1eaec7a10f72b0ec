//! An HLS client: playlists as a player reads them, and segments that are checked.

mod playlist;

use std::net::SocketAddr;

pub use synctv_media::hls::playlist::testing::{ListedPart, PartPlaylist, PartedSegment};
use synctv_media::hls::ts::check::{CheckedSegment, TsChecker};

pub use self::playlist::{Entry, Playlist};
use crate::{
    http::{Response, request_with},
    wait::poll_until,
};

/// A client of one HLS port.
#[derive(Debug, Clone, Copy)]
pub struct HlsClient {
    /// The port's address.
    pub address: SocketAddr,
}

/// A playlist and its segments.
#[derive(Debug)]
pub struct Stream {
    /// The playlist.
    pub playlist: Playlist,
    /// The segments, in the playlist's order.
    pub segments: Vec<CheckedSegment>,
}

impl HlsClient {
    /// A client of the HLS port at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The address of the HLS port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of a room's playlist.
    pub fn url(&self, room: &str) -> String {
        format!("http://{}/live/{room}/index.m3u8", self.address)
    }

    /// Gets a path.
    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[])
    }

    /// Requests a path with further headers.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        request_with(self.address, method, path, headers)
    }

    /// Gets the room's playlist, whatever the answer is, once the port knows the room: that is a moment after its publisher
    /// was accepted.
    pub fn playlist_answer(&self, room: &str) -> Response {
        poll_until("the port knows the room", || {
            let answer = self.get(&format!("/live/{room}/index.m3u8"));
            (answer.status != 404).then_some(answer)
        })
    }

    /// Gets the room's playlist, which has to be there: players give up after a few errors.
    pub fn playlist(&self, room: &str) -> Playlist {
        let answer = self.get(&format!("/live/{room}/index.m3u8"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        Playlist::parse(&answer.text())
    }

    /// Looks at the room's playlist until it is there and `is_right`.
    pub fn playlist_when(&self, room: &str, is_right: impl Fn(&Playlist) -> bool) -> Playlist {
        poll_until("the playlist", || {
            let answer = self.get(&format!("/live/{room}/index.m3u8"));
            let playlist = (answer.status == 200).then(|| Playlist::parse(&answer.text()))?;
            is_right(&playlist).then_some(playlist)
        })
    }

    /// Waits for the end of the room's stream and gets all of it.
    pub fn whole_stream(&self, room: &str) -> Stream {
        let playlist = self.playlist_when(room, |playlist| playlist.ended);
        self.stream(room, playlist)
    }

    /// Gets the segments of a playlist and checks each.
    pub fn stream(&self, room: &str, playlist: Playlist) -> Stream {
        let mut checker = TsChecker::new();
        let segments = playlist.segments.iter().map(|entry| {
            let answer = self.get(&format!("/live/{room}/{}", entry.uri));
            assert_eq!(answer.status, 200, "{}", entry.uri);
            if entry.discontinuity {
                checker = TsChecker::new();
            }
            checker.segment(&answer.body).unwrap_or_else(|fault| panic!("{}: {fault}", entry.uri))
        });
        Stream { segments: segments.collect(), playlist }
    }
}
