//! The clip, as frames that go on from one round to the next.

use synctv_media::{
    flv::{
        reader::{FlvError, FlvReader},
        video::{VideoHeader, VideoKind},
    },
    stream::frame::{Frame, Track},
};

/// README.md beside it has the command that made it.
const FILE: &[u8] = include_bytes!("clip.flv");

/// Its frames are so long: 300 of 30 a second.
const DURATION_MS: u32 = 10_000;

/// More than any of its tags.
const TAG_MAX_BYTES: usize = 1024 * 1024;

/// Frames without an end.
pub struct Clip {
    frames: Vec<Frame>,
    next: usize,
    round_start_ms: u32,
}

impl Clip {
    /// From its beginning.
    pub fn new() -> Result<Self, FlvError> {
        let mut reader = FlvReader::new(TAG_MAX_BYTES);
        reader.feed(FILE);
        let mut frames = Vec::new();
        while let Some(frame) = reader.next_frame()? {
            if !ends_sequence(&frame) {
                frames.push(frame);
            }
        }
        Ok(Self { frames, next: 0, round_start_ms: 0 })
    }
}

impl Iterator for Clip {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        if self.next == self.frames.len() {
            self.next = 0;
            self.round_start_ms = self.round_start_ms.wrapping_add(DURATION_MS);
        }
        let frame = self.frames.get(self.next)?;
        self.next += 1;
        Some(Frame { timestamp_ms: self.round_start_ms.wrapping_add(frame.timestamp_ms), ..frame.clone() })
    }
}

/// The mark that nothing follows, which is not so.
fn ends_sequence(frame: &Frame) -> bool {
    frame.track == Track::Video
        && VideoHeader::parse(&frame.payload).is_ok_and(|header| header.kind == VideoKind::Other)
}
