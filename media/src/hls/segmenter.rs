//! Turns what a feed sends into segments. This module reads it; `cut` decides where one segment ends and the next begins.

use std::collections::VecDeque;

use bytes::Bytes;

use self::arrival::Arrival;
use super::{
    audio_clock::AudioTime,
    buffer_pool::BufferPool,
    container::{Codec, Container, ContainerError, Unsupported},
    continuity::Continuity,
    interleaver::{Interleaver, Lane},
    lead_in::{Expectation, LeadIn},
    open_segment::OpenSegment,
    segment::{Output, Segment, SegmentError},
    segment_track::{Gate, SegmentTrack},
    ts::container::TsContainer,
};
use crate::{
    flv::{
        audio::{AudioCodec, AudioHeader, AudioKind},
        video::{VideoCodec, VideoHeader, VideoKind},
    },
    stream::frame::Track,
};

mod arrival;
mod cut;

/// When to cut, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmenterConfig {
    /// The first keyframe at or after this age of a segment begins the next one; without video, or while it has paused, the
    /// first frame.
    pub target_ms: u32,
    /// The same for the first segment alone, if there is video: a short one lets the first viewers begin early.
    pub first_target_ms: u32,
    /// At this age a segment is cut without a keyframe. Players can begin at keyframes only, so that it is to be longer than
    /// encoders are between two of them.
    pub gop_max_ms: u32,
    /// The longest part of a segment, if segments are written in parts and the container has them. A part ends before the
    /// frame that would make it longer.
    pub part_ms: Option<u32>,
}

impl Default for SegmenterConfig {
    fn default() -> Self {
        Self { target_ms: 2_000, first_target_ms: 2_000, gop_max_ms: 60_000, part_ms: None }
    }
}

/// The tracks that a stream's metadata announces; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncedTracks {
    /// There will be video.
    pub video: bool,
    /// There will be audio.
    pub audio: bool,
}

/// Cuts one stream into segments. Fed with the bodies of its FLV tags, it finishes a segment when it is certain which frame
/// is the first of the next one.
#[derive(Debug)]
pub struct Segmenter<C: Container = TsContainer> {
    config: SegmenterConfig,
    container: C,
    buffers: BufferPool,
    interleaver: Interleaver<Arrival<C::Frame>>,
    continuity: Continuity,
    state: State<C::Frame>,
    video: SegmentTrack<VideoCodec>,
    audio: SegmentTrack<AudioCodec>,
    expectation: Expectation,
    /// Where silence ends that stands in for audio.
    silence: Option<AudioTime>,
    /// The owner or the clock said that the next segment does not continue the last one.
    spliced: bool,
    has_produced: bool,
    finished: VecDeque<Output>,
    dropped_frames: u64,
    late_frames: u64,
}

#[derive(Debug)]
enum State<F> {
    Waiting(LeadIn<F>),
    Open(OpenSegment<F>),
}

impl Segmenter {
    /// A segmenter that writes MPEG-TS. Streams that share `buffers` use each other's memory again.
    pub fn new(config: SegmenterConfig, buffers: BufferPool) -> Self {
        Self::with_container(config, TsContainer::default(), buffers)
    }
}

impl<C: Container> Segmenter<C> {
    /// A segmenter that writes whatever `container` does.
    pub fn with_container(config: SegmenterConfig, container: C, buffers: BufferPool) -> Self {
        Self {
            config,
            container,
            buffers,
            interleaver: Interleaver::new(),
            continuity: Continuity::default(),
            state: State::Waiting(LeadIn::new()),
            video: SegmentTrack::new(Gate::NextSegment),
            audio: SegmentTrack::new(Gate::Open),
            expectation: Expectation::Unknown,
            silence: None,
            spliced: false,
            has_produced: false,
            finished: VecDeque::new(),
            dropped_frames: 0,
            late_frames: 0,
        }
    }

    /// Takes the tracks that the metadata announces: those are waited for, and audio that is announced alone need not be
    /// held back for a second. Video that was not announced costs a discontinuity. Holds until
    /// [`discontinuity`](Self::discontinuity).
    pub fn set_tracks(&mut self, announced: AnnouncedTracks) {
        self.expectation = if announced.video { Expectation::Video } else { Expectation::AudioOnly };
        let lanes = [(announced.video, Lane::Video), (announced.audio, Lane::Audio)];
        for (_, lane) in lanes.into_iter().filter(|(is_announced, _)| *is_announced) {
            self.interleaver.announce(lane);
        }
    }

    /// Takes the body of an FLV tag at its decoding time. The times of each track must not go back. Sequence headers belong
    /// to the feed, and so does data, as frames may keep the memory of the tags beside them. Take what this finished from
    /// [`next_output`](Self::next_output).
    pub fn push(&mut self, track: Track, time_ms: i64, payload: &Bytes) -> Result<(), SegmentError> {
        self.interleaver.note_tag(payload.len());
        let read = match track {
            Track::Video => self.push_video(time_ms, payload),
            Track::Audio => self.push_audio(time_ms, payload),
            Track::Data => Ok(()),
        };
        while let Some(released) = self.interleaver.pop() {
            self.place(released);
        }
        if let State::Open(open) = &mut self.state {
            open.note_tag(payload.len());
        }
        read
    }

    /// The next segment or part that was finished.
    pub fn next_output(&mut self) -> Option<Output> {
        self.finished.pop_front()
    }

    /// The next segment that was finished. Parts before it are left out.
    pub fn next_segment(&mut self) -> Option<Segment> {
        std::iter::from_fn(|| self.next_output()).find_map(|output| match output {
            Output::Segment(segment) => Some(segment),
            Output::Part(_) => None,
        })
    }

