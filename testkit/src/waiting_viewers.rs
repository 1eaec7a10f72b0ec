//! Viewers that are there before the first frame.

use std::thread;

use synctv_media::stream::frame::Frame;

use crate::{
    flv::{FlvViewer, assert_arrives},
    frames,
    rtmp::RtmpPeer,
    server::TestServer,
};

/// One viewer of each protocol, of a room whose next publisher has yet to come.
#[derive(Debug)]
pub struct WaitingViewers {
    viewer: FlvViewer,
    player: RtmpPeer,
}

impl WaitingViewers {
    /// Lets viewers join by `watch` and `play`, and the publisher leave. The next one has to come within the grace.
    pub fn join(
        mut publisher: RtmpPeer,
        watch: impl FnOnce() -> FlvViewer,
        play: impl FnOnce() -> RtmpPeer,
    ) -> Self {
        // A stream without any frame ends with its publisher.
        let first = frames::keyframe(0, 0);
        publisher.send(&first);
        let (mut viewer, mut player) = (watch(), play());
        viewer.frames_until(&first);
        player.frames_until(&first);
        publisher.unpublish();
        Self { viewer, player }
    }

    /// The viewers of a room of this server.
    pub fn of(server: &TestServer, room: &str) -> Self {
        let publisher = RtmpPeer::publish(server, room);
        let waiting =
            Self::join(publisher, || FlvViewer::open(server, room), || RtmpPeer::play(server, room));
        server.wait_for_publisher_leaving(room);
        waiting
    }

    /// Asserts that both get all of `source`, unchanged.
    pub fn assert_arrives(&mut self, source: &[Frame]) {
        let Self { viewer, player } = self;
        thread::scope(|scope| {
            scope.spawn(|| assert_arrives(player, source, "RTMP"));
            assert_arrives(viewer, source, "HTTP-FLV");
        });
    }
}
