//! Makes batches of a stream's frames: places them on the timeline, keeps the headers, cuts at keyframes.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::{
    flv::{
        TAG_OVERHEAD_BYTES,
        audio::{AudioError, AudioHeader, AudioKind},
        put_tag,
        video::{VideoError, VideoHeader, VideoKind},
    },
    stream::{
        batch::Batch,
        frame::{Frame, Track},
        headers::{HEADER_MAX_BYTES, HeaderSet, SharedHeaders},
        metadata::is_metadata,
        timeline::Timeline,
    },
};

/// Decoding of a stream without video can start anywhere; this often, in milliseconds, a batch says so.
pub const AUDIO_START_INTERVAL_MS: i64 = 1_000;

/// How much audio to wait through, in milliseconds, before a stream that did not announce what it has counts as one
/// without video.
pub const VIDEO_WAIT_MS: i64 = 1_000;

/// A stream whose pictures stopped for so long, in milliseconds, counts as one without video until they come again.
pub const VIDEO_ABSENT_MS: i64 = 10_000;

/// Why a frame was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Its video header cannot be read.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// Its audio header cannot be read.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// Metadata or a sequence header over [`HEADER_MAX_BYTES`].
    #[error("metadata or a sequence header of {0} bytes, the limit is {HEADER_MAX_BYTES}")]
    HeaderTooLarge(usize),
}

/// Gathers frames until the next flush.
#[derive(Debug, Default)]
pub struct Batcher {
    timeline: Timeline,
    headers: HeaderSet,
    pending: Vec<PendingTag>,
    /// The first audio of the stream, while it is not known whether video will come.
    first_audio_ms: Option<i64>,
    last_audio_start_ms: Option<i64>,
    last_picture_ms: Option<i64>,
}

#[derive(Debug)]
struct PendingTag {
    track: Track,
    time_ms: i64,
    payload: Bytes,
    start: Option<SharedHeaders>,
}

impl Batcher {
    /// Takes the next frame. Headers that only repeat what is known are passed over. Tells whether a flush is best made with
    /// it: what else there is rides along with pictures, or with sound if there are none.
    pub fn push(&mut self, frame: Frame) -> Result<bool, FrameError> {
        match frame.track {
            Track::Video => self.push_video(frame),
            Track::Audio => self.push_audio(frame),
            Track::Data => self.push_data(frame).map(|()| false),
        }
    }

    /// The frames since the last flush, as batches that start where decoding can.
    pub fn flush(&mut self) -> Vec<Arc<Batch>> {
        let mut batches = Vec::with_capacity(self.pending.len().min(1));
        let mut tags = &self.pending[..];
        while !tags.is_empty() {
            let next_start = tags.iter().skip(1).position(|tag| tag.start.is_some());
            let (batch, rest) = tags.split_at(next_start.map_or(tags.len(), |at| at + 1));
            batches.push(Arc::new(encode(batch)));
            tags = rest;
        }
        self.pending.clear();
        batches
    }

    /// Whether a flush would give anything.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The publisher is gone; the next one has a clock and headers of its own.
    pub fn end_publisher(&mut self) {
        self.timeline.end_clock();
        self.headers = HeaderSet::default();
        self.first_audio_ms = None;
        self.last_audio_start_ms = None;
        self.last_picture_ms = None;
    }

    /// The stream's headers so far.
    pub fn headers(&self) -> &HeaderSet {
        &self.headers
    }

    /// The time of the newest frame, if there was one.
    pub fn newest_ms(&self) -> Option<i64> {
        self.timeline.newest_ms()
    }

    fn push_video(&mut self, frame: Frame) -> Result<bool, FrameError> {
        let header = VideoHeader::parse(&frame.payload)?;
        // Such as several tracks in one, which are of no one codec.
        if header.kind != VideoKind::Other {
            self.headers.see_video(header.codec);
        }
        if header.kind == VideoKind::SequenceHeader {
            check_header(&frame.payload)?;
            if self.headers.set_video(&frame.payload) {
                self.append_data(frame);
            }
            return Ok(false);
        }
        let time_ms = self.timeline.place(Track::Video, frame.timestamp_ms);
        self.last_picture_ms = Some(time_ms);
        let start = (header.kind == VideoKind::Keyframe).then(|| Arc::new(self.headers.at(time_ms)));
        self.append(frame, time_ms, start);
        Ok(true)
    }

    fn push_audio(&mut self, frame: Frame) -> Result<bool, FrameError> {
        let header = AudioHeader::parse(&frame.payload)?;
        if header.kind != AudioKind::Other {
            self.headers.see_audio(header.codec);
        }
        if header.kind == AudioKind::SequenceHeader {
            check_header(&frame.payload)?;
            if self.headers.set_audio(&frame.payload) {
                self.append_data(frame);
            }
            return Ok(false);
        }
        let time_ms = self.timeline.place(Track::Audio, frame.timestamp_ms);
        let start = self.is_audio_start(time_ms).then(|| Arc::new(self.headers.at(time_ms)));
        self.append(frame, time_ms, start);
        Ok(self.headers.video_codec().is_none())
    }

