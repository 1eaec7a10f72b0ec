//! A room whose publishers follow each other, and viewers who see all of them.

use synctv_media::stream::frame::Frame;

use crate::support::{flv_viewer::FlvViewer, frames};

/// A viewer, and what it has seen.
pub type Watcher = (FlvViewer, Vec<Frame>);

/// What one publisher sends: it starts at `first_ms`, with `number` in it.
pub fn life(first_ms: u32, number: u32) -> Vec<Frame> {
    let media = [
        frames::keyframe(first_ms, number),
        frames::audio(first_ms.wrapping_add(10), number + 1),
        frames::inter(first_ms.wrapping_add(40), number + 2),
        frames::audio(first_ms.wrapping_add(33), number + 3),
    ];
    [[frames::video_header(number as u8)].as_slice(), &media].concat()
}

/// Reads to the last frame of `life`.
pub fn until_end_of<'a>(watchers: impl IntoIterator<Item = &'a mut Watcher>, life: &[Frame]) {
    let last = life.last().expect("a life has frames");
    for (viewer, seen) in watchers {
        seen.extend(viewer.frames_until(last));
    }
}

/// Asserts that everyone saw all lives, each frame once and in order, on one timeline.
pub fn assert_went_on(watchers: &[Watcher], lives: &[Vec<Frame>]) {
    for (_, seen) in watchers {
        frames::assert_never_back(seen);
        assert_eq!(frames::payloads(seen), frames::payloads(&lives.concat()));
    }
}
