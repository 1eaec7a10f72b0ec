//! Where one segment ends and the next begins.

use bytes::Bytes;

use super::{
    buffer_pool::BufferPool,
    container::{Container, ContainerError, Lead},
    lead_in::{Expectation, LeadIn, LeadInStep},
    open_segment::{OpenSegment, Written},
    segment::{Segment, SegmentError},
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

/// Timestamps in milliseconds are rounded, so that a GOP of 2 s may be 1,999 ms long.
const CUT_TOLERANCE_MS: i64 = 50;

/// A keyframe that is due may come behind audio that is a little later than it.
const INTERLEAVE_MS: i64 = 1_000;

/// When to cut, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmenterConfig {
    /// The first keyframe at or after this age of a segment begins the next one; without video, the first frame.
    pub target_ms: u32,
    /// The same for the first segment alone, if there is video: a short one lets the first viewers begin early.
    pub first_target_ms: u32,
    /// At this age a segment is cut without a keyframe. Timestamps that leap further are a discontinuity.
    pub gop_max_ms: u32,
}

impl Default for SegmenterConfig {
    fn default() -> Self {
        Self { target_ms: 2_000, first_target_ms: 2_000, gop_max_ms: 10_000 }
    }
}

/// Cuts one stream into segments. Fed with the bodies of its FLV tags, it hands out each segment when the first frame of
/// the next one comes.
#[derive(Debug)]
pub struct Segmenter<C: Container = TsContainer> {
    config: SegmenterConfig,
    container: C,
    buffers: BufferPool,
    state: State<C::Frame>,
    video: SegmentTrack<VideoCodec>,
    audio: SegmentTrack<AudioCodec>,
    expectation: Expectation,
    /// The owner or the clock said that the next segment does not continue the last one.
    spliced: bool,
    has_produced: bool,
    dropped_frames: u64,
}