    fn push_data(&mut self, frame: Frame) -> Result<(), FrameError> {
        if is_metadata(&frame.payload) {
            check_header(&frame.payload)?;
            if !self.headers.set_metadata(&frame.payload) {
                return Ok(());
            }
        }
        self.append_data(frame);
        Ok(())
    }

    fn append_data(&mut self, frame: Frame) {
        let time_ms = self.timeline.now_ms();
        self.append(frame, time_ms, None);
    }

    fn append(&mut self, frame: Frame, time_ms: i64, start: Option<SharedHeaders>) {
        self.pending.push(PendingTag { track: frame.track, time_ms, payload: frame.payload, start });
    }

    fn is_audio_start(&mut self, time_ms: i64) -> bool {
        let lacks_video = match self.last_picture_ms {
            Some(last_ms) => time_ms - last_ms >= VIDEO_ABSENT_MS,
            None => self.is_known_to_lack_video(time_ms),
        };
        if !lacks_video {
            return false;
        }
        let due = self.last_audio_start_ms.is_none_or(|last_ms| time_ms >= last_ms + AUDIO_START_INTERVAL_MS);
        if due {
            self.last_audio_start_ms = Some(time_ms);
        }
        due
    }

    fn is_known_to_lack_video(&mut self, time_ms: i64) -> bool {
        let metadata = self.headers.metadata();
        let announced_alone = metadata.announces_audio && !metadata.announces_video;
        let first_ms = *self.first_audio_ms.get_or_insert(time_ms);
        announced_alone || time_ms - first_ms >= VIDEO_WAIT_MS
    }
}

fn encode(tags: &[PendingTag]) -> Batch {
    let mut flv = Vec::with_capacity(tags.iter().map(|tag| TAG_OVERHEAD_BYTES + tag.payload.len()).sum());
    let (mut first_ms, mut last_ms) = (i64::MAX, i64::MIN);
    for tag in tags {
        put_tag(&mut flv, tag.track, tag.time_ms, &tag.payload);
        first_ms = first_ms.min(tag.time_ms);
        last_ms = last_ms.max(tag.time_ms);
    }
    let start = tags.first().and_then(|tag| tag.start.clone());
    Batch::new(flv.into(), start, first_ms, last_ms, tags.len() as u32)
}

