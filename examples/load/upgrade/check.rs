//! A comparison of the frames that a viewer gets with those that were published.

use bytes::Bytes;
use synctv_media::{
    flv::{FILE_HEADER_BYTES, TAG_HEADER_BYTES, TAG_OVERHEAD_BYTES, TagHeader},
    stream::frame::{Frame, Track},
};

use super::record::{Record, number_of};
use crate::{
    hls::faults::Faults,
    stamp::{STAMP_BYTES, STAMP_OFFSET},
};

/// The bytes of a tag that identify its frame.
const LOOK_BYTES: usize = TAG_HEADER_BYTES + STAMP_OFFSET + STAMP_BYTES;

/// The order and the times of the frames of one viewer.
#[derive(Debug)]
pub struct Order {
    record: Record,
    /// The numbers of the next frames of video and audio, once one came.
    next: [Option<u64>; 2],
    /// The viewer's time of a frame, less the publisher's.
    moved_ms: Option<i64>,
    pub frames: u64,
    pub faults: Faults,
}

impl Order {
    /// Of a viewer who has got nothing yet.
    pub fn new(record: Record) -> Self {
        Self { record, next: [None; 2], moved_ms: None, frames: 0, faults: Faults::default() }
    }

    /// Takes the beginning of a frame. Returns the payload that was published for it, or `None` if it is no coded frame of the publisher.
    pub fn begin(&mut self, track: Track, timestamp_ms: u32, beginning: &[u8]) -> Option<Bytes> {
        let number = number_of(track, beginning)?;
        let next = &mut self.next[usize::from(track == Track::Audio)];
        match next.replace(number + 1) {
            Some(expected) if expected < number => self.faults.add(format!("{track:?}: frames lost")),
            Some(expected) if expected > number => self.faults.add(format!("{track:?}: frames repeated")),
            _ => {}
        }
        let Some((sent_ms, payload)) = self.record.get(track, number) else {
            self.faults.add(format!("{track:?}: a frame that was not published"));
            return None;
        };
        let moved_ms = i64::from(timestamp_ms) - i64::from(sent_ms);
        if *self.moved_ms.get_or_insert(moved_ms) != moved_ms {
            self.moved_ms = Some(moved_ms);
            self.faults.add(format!("{track:?}: a step in time"));
        }
        self.frames += 1;
        Some(payload)
    }

    /// Takes a whole frame.
    pub fn take(&mut self, frame: &Frame) {
        let expected = self.begin(frame.track, frame.timestamp_ms, &frame.payload);
        if expected.is_some_and(|expected| expected != frame.payload) {
            self.changed();
        }
    }

    /// Notes that a frame's bytes differ from those that were published.
    pub fn changed(&mut self) {
        self.faults.add("a frame's bytes changed".to_owned());
    }
}

/// Takes the body of an answer over HTTP-FLV in any pieces. Nothing is copied but the beginning of each tag.
#[derive(Debug)]
pub struct FlvCheck {
    pub order: Order,
    look: Vec<u8>,
    tag: Option<Tag>,
    skip: usize,
}

/// A tag whose beginning is known.
#[derive(Debug)]
struct Tag {
    /// The bytes that are still to come, including the size after the body.
    left_bytes: usize,
    /// The rest of the body as it was published.
    expected: Option<Bytes>,
}

impl FlvCheck {
    /// Begins behind the answer's head.
    pub fn new(record: Record) -> Self {
        let look = Vec::with_capacity(LOOK_BYTES);
        Self { order: Order::new(record), look, tag: None, skip: FILE_HEADER_BYTES }
    }

    /// Takes the next bytes.
    pub fn take(&mut self, mut bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        bytes = &bytes[skipped..];
        while !bytes.is_empty() {
            bytes = match self.tag.take() {
                Some(tag) => self.rest(tag, bytes),
                None => self.beginning(bytes),
            };
        }
    }