#[derive(Debug)]
enum State<F> {
    Waiting(LeadIn<F>),
    Open(OpenSegment<F>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Regular,
    Forced,
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
            state: State::Waiting(LeadIn::new()),
            video: SegmentTrack::new(Gate::NextSegment),
            audio: SegmentTrack::new(Gate::Open),
            expectation: Expectation::Unknown,
            spliced: false,
            has_produced: false,
            dropped_frames: 0,
        }
    }

    /// What the metadata says of video, so that sound without it need not be held back for a second. A hint that proves
    /// wrong costs a discontinuity. Holds until [`discontinuity`](Self::discontinuity).
    pub fn set_tracks(&mut self, has_video: Option<bool>) {
        self.expectation = match has_video {
            Some(true) => Expectation::Video,
            Some(false) => Expectation::AudioOnly,
            None => Expectation::Unknown,
        };
    }

    /// Takes the body of an FLV tag at its decoding time. The times of each track must not go back. Sequence headers belong
    /// to the feed, and so does data, as frames may keep the memory of the tags beside them. Returns the segment that this
    /// frame ended.
    pub fn push(
        &mut self,
        track: Track,
        time_ms: i64,
        payload: &Bytes,
    ) -> Result<Option<Segment>, SegmentError> {
        let finished = match track {
            Track::Video => self.push_video(time_ms, payload),
            Track::Audio => self.push_audio(time_ms, payload),
            Track::Data => Ok(None),
        };
        if let State::Open(open) = &mut self.state {
            open.note_tag(payload.len());
        }
        finished
    }

    /// What comes next does not continue what came: another publisher, or its timeline is another one. Returns the
    /// segment that was open. Sequence headers stay known until others come.
    pub fn discontinuity(&mut self) -> Option<Segment> {
        let finished = self.splice();
        self.expectation = Expectation::Unknown;
        finished
    }

    /// The stream ended. Returns the segment that was open.
    pub fn finish(&mut self) -> Option<Segment> {
        self.splice()
    }

    /// Frames of audio and video that are in no segment: before the first keyframe, without or malformed, or between a
    /// new sequence header and the next segment.
    pub fn dropped_frames(&self) -> u64 {
        self.dropped_frames
    }

    fn push_video(&mut self, time_ms: i64, payload: &Bytes) -> Result<Option<Segment>, SegmentError> {
        let header = VideoHeader::parse(payload)?;
        let data = behind(payload, header.data_offset);
        match header.kind {
            VideoKind::SequenceHeader => self.video_header(header.codec, &data).map(|()| None),
            VideoKind::Keyframe | VideoKind::Inter => {
                let read = self.container.video(&header, time_ms, data);
                let frame = self.unless_headless(read)?;
                Ok(frame
                    .and_then(|frame| self.place_video(time_ms, header.kind == VideoKind::Keyframe, frame)))
            }
            VideoKind::Other => Ok(None),
        }
    }

    fn push_audio(&mut self, time_ms: i64, payload: &Bytes) -> Result<Option<Segment>, SegmentError> {
        let header = AudioHeader::parse(payload)?;
        let data = match self.state {
            State::Open(_) => behind(payload, header.data_offset),
            // Held for longer than its batch, which may be far larger, and counted nowhere.
            State::Waiting(_) => {
                Bytes::copy_from_slice(payload.get(header.data_offset..).unwrap_or_default())
            }
        };
        match header.kind {
            AudioKind::SequenceHeader => self.audio_header(header.codec, &data).map(|()| None),
            AudioKind::Coded => {
                if !has_sequence_header(header.codec) {
                    self.audio_header(header.codec, &[])?;
                }
                let read = self.container.audio(header.codec, time_ms, data);
                let frame = self.unless_headless(read)?;
                Ok(frame.and_then(|frame| self.place_audio(time_ms, frame)))
            }
            AudioKind::Other => Ok(None),
        }
    }

    fn video_header(&mut self, codec: VideoCodec, header: &[u8]) -> Result<(), SegmentError> {
        if self.video.has_header(codec, header) {
            return Ok(());
        }
        self.video.forget_header();
        self.container.set_video(codec, header)?;
        self.video.set_header(codec, header);
        self.video.gate = Gate::NextSegment;
        self.expectation = Expectation::Video;
        if let State::Waiting(lead_in) = &mut self.state {
            self.dropped_frames += lead_in.drop_held();
        }
        Ok(())
    }

    fn audio_header(&mut self, codec: AudioCodec, header: &[u8]) -> Result<(), SegmentError> {
        if self.audio.has_header(codec, header) {
            return Ok(());
        }
        self.audio.forget_header();
        self.container.set_audio(codec, header)?;
        self.audio.set_header(codec, header);
        match &mut self.state {
            State::Waiting(lead_in) => self.dropped_frames += lead_in.drop_held(),
            State::Open(_) if self.audio.last_ms().is_some() => self.audio.gate = Gate::NextSegment,
            // AudioFrame that begins while a segment is open joins it.
            State::Open(_) => {}
        }
        Ok(())
    }

    /// Frames that come before their sequence header are left out without a word, others with an error.
    fn unless_headless(
        &mut self,
        read: Result<C::Frame, ContainerError>,
    ) -> Result<Option<C::Frame>, SegmentError> {
        if read.is_err() {
            self.dropped_frames += 1;
        }
        match read {
            Ok(frame) => Ok(Some(frame)),
            Err(ContainerError::NoHeader) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn place_video(&mut self, time_ms: i64, keyframe: bool, frame: C::Frame) -> Option<Segment> {
        let before_leap = self.splice_at_leap(time_ms);
        let cut = match &self.state {
            _ if !keyframe && self.video.gate == Gate::NextSegment => {
                self.dropped_frames += 1;
                return before_leap;
            }
            State::Waiting(_) => Some(Cut::Regular),
            State::Open(open) => self.cut_before_video(open, time_ms, keyframe),
        };
        let finished = cut.and_then(|cut| self.turn(cut, Lead::Video, time_ms, keyframe));
        if keyframe {
            self.video.gate = Gate::Open;
        }
        self.video.note_frame(time_ms);
        self.hold(frame);
        before_leap.or(finished)
    }

    fn place_audio(&mut self, time_ms: i64, frame: C::Frame) -> Option<Segment> {
        let before_leap = self.splice_at_leap(time_ms);
        if let State::Waiting(lead_in) = &mut self.state {
            match lead_in.audio(time_ms, frame, self.expectation, self.config.stall_max_ms()) {
                LeadInStep::Held => {}
                LeadInStep::Drop => self.dropped_frames += 1,
                LeadInStep::Begin(held) => self.begin_with_audio(held),
            }
            return before_leap;
        }
        let turned = self.cut_before_audio(time_ms);
        let finished = turned.and_then(|(cut, lead)| self.turn(cut, lead, time_ms, lead == Lead::Audio));
        self.hold_audio(time_ms, frame);
        before_leap.or(finished)
    }

    /// Opens the first segment of a stream without video, with what was held.
    fn begin_with_audio(&mut self, held: Vec<(i64, C::Frame)>) {
        let Some((first_ms, _)) = held.first() else { return };
        self.open(Lead::Audio, *first_ms, true);
        held.into_iter().for_each(|(time_ms, frame)| self.hold_audio(time_ms, frame));
    }

    fn hold_audio(&mut self, time_ms: i64, frame: C::Frame) {
        if self.audio.gate == Gate::NextSegment {
            self.dropped_frames += 1;
            return;
        }
        self.audio.note_frame(time_ms);
        self.hold(frame);
    }

    fn hold(&mut self, frame: C::Frame) {
        if let State::Open(open) = &mut self.state {
            open.hold::<C>(frame);
        }
    }

    fn due_ms(&self) -> i64 {
        let target_ms = if self.has_produced { self.config.target_ms } else { self.config.first_target_ms };
        i64::from(target_ms) - CUT_TOLERANCE_MS
    }

    fn cut_before_video(&self, open: &OpenSegment<C::Frame>, time_ms: i64, keyframe: bool) -> Option<Cut> {
        let age_ms = open.age_ms(time_ms);
        let has_new_header = self.video.gate == Gate::NextSegment || self.audio.gate == Gate::NextSegment;
        // Behind a forced cut, segments begin with keyframes again as soon as there is one.
        if keyframe && (has_new_header || !open.independent || age_ms >= self.due_ms()) {
            return Some(Cut::Regular);
        }
        (age_ms >= i64::from(self.config.gop_max_ms) || open.is_full()).then_some(Cut::Forced)
    }

    fn cut_before_audio(&self, time_ms: i64) -> Option<(Cut, Lead)> {
        let State::Open(open) = &self.state else {
            return None;
        };
        let age_ms = open.age_ms(time_ms);
        let has_new_header = self.audio.gate == Gate::NextSegment;
        if open.lead == Lead::Audio && (has_new_header || age_ms >= i64::from(self.config.target_ms)) {
            return Some((Cut::Regular, open.lead));
        }
        (age_ms >= self.config.stall_max_ms() || open.is_full()).then_some((Cut::Forced, open.lead))
    }

    /// Ends the open segment, if there is one, and begins the next one.
    fn turn(&mut self, cut: Cut, lead: Lead, time_ms: i64, independent: bool) -> Option<Segment> {
        let finished = self.close(Some(time_ms), cut);
        self.open(lead, time_ms, independent);
        finished
    }

    fn open(&mut self, lead: Lead, first_ms: i64, independent: bool) {
        let has_new_video = lead == Lead::Video && independent && self.video.gate == Gate::NextSegment;
        let has_new_audio = self.audio.gate == Gate::NextSegment;
        let discontinuity = std::mem::take(&mut self.spliced) || has_new_video || has_new_audio;
        if discontinuity {
            self.container.discontinuity();
        }
        self.audio.gate = Gate::Open;
        let discontinuity = discontinuity && self.has_produced;
        self.state = State::Open(OpenSegment::new(lead, first_ms, discontinuity, independent));
    }

    /// Ends the open segment, if there is one, where the next one begins, or else where its own last frame does.
    fn close(&mut self, next_first_ms: Option<i64>, cut: Cut) -> Option<Segment> {
        let state = std::mem::replace(&mut self.state, State::Waiting(LeadIn::new()));
        let open = match state {
            State::Open(open) => open,
            State::Waiting(mut lead_in) => {
                self.dropped_frames += lead_in.drop_held();
                return None;
            }
        };
        let Written { bytes, has_other_tracks } = open.write(&mut self.container, &self.buffers);
        let end_ms = next_first_ms.unwrap_or_else(|| self.own_end_ms(&open));
        let segment = Segment {
            bytes,
            duration_ms: u64::try_from(end_ms.saturating_sub(open.first_ms)).unwrap_or(0),
            first_ms: open.first_ms,
            discontinuity: open.discontinuity || has_other_tracks,
            forced_cut: cut == Cut::Forced,
            independent: open.independent,
        };
        self.has_produced = true;
        Some(segment)
    }

    fn own_end_ms(&self, open: &OpenSegment<C::Frame>) -> i64 {
        let (video, audio) = (self.video.end_ms(open.first_ms), self.audio.end_ms(open.first_ms));
        let end_ms = match open.lead {
            Lead::Video => video.or(audio),
            Lead::Audio => audio.or(video),
        };
        end_ms.unwrap_or(open.first_ms)
    }

    fn splice(&mut self) -> Option<Segment> {
        let finished = self.close(None, Cut::Regular);
        self.spliced = true;
        self.video.gate = Gate::NextSegment;
        self.audio.gate = Gate::Open;
        self.video.forget_frames();
        self.audio.forget_frames();
        finished
    }

    /// A leap within the feed is a splice, else one segment would be as long as the leap.
    fn splice_at_leap(&mut self, time_ms: i64) -> Option<Segment> {
        let State::Open(open) = &self.state else {
            return None;
        };
        let lead = open.lead;
        let latest_ms = self.video.last_ms().max(self.audio.last_ms())?;
        let leap_ms = time_ms.saturating_sub(latest_ms).saturating_abs();
        if leap_ms <= i64::from(self.config.gop_max_ms) {
            return None;
        }
        self.expectation = match lead {
            Lead::Video => Expectation::Video,
            Lead::Audio => Expectation::AudioOnly,
        };
        self.splice()
    }
}

impl SegmenterConfig {
    /// How long audio goes on beside video that does not.
    fn stall_max_ms(&self) -> i64 {
        i64::from(self.gop_max_ms) + INTERLEAVE_MS
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
