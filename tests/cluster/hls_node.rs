//! A node with HLS, as its viewers see it.

use synctv_testkit::{hls::Playlist, http::Response, redis::Redis, server::TestServer};
use tempfile::TempDir;

use crate::node;

/// A node that cuts every room.
pub struct HlsNode {
    pub server: TestServer,
    _storage: TempDir,
}

impl HlsNode {
    pub fn start(id: &str, redis: &Redis) -> Self {
        Self::start_with(id, redis, &[])
    }

    /// Starts it with further flags.
    pub fn start_with(id: &str, redis: &Redis, flags: &[&str]) -> Self {
        let storage = tempfile::tempdir().expect("a directory");
        let path = storage.path().to_str().expect("its path is text");
        let flags = [&["--hls", "always", "--hls-storage", path], flags].concat();
        Self { server: node(id, &redis.url(), &flags), _storage: storage }
    }

    pub fn get(&self, file: &str) -> Response {
        self.server.hls().get(&format!("/live/r/{file}"))
    }

    pub fn playlist(&self) -> Playlist {
        self.server.hls().playlist("r")
    }
}