fn check_header(payload: &[u8]) -> Result<(), FrameError> {
    if payload.len() > HEADER_MAX_BYTES {
        return Err(FrameError::HeaderTooLarge(payload.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{flv::tags, samples, stream::wire_format::WireFormat};

    fn batcher_with(frames: impl IntoIterator<Item = Frame>) -> Batcher {
        let mut batcher = Batcher::default();
        for frame in frames {
            batcher.push(frame).unwrap();
        }
        batcher
    }

    fn summary(batches: &[Arc<Batch>]) -> Vec<(bool, Vec<(u8, u32)>)> {
        batches
            .iter()
            .map(|batch| {
                (batch.start.is_some(), tags(&batch.flv).map(|tag| (tag.type_id, tag.timestamp_ms)).collect())
            })
            .collect()
    }

    #[test]
    fn a_flush_is_cut_where_decoding_can_start() {
        let mut batcher = batcher_with([
            samples::inter(0),
            samples::audio(10),
            samples::keyframe(33),
            samples::audio(40),
            samples::inter(66),
        ]);
        assert_eq!(
            summary(&batcher.flush()),
            [(false, vec![(9, 0), (8, 10)]), (true, vec![(9, 33), (8, 40), (9, 66)])]
        );
        assert!(batcher.flush().is_empty());
    }

    #[test]
    fn headers_carry_the_time_of_their_keyframe_and_come_in_a_players_order() {
        let mut batcher = batcher_with([
            samples::metadata(true, true),
            samples::audio_header(),
            samples::video_header(),
            samples::keyframe(500),
        ]);
        let batches = batcher.flush();
        let headers = batches.last().and_then(|batch| batch.start.clone()).unwrap();
        let found: Vec<_> =
            tags(&headers.bytes(WireFormat::Flv)).map(|tag| (tag.type_id, tag.timestamp_ms)).collect();
        assert_eq!(found, [(18, 500), (9, 500), (8, 500)]);
        assert_eq!(headers.preamble(WireFormat::Flv)[4], 5);
    }

    #[test]
    fn headers_that_repeat_are_passed_over_and_new_ones_are_not() {
        let mut batcher = batcher_with([samples::video_header(), samples::keyframe(0)]);
        batcher.flush();
        batcher.push(samples::video_header()).unwrap();
        assert!(!batcher.has_pending());
        let changed = Frame { payload: Bytes::from_static(b"\x17\0\0\0\0\x02"), ..samples::video_header() };
        batcher.push(changed).unwrap();
        assert_eq!(summary(&batcher.flush()), [(false, vec![(9, 0)])]);
    }

    #[test]
    fn announced_audio_alone_starts_at_once_and_every_second() {
        let mut batcher = batcher_with([samples::metadata(false, true), samples::audio_header()]);
        for at in (0..2500).step_by(23) {
            batcher.push(samples::audio(at)).unwrap();
        }
        let starts: Vec<_> =
            batcher.flush().iter().filter(|batch| batch.start.is_some()).map(|b| b.first_ms).collect();
        assert_eq!(starts, [0, 1012, 2024]);
    }

    #[test]
    fn audio_that_announced_nothing_waits_for_video_first() {
        let mut batcher = Batcher::default();
        for at in (0..1100).step_by(100) {
            batcher.push(samples::audio(at)).unwrap();
        }
        let starts: Vec<_> =
            batcher.flush().iter().filter(|batch| batch.start.is_some()).map(|b| b.first_ms).collect();
        assert_eq!(starts, [1000]);
    }

    #[test]
    fn the_next_publisher_brings_headers_of_its_own() {
        let mut batcher =
            batcher_with([samples::video_header(), samples::audio_header(), samples::keyframe(90)]);
        batcher.flush();
        batcher.end_publisher();
        batcher.push(samples::video_header()).unwrap();
        batcher.push(samples::keyframe(0)).unwrap();
        let batches = batcher.flush();
        let start = batches.iter().find_map(|batch| batch.start.clone()).unwrap();
        assert_eq!(start.preamble(WireFormat::Flv)[4], 1, "the first publisher's audio is forgotten");
        assert!(batches.iter().all(|batch| batch.first_ms >= 90));
    }

    #[test]
    fn sound_starts_groups_again_once_the_pictures_have_stopped() {
        let mut batcher = batcher_with([samples::keyframe(0)]);
        for at in (0..12_000).step_by(500) {
            batcher.push(samples::audio(at)).unwrap();
        }
        let starts: Vec<_> =
            batcher.flush().iter().filter(|batch| batch.start.is_some()).map(|b| b.first_ms).collect();
        assert_eq!(starts, [0, 10_000, 11_000]);
    }

    #[test]
    fn a_flush_is_best_made_with_a_picture_or_with_sound_where_there_are_none() {
        let mut batcher = Batcher::default();
        let cases = [
            (samples::metadata(true, true), false),
            (samples::audio_header(), false),
            (samples::audio(0), true),
            (samples::video_header(), false),
            (samples::audio(23), false),
            (samples::keyframe(33), true),
            (samples::video_header(), false),
            (samples::inter(66), true),
        ];
        for (frame, expected) in cases {
            assert_eq!(batcher.push(frame.clone()), Ok(expected), "{frame:?}");
        }
    }

    #[test]
    fn several_tracks_in_one_do_not_hide_the_codec_of_the_one() {
        let mut batcher = batcher_with([samples::keyframe(0), samples::audio(0)]);
        let codecs = |batcher: &Batcher| (batcher.headers().video_codec(), batcher.headers().audio_codec());
        let before = codecs(&batcher);
        for (frame, payload) in
            [(samples::audio(23), b"\x95\x01mp4a\0"), (samples::inter(33), b"\x96\x01avc1\0")]
        {
            batcher.push(Frame { payload: Bytes::from_static(payload), ..frame }).unwrap();
        }
        assert_eq!(codecs(&batcher), before);
    }

    #[test]
    fn headers_over_the_limit_are_left_out() {
        let mut batcher = Batcher::default();
        for header in [samples::metadata(true, true), samples::video_header(), samples::audio_header()] {
            let payload = [&header.payload[..], &[0; HEADER_MAX_BYTES]].concat().into();
            let refused = batcher.push(Frame { payload, ..header });
            assert!(matches!(refused, Err(FrameError::HeaderTooLarge(_))));
        }
        assert!(!batcher.has_pending());
    }

    #[test]
    fn a_frame_that_cannot_be_read_is_an_error_and_nothing_else_is_lost() {
        let mut batcher = batcher_with([samples::keyframe(0)]);
        let broken = Frame { payload: Bytes::from_static(b"\x17"), ..samples::keyframe(33) };
        assert!(batcher.push(broken).is_err());
        batcher.push(samples::inter(66)).unwrap();
        assert_eq!(summary(&batcher.flush()), [(true, vec![(9, 0), (9, 66)])]);
    }
}
