//! A stream in lockstep: each frame is sent when everyone who keeps up has the one before.

use synctv_media::stream::frame::Frame;

use super::{flv_viewer::FlvViewer, frames, rtmp_peer::RtmpPeer, server::Server};

/// Milliseconds from picture to picture.
pub const STEP_MS: u32 = 100;

/// Pictures in a GOP.
pub const GOP: u32 = 10;

/// A publisher, and a viewer who misses nothing.
#[derive(Debug)]
pub struct Show {
    /// The publisher.
    pub publisher: RtmpPeer,
    witness: FlvViewer,
    size_bytes: usize,
    next: u32,
}

impl Show {
    /// Publishes `room` with pictures of this size, and shows the first one.
    pub fn start(server: &Server, room: &str, size_bytes: usize) -> Self {
        let mut publisher = RtmpPeer::publish(server, room);
        publisher.send_all(&frames::video_headers());
        let witness = FlvViewer::open(server, room);
        let mut show = Self { publisher, witness, size_bytes, next: 0 };
        show.step();
        show
    }

    /// Sends the next picture and waits until the witness has exactly that.
    pub fn step(&mut self) -> Frame {
        let sent = self.make_next();
        self.publisher.send(&sent);
        let seen = self.next_coded();
        assert_eq!(seen.payload, sent.payload, "the witness misses nothing");
        assert_eq!(seen.timestamp_ms, sent.timestamp_ms);
        sent
    }

    /// Shows so many pictures and gives them.
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
            let frame = self.witness.next_media().expect("the stream goes on");
            if frames::is_coded(&frame) {
                return frame;
            }
        }
    }
}
