//! A room whose publishers follow one another, and viewers that see all of them.

use synctv_media::stream::frame::Frame;

use crate::frames;

/// A peer that receives frames.
pub trait FrameSource {
    /// Waits for the next frame; `None` at the end of the stream.
    fn next_frame(&mut self) -> Option<Frame>;
}

/// Waits for frames up to and with the one whose payload is that of `last`.
pub fn frames_until(source: &mut impl FrameSource, last: &Frame) -> Vec<Frame> {
    let mut frames = Vec::new();
    loop {
        let frame = source.next_frame().expect("the stream goes on");
        let found = frame.payload == last.payload;
        frames.push(frame);
        if found {
            return frames;
        }
    }
}

/// Waits for all frames up to the end of the stream.
pub fn frames_to_the_end(source: &mut impl FrameSource) -> Vec<Frame> {
    std::iter::from_fn(|| source.next_frame()).collect()
}

/// A viewer or player, and every frame of the room that it has seen.
#[derive(Debug)]
pub struct RoomHistory<V> {
    /// The viewer or player.
    pub viewer: V,
    /// The frames so far.
    pub seen: Vec<Frame>,
}

impl<V: FrameSource> RoomHistory<V> {
    /// A history that begins with the next frame of `viewer`.
    pub fn of(viewer: V) -> Self {
        Self { viewer, seen: Vec::new() }
    }

    /// Reads up to and with the last frame of a publication.
    pub fn read_to_end_of(&mut self, publication: &[Frame]) {
        let last = publication.last().expect("a publication has frames");
        self.seen.extend(frames_until(&mut self.viewer, last));
    }

    /// Asserts that the viewer saw all publications, each frame once and in order, on one timeline.
    pub fn assert_is(&self, publications: &[Vec<Frame>]) {
        frames::assert_never_back(&self.seen);
        assert_eq!(frames::payloads(&self.seen), frames::payloads(&publications.concat()));
    }
}

/// Reads each history up to the end of a publication.
pub fn read_to_end_of<'a, V: FrameSource + 'a>(
    histories: impl IntoIterator<Item = &'a mut RoomHistory<V>>,
    publication: &[Frame],
) {
    histories.into_iter().for_each(|history| history.read_to_end_of(publication));
}

/// Asserts that every history is that of these publications.
pub fn assert_histories<V: FrameSource>(histories: &[RoomHistory<V>], publications: &[Vec<Frame>]) {
    histories.iter().for_each(|history| history.assert_is(publications));
}

/// The frames of one publisher: they start at `first_ms`, with `number` in their payloads.
pub fn publication(first_ms: u32, number: u32) -> Vec<Frame> {
    let media = [
        frames::keyframe(first_ms, number),
        frames::audio(first_ms.wrapping_add(10), number + 1),
        frames::inter(first_ms.wrapping_add(40), number + 2),
        frames::audio(first_ms.wrapping_add(33), number + 3),
    ];
    [[frames::video_header(number as u8)].as_slice(), &media].concat()
}
