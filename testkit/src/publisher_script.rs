//! A stream in lockstep: each frame is sent when the viewer has the one before.

use synctv_media::stream::frame::Frame;

use crate::{flv::FlvViewer, frames, rtmp::RtmpPeer, server::TestServer};

/// Milliseconds from frame to frame.
pub const STEP_MS: u32 = 100;

/// Frames in a GOP.
pub const GOP: u32 = 10;

/// A publisher that sends one video frame at a time, and a viewer who has to get each of them.
#[derive(Debug)]
pub struct PublisherScript {
    /// The publisher.
    pub publisher: RtmpPeer,
    viewer: FlvViewer,
    size_bytes: usize,
    next: u32,
}

impl PublisherScript {
    /// Publishes `room` with frames of this size, and sends the first one.
    pub fn start(server: &TestServer, room: &str, size_bytes: usize) -> Self {
        let mut publisher = RtmpPeer::publish(server, room);
        publisher.send_all(&frames::video_headers());
        let viewer = FlvViewer::open(server, room);
        let mut script = Self { publisher, viewer, size_bytes, next: 0 };
        script.step();
        script
    }

    /// Sends the next frame and waits until the viewer has exactly that.
    pub fn step(&mut self) -> Frame {
        let sent = self.make_next();
        self.publisher.send(&sent);
        let seen = self.next_coded();
        assert_eq!(seen.payload, sent.payload, "the viewer misses nothing");
        assert_eq!(seen.timestamp_ms, sent.timestamp_ms);
        sent
    }

    /// Sends so many frames and returns them.
    pub fn steps(&mut self, count: u32) -> Vec<Frame> {
        (0..count).map(|_| self.step()).collect()
    }

    fn make_next(&mut self) -> Frame {
        let number = self.next;
        self.next += 1;
        if number.is_multiple_of(GOP) {
            frames::sized_keyframe(number * STEP_MS, number, self.size_bytes)
        } else {
            frames::sized_inter(number * STEP_MS, number, self.size_bytes)
        }
    }

    fn next_coded(&mut self) -> Frame {
        loop {
            let frame = self.viewer.next_media().expect("the stream goes on");
            if frames::is_coded(&frame) {
                return frame;
            }
        }
    }
}