    fn beginning<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        // The size is in the tag's header, which is read first.
        let wanted = self.tag_bytes().map_or(TAG_HEADER_BYTES, |tag_bytes| tag_bytes.min(LOOK_BYTES));
        let (front, rest) = bytes.split_at((wanted - self.look.len()).min(bytes.len()));
        self.look.extend_from_slice(front);
        if let Some(tag_bytes) = self.tag_bytes()
            && self.look.len() == tag_bytes.min(LOOK_BYTES)
        {
            let left_bytes = tag_bytes - self.look.len();
            let expected = self.expected(tag_bytes - TAG_OVERHEAD_BYTES);
            self.tag = (left_bytes > 0).then_some(Tag { left_bytes, expected });
            self.look.clear();
        }
        rest
    }

    fn tag_bytes(&self) -> Option<usize> {
        let header = TagHeader::parse(self.look.first_chunk()?);
        Some(TAG_OVERHEAD_BYTES + header.size_bytes)
    }

    /// The rest of the body, as it has to follow.
    fn expected(&mut self, body_bytes: usize) -> Option<Bytes> {
        let (header, body) = self.look.split_at_checked(TAG_HEADER_BYTES)?;
        let header = TagHeader::parse(header.first_chunk()?);
        let track = Track::from_type_id(header.type_id)?;
        let mut expected = self.order.begin(track, header.timestamp_ms, body)?;
        if expected.len() != body_bytes || !expected.starts_with(body) {
            self.order.changed();
            return None;
        }
        Some(expected.split_off(body.len()))
    }

    fn rest<'b>(&mut self, mut tag: Tag, bytes: &'b [u8]) -> &'b [u8] {
        let (now, later) = bytes.split_at(tag.left_bytes.min(bytes.len()));
        tag.left_bytes -= now.len();
        if let Some(mut expected) = tag.expected.take() {
            let compared = now.len().min(expected.len());
            if now[..compared] == expected[..compared] {
                tag.expected = Some(expected.split_off(compared));
            } else {
                self.order.changed();
            }
        }
        self.tag = (tag.left_bytes > 0).then_some(tag);
        later
    }
}

#[cfg(test)]
mod tests {
    use synctv_media::flv::{file_header, put_tag};

    use super::*;
    use crate::publisher::Source;

    /// Publishes frames, changes them on their way to a viewer, in pieces of any size, and returns the faults that it finds.
    fn faults(change: impl Fn(&mut Vec<Frame>)) -> Vec<String> {
        let (record, mut source) = (Record::default(), Source::new(600, 10));
        let mut frames: Vec<Frame> = (0..60).map(|_| record.publish(source.next_frame())).collect();
        change(&mut frames);
        let mut body = file_header(true, true).to_vec();
        for frame in &frames {
            put_tag(&mut body, frame.track, frame.timestamp_ms.into(), &frame.payload);
        }
        let said = [1, 7, 100, body.len()].map(|piece| {
            let mut check = FlvCheck::new(record.clone());
            body.chunks(piece).for_each(|bytes| check.take(bytes));
            check.order.faults.to_string()
        });
        assert!(said.iter().all(|faults| *faults == said[0]), "{said:?}");
        said[0].lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn what_was_published_is_no_fault() {
        assert_eq!(faults(|_| {}), [""; 0]);
        assert_eq!(faults(|frames| drop(frames.drain(..20))), [""; 0], "a viewer who came later");
        let later = |frames: &mut Vec<Frame>| frames.iter_mut().for_each(|frame| frame.timestamp_ms += 500);
        assert_eq!(faults(later), [""; 0], "a node that places the room elsewhere in time");
    }

    #[test]
    fn frames_that_are_lost_repeated_or_changed_are_faults() {
        let lost = faults(|frames| drop(frames.remove(30)));
        assert!(lost.len() == 1 && lost[0].ends_with("frames lost"), "{lost:?}");
        let repeated = faults(|frames| frames.insert(31, frames[30].clone()));
        assert!(repeated.len() == 1 && repeated[0].ends_with("frames repeated"), "{repeated:?}");
        for at in [27, 60, 349] {
            let changed = faults(|frames| {
                let mut payload = frames[30].payload.to_vec();
                payload[at] ^= 0x40;
                frames[30].payload = payload.into();
            });
            assert_eq!(changed, ["1 a frame's bytes changed"]);
        }
        let moved = faults(|frames| frames[30].timestamp_ms += 1);
        assert!(
            !moved.is_empty() && moved.iter().all(|fault| fault.ends_with("a step in time")),
            "{moved:?}"
        );
    }
}
