//! A record of the frames that a publisher sent, for comparison with those that its viewers get.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use bytes::Bytes;
use synctv_media::stream::frame::{Frame, Track};

use crate::stamp::{STAMP_OFFSET, Stamp};

/// Frames kept of each track: more than a minute, longer than any viewer may lag.
const KEPT: usize = 3_000;

/// The offset of the number in a packet of audio: after the header of its tag.
const AUDIO_NUMBER_OFFSET: usize = 2;

/// The frames that one publisher has sent. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Record(Rc<RefCell<Tracks>>);

#[derive(Debug, Default)]
struct Tracks {
    video: Sent,
    audio: Sent,
}

/// The newest frames of one track.
#[derive(Debug, Default)]
struct Sent {
    /// The number of the oldest one that is kept.
    first: u64,
    frames: VecDeque<(u32, Bytes)>,
}

impl Record {
    /// Numbers a frame, makes its bytes unique, and keeps it. A frame without a number, because it
    /// configures decoders, stays as it is.
    pub fn publish(&self, frame: Frame) -> Frame {
        let mut tracks = self.0.borrow_mut();
        let sent = match frame.track {
            Track::Video => &mut tracks.video,
            Track::Audio => &mut tracks.audio,
            Track::Data => return frame,
        };
        let number = sent.next_number();
        let mut payload = frame.payload.to_vec();
        let behind = match frame.track {
            // The source has stamped it.
            Track::Video => STAMP_OFFSET + crate::stamp::STAMP_BYTES,
            _ => {
                payload[AUDIO_NUMBER_OFFSET..][..8].copy_from_slice(&number.to_be_bytes());
                AUDIO_NUMBER_OFFSET + 8
            }
        };
        fill(&mut payload[behind..], number);
        let payload = Bytes::from(payload);
        sent.push(frame.timestamp_ms, payload.clone());
        Frame { payload, ..frame }
    }

    /// Returns the time and the payload of a frame; `None` if there was none of that number, or it is no longer kept.
    pub fn get(&self, track: Track, number: u64) -> Option<(u32, Bytes)> {
        let tracks = self.0.borrow();
        match track {
            Track::Video => tracks.video.get(number),
            Track::Audio => tracks.audio.get(number),
            Track::Data => None,
        }
    }
}

impl Sent {
    fn next_number(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    fn push(&mut self, timestamp_ms: u32, payload: Bytes) {
        self.frames.push_back((timestamp_ms, payload));
        if self.frames.len() > KEPT {
            self.frames.pop_front();
            self.first += 1;
        }
    }

    fn get(&self, number: u64) -> Option<(u32, Bytes)> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.frames.get(place).cloned()
    }
}

/// The number in the beginning of a coded frame's payload; `None` if it is no coded frame.
pub fn number_of(track: Track, payload: &[u8]) -> Option<u64> {
    let is_coded = payload.get(1) == Some(&1);
    match track {
        Track::Video => {
            Stamp::read(payload.get(STAMP_OFFSET..).filter(|_| is_coded)?).map(|stamp| stamp.number)
        }
        Track::Audio => {
            let bytes = payload.get(AUDIO_NUMBER_OFFSET..).filter(|_| is_coded)?.first_chunk()?;
            Some(u64::from_be_bytes(*bytes))
        }
        Track::Data => None,
    }
}

/// Bytes that look random and follow from the number (an xorshift generator of 64 bits). None of them is 0 or 3, which could
/// look like the start of another NAL unit.
fn fill(bytes: &mut [u8], number: u64) {
    let mut state = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for chunk in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        for (byte, random) in chunk.iter_mut().zip(state.to_le_bytes()) {
            *byte = random | 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::Source;

    #[test]
    fn what_is_published_is_numbered_and_kept() {
        let (record, mut source) = (Record::default(), Source::new(600, 30));
        let sent: Vec<Frame> = (0..100).map(|_| record.publish(source.next_frame())).collect();
        for track in [Track::Video, Track::Audio] {
            let of_track = sent.iter().filter(|frame| frame.track == track);
            for (number, frame) in of_track.clone().enumerate() {
                assert_eq!(number_of(track, &frame.payload), Some(number as u64));
                let kept = record.get(track, number as u64).unwrap();
                assert_eq!(kept, (frame.timestamp_ms, frame.payload.clone()));
            }
            assert_eq!(record.get(track, of_track.count() as u64), None);
        }
    }
}
