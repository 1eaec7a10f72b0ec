//! A server with HLS, and someone who pushes the demo's clip to it.

use std::path::Path;

use tempfile::TempDir;

use crate::support::{
    server::Server,
    tools::{Running, ffmpeg, push_on_and_on},
};

/// H.264 of 640 x 360 at 30 pictures and a keyframe a second, and AAC.
pub const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/demo/clip.flv");

/// A server that serves everything there is.
pub struct Studio {
    pub server: Server,
    _storage: TempDir,
}

impl Studio {
    pub fn open() -> Self {
        Self::open_with(2, &[])
    }

    /// A publisher may be away for `grace_s` seconds.
    pub fn open_with(grace_s: u32, flags: &[&str]) -> Self {
        let storage = tempfile::tempdir().expect("a directory for segments");
        let path = storage.path().display().to_string();
        let hls = ["--hls", "always", "--hls-addr", "127.0.0.1:0", "--hls-storage", &path];
        let grace = ["--publisher-grace-s", &grace_s.to_string()];
        let all = [hls.as_slice(), &grace, flags].concat();
        Self { server: Server::start(&all), _storage: storage }
    }

    /// Pushes the clip, again and again, until the value is dropped.
    pub fn push(&self, room: &str) -> Running {
        let pushed = push_on_and_on(ffmpeg(), Path::new(CLIP), &self.server.rtmp_url(room));
        self.server.wait_for_publisher(room);
        pushed
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.http)
    }
}