    /// What comes next does not continue what came: another publisher, or its timeline is another one. Finishes the
    /// segment that was open. Sequence headers stay known until others come.
    pub fn discontinuity(&mut self) {
        self.finish();
        self.expectation = Expectation::Unknown;
    }

    /// The stream ended. Finishes the segment that was open.
    pub fn finish(&mut self) {
        while let Some(released) = self.interleaver.pop_at_once() {
            self.place(released);
        }
        self.splice();
        self.interleaver.reset();
    }

    /// Frames of audio and video that are in no segment: before the first keyframe, without or malformed, or between a
    /// new sequence header and the next segment.
    pub fn dropped_frames(&self) -> u64 {
        self.dropped_frames
    }

    /// Frames that came so long after those of the other track that they are behind them in their segment.
    pub fn late_frames(&self) -> u64 {
        self.late_frames
    }

    fn push_video(&mut self, time_ms: i64, payload: &Bytes) -> Result<(), SegmentError> {
        let header = VideoHeader::parse(payload)?;
        let data = behind(payload, header.data_offset);
        match header.kind {
            VideoKind::SequenceHeader => self.video_header(header.codec, &data),
            VideoKind::Keyframe | VideoKind::Inter => {
                let read = self.container.video(&header, data);
                if let Some(frame) = self.unless_headless(Codec::Video(header.codec), time_ms, read)? {
                    let begins_config = self.video.take_new_header() || C::begins_sequence(&frame);
                    let keyframe = header.kind == VideoKind::Keyframe;
                    self.interleaver.push(Lane::Video, time_ms, Arrival { frame, keyframe, begins_config });
                }
                Ok(())
            }
            VideoKind::Other => Ok(()),
        }
    }

    fn push_audio(&mut self, time_ms: i64, payload: &Bytes) -> Result<(), SegmentError> {
        let header = AudioHeader::parse(payload)?;
        let data = match self.state {
            State::Open(_) => behind(payload, header.data_offset),
            // Held for longer than its batch, which may be far larger, and counted nowhere.
            State::Waiting(_) => {
                Bytes::copy_from_slice(payload.get(header.data_offset..).unwrap_or_default())
            }
        };
        match header.kind {
            AudioKind::SequenceHeader => self.audio_header(header.codec, &data),
            AudioKind::Coded => {
                if !has_sequence_header(header.codec) {
                    self.audio_header(header.codec, &[])?;
                }
                let read = self.container.audio(header.codec, data);
                if let Some(frame) = self.unless_headless(Codec::Audio(header.codec), time_ms, read)? {
                    let begins_config = self.audio.take_new_header() || C::begins_sequence(&frame);
                    let arrival = Arrival { frame, keyframe: true, begins_config };
                    self.interleaver.push(Lane::Audio, time_ms, arrival);
                }
                Ok(())
            }
            AudioKind::Other => Ok(()),
        }
    }

    fn video_header(&mut self, codec: VideoCodec, header: &[u8]) -> Result<(), SegmentError> {
        if !self.video.has_header(codec, header) {
            self.video.forget_header();
            self.container.set_video(codec, header).inspect_err(|error| self.video.set_fault(*error))?;
            self.video.set_header(codec, header, true);
            self.drop_held();
        }
        self.expectation = Expectation::Video;
        self.interleaver.announce(Lane::Video);
        Ok(())
    }

    fn audio_header(&mut self, codec: AudioCodec, header: &[u8]) -> Result<(), SegmentError> {
        if !self.audio.has_header(codec, header) {
            self.audio.forget_header();
            let is_other =
                self.container.set_audio(codec, header).inspect_err(|error| self.audio.set_fault(*error))?;
            self.audio.set_header(codec, header, is_other);
            self.drop_held();
        }
        self.interleaver.announce(Lane::Audio);
        Ok(())
    }

    fn drop_held(&mut self) {
        if let State::Waiting(lead_in) = &mut self.state {
            self.dropped_frames += lead_in.drop_held();
        }
    }

    /// Frames that come before their sequence header are left out without a word, others with an error.
    fn unless_headless(
        &mut self,
        codec: Codec,
        time_ms: i64,
        read: Result<Option<C::Frame>, ContainerError>,
    ) -> Result<Option<C::Frame>, SegmentError> {
        if read.is_err() {
            self.dropped_frames += 1;
        }
        match read {
            Ok(frame) => Ok(frame),
            Err(ContainerError::NoHeader) => self.check_header_fault(codec, time_ms).map(|()| None),
            Err(error) => Err(error.into()),
        }
    }

    /// A stream with one track, whose sequence header was refused, would be waited for without an end.
    fn check_header_fault(&mut self, codec: Codec, time_ms: i64) -> Result<(), SegmentError> {
        let reason = match codec {
            Codec::Video(_) if !self.audio.is_known() => {
                self.video.header_fault(time_ms, Expectation::Unknown.other_track_wait_ms())
            }
            Codec::Audio(_) if !self.video.is_known() => {
                self.audio.header_fault(time_ms, self.expectation.other_track_wait_ms())
            }
            _ => None,
        };
        reason.map_or(Ok(()), |reason| Err(Unsupported { codec, reason }.into()))
    }
}

/// What is behind the tag's own header, without a copy.
fn behind(payload: &Bytes, offset: usize) -> Bytes {
    payload.get(offset..).map_or_else(Bytes::new, |data| payload.slice_ref(data))
}

/// Whether frames of this codec need a sequence header before them.
fn has_sequence_header(codec: AudioCodec) -> bool {
    matches!(codec, AudioCodec::Aac | AudioCodec::Opus | AudioCodec::Flac)
}

#[cfg(test)]
mod tests;
