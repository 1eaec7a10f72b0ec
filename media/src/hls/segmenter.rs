//! Turns what a feed sends into segments: reads it, and has the [`Cutter`] decide where one segment ends and the next begins.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::{arrival::Arrival, cutter::Cutter};
pub use self::{config::SegmenterConfig, upgrade::SegmenterState};
use super::{
    buffer_pool::BufferPool,
    container::{Codec, Container, ContainerError, Unsupported},
    interleaver::{Interleaver, Lane},
    lead_in::Expectation,
    segment::{Output, Segment, SegmentError},
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
mod config;
mod cut;
mod cutter;
mod upgrade;

/// The tracks that a stream's metadata announces; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    interleaver: Interleaver<Arrival<C::Frame>>,
    cutter: Cutter<C>,
    /// Frames that were refused or that lack their sequence header.
    refused_frames: u64,
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
            interleaver: Interleaver::new(),
            cutter: Cutter::new(config, container, buffers),
            refused_frames: 0,
        }
    }

    /// Takes the tracks that the metadata announces: those are waited for, and audio that is announced alone need not be
    /// held back for a second. Video that was not announced costs a discontinuity. Holds until
    /// [`discontinuity`](Self::discontinuity).
    pub fn set_tracks(&mut self, announced: AnnouncedTracks) {
        self.cutter.expectation = if announced.video { Expectation::Video } else { Expectation::AudioOnly };
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
            self.cutter.place(released, self.interleaver.pauses());
        }
        self.cutter.note_tag(payload.len());
        read
    }

    /// The next segment or part that was finished.
    pub fn next_output(&mut self) -> Option<Output> {
        self.cutter.next_output()
    }

    /// The next segment that was finished. Parts before it are left out.
    pub fn next_segment(&mut self) -> Option<Segment> {
        std::iter::from_fn(|| self.next_output()).find_map(|output| match output {
            Output::Segment(segment) => Some(segment),
            Output::Part(_) => None,
        })
    }

    /// The media that follows does not continue the media before: another publisher, or another timeline. Finishes the
    /// segment that was open. Sequence headers stay known until others come.
    pub fn discontinuity(&mut self) {
        self.finish();
        self.cutter.expectation = Expectation::Unknown;
    }

    /// The stream ended. Finishes the segment that was open.
    pub fn finish(&mut self) {
        while let Some(released) = self.interleaver.pop_at_once() {
            self.cutter.place(released, self.interleaver.pauses());
        }
        self.cutter.splice(self.interleaver.pauses());
        self.interleaver.reset();
    }

    /// Frames of audio and video that are in no segment: before the first keyframe, without or malformed, or between a
    /// new sequence header and the next segment.
    pub fn dropped_frames(&self) -> u64 {
        self.refused_frames + self.cutter.dropped_frames
    }

    /// Frames that came so long after those of the other track that they are behind them in their segment.
    pub fn late_frames(&self) -> u64 {
        self.cutter.late_frames
    }

    fn push_video(&mut self, time_ms: i64, payload: &Bytes) -> Result<(), SegmentError> {
        let header = VideoHeader::parse(payload)?;
        let data = behind(payload, header.data_offset);
        match header.kind {
            VideoKind::SequenceHeader => self.video_header(header.codec, &data),
            VideoKind::Keyframe | VideoKind::Inter => {
                let read = self.cutter.container.video(&header, data);
                if let Some(frame) = self.unless_headless(Codec::Video(header.codec), time_ms, read)? {
                    let begins_config = self.cutter.video.take_new_header() || C::begins_sequence(&frame);
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
        let data = if self.cutter.is_open() {
            behind(payload, header.data_offset)
        } else {
            // Held for longer than its batch, which may be far larger, and counted nowhere.
            Bytes::copy_from_slice(payload.get(header.data_offset..).unwrap_or_default())
        };
        match header.kind {
            AudioKind::SequenceHeader => self.audio_header(header.codec, &data),
            AudioKind::Coded => {
                if !has_sequence_header(header.codec) {
                    self.audio_header(header.codec, &[])?;
                }
                let read = self.cutter.container.audio(header.codec, data);
                if let Some(frame) = self.unless_headless(Codec::Audio(header.codec), time_ms, read)? {
                    let begins_config = self.cutter.audio.take_new_header() || C::begins_sequence(&frame);
                    let arrival = Arrival { frame, keyframe: true, begins_config };
                    self.interleaver.push(Lane::Audio, time_ms, arrival);
                }
                Ok(())
            }
            AudioKind::Other => Ok(()),
        }
    }

    fn video_header(&mut self, codec: VideoCodec, header: &[u8]) -> Result<(), SegmentError> {
        if !self.cutter.video.has_header(codec, header) {
            self.cutter.video.forget_header();
            self.cutter
                .container
                .set_video(codec, header)
                .inspect_err(|error| self.cutter.video.set_fault(*error))?;
            self.cutter.video.set_header(codec, header, true);
            self.cutter.drop_held();
        }
        self.cutter.expectation = Expectation::Video;
        self.interleaver.announce(Lane::Video);
        Ok(())
    }

    fn audio_header(&mut self, codec: AudioCodec, header: &[u8]) -> Result<(), SegmentError> {
        if !self.cutter.audio.has_header(codec, header) {
            self.cutter.audio.forget_header();
            let is_other = self
                .cutter
                .container
                .set_audio(codec, header)
                .inspect_err(|error| self.cutter.audio.set_fault(*error))?;
            self.cutter.audio.set_header(codec, header, is_other);
            self.cutter.drop_held();
        }
        self.interleaver.announce(Lane::Audio);
        Ok(())
    }

    /// Frames that come before their sequence header are left out without a word, others with an error.
    fn unless_headless(
        &mut self,
        codec: Codec,
        time_ms: i64,
        read: Result<Option<C::Frame>, ContainerError>,
    ) -> Result<Option<C::Frame>, SegmentError> {
        if read.is_err() {
            self.refused_frames += 1;
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
            Codec::Video(_) if !self.cutter.audio.is_known() => {
                self.cutter.video.header_fault(time_ms, Expectation::Unknown.other_track_wait_ms())
            }
            Codec::Audio(_) if !self.cutter.video.is_known() => {
                self.cutter.audio.header_fault(time_ms, self.cutter.expectation.other_track_wait_ms())
            }
            _ => None,
        };
        reason.map_or(Ok(()), |reason| Err(Unsupported { codec, reason }.into()))
    }
}

/// The payload behind the tag's own header, without a copy.
fn behind(payload: &Bytes, offset: usize) -> Bytes {
    payload.get(offset..).map_or_else(Bytes::new, |data| payload.slice_ref(data))
}

/// Returns whether frames of this codec need a sequence header before them.
fn has_sequence_header(codec: AudioCodec) -> bool {
    matches!(codec, AudioCodec::Aac | AudioCodec::Opus | AudioCodec::Flac)
}

#[cfg(test)]
mod tests;
