//! Where one segment ends and the next begins.

use bytes::Bytes;

use super::{
    container::{Container, ContainerError, Lead},
    lead_in::{Expectation, LeadIn, LeadInStep},
    segment::{OpenSegment, SEGMENT_MAX_BYTES, Segment, SegmentError},
    segment_track::{Gate, SegmentTrack},
    ts_container::TsContainer,
};
use crate::{
    audio::{AudioCodec, AudioHeader, AudioKind},
    frame::Track,
    video::{VideoCodec, VideoHeader, VideoKind},
};

/// Timestamps in milliseconds are rounded, so that a GOP of 2 s may be 1,999 ms long.
const CUT_TOLERANCE_MS: i64 = 50;

/// A keyframe that is due may come behind audio that is a little later than it.
const INTERLEAVE_MS: i64 = 1_000;

const FIRST_CAPACITY_BYTES: usize = 64 * 1024;

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
pub struct Segmenter<C = TsContainer> {
    config: SegmenterConfig,
    container: C,
    state: State,
    video: SegmentTrack<VideoCodec>,
    audio: SegmentTrack<AudioCodec>,
    expectation: Expectation,
    /// The owner or the clock said that the next segment does not continue the last one.
    spliced: bool,
    has_produced: bool,
    last_size_bytes: usize,
    dropped_frames: u64,
}

#[derive(Debug)]
enum State {
    Waiting(LeadIn),
    Open(OpenSegment),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Regular,
    Forced,
}

impl Segmenter {
    /// A segmenter that writes MPEG-TS.
    pub fn new(config: SegmenterConfig) -> Self {
        Self::with_container(config, TsContainer::default())
    }
}

impl<C: Container> Segmenter<C> {
    /// A segmenter that writes whatever `container` does.
    pub fn with_container(config: SegmenterConfig, container: C) -> Self {
        Self {
            config,
            container,
            state: State::Waiting(LeadIn::default()),
            video: SegmentTrack::new(Gate::NextSegment),
            audio: SegmentTrack::new(Gate::Open),
            expectation: Expectation::Unknown,
            spliced: false,
            has_produced: false,
            last_size_bytes: FIRST_CAPACITY_BYTES,
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

    /// Takes the body of an FLV tag at its decoding time. The times of each track must not go back, and sequence headers
    /// belong to the feed. Returns the segment that this frame ended.
    pub fn push(
        &mut self,
        track: Track,
        time_ms: i64,
        payload: &Bytes,
    ) -> Result<Option<Segment>, SegmentError> {
        match track {
            Track::Video => self.push_video(time_ms, payload),
            Track::Audio => self.push_audio(time_ms, payload),
            Track::Data => Ok(None),
        }
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

    fn push_video(&mut self, time_ms: i64, payload: &[u8]) -> Result<Option<Segment>, SegmentError> {
        let header = VideoHeader::parse(payload)?;
        let data = payload.get(header.data_offset..).unwrap_or_default();
        match header.kind {
            VideoKind::SequenceHeader => self.video_header(header.codec, data).map(|()| None),
            VideoKind::Keyframe | VideoKind::Inter => {
                let staged = self.container.stage_video(&header, time_ms, data);
                if !self.is_staged(staged)? {
                    return Ok(None);
                }
                Ok(self.place_video(time_ms, header.kind == VideoKind::Keyframe))
            }
            VideoKind::Other => Ok(None),
        }
    }

    fn push_audio(&mut self, time_ms: i64, payload: &Bytes) -> Result<Option<Segment>, SegmentError> {
        let header = AudioHeader::parse(payload)?;
        let data = payload.get(header.data_offset..).unwrap_or_default();
        match header.kind {
            AudioKind::SequenceHeader => self.audio_header(header.codec, data).map(|()| None),
            AudioKind::Coded => {
                if !has_sequence_header(header.codec) {
                    self.audio_header(header.codec, &[])?;
                }
                if !self.stage_audio(time_ms, payload)? {
                    return Ok(None);
                }
                Ok(self.place_audio(time_ms, payload))
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
            // Sound that begins while a segment is open joins it.
            State::Open(_) => {}
        }
        Ok(())
    }

    fn stage_audio(&mut self, time_ms: i64, payload: &[u8]) -> Result<bool, SegmentError> {
        let header = AudioHeader::parse(payload)?;
        let data = payload.get(header.data_offset..).unwrap_or_default();
        let staged = self.container.stage_audio(header.codec, time_ms, data);
        self.is_staged(staged)
    }

    /// Frames that come before their sequence header are left out without a word, others with an error.
    fn is_staged(&mut self, staged: Result<(), ContainerError>) -> Result<bool, SegmentError> {
        if staged.is_err() {
            self.dropped_frames += 1;
        }
        match staged {
            Ok(()) => Ok(true),
            Err(ContainerError::NoHeader) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn place_video(&mut self, time_ms: i64, keyframe: bool) -> Option<Segment> {
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
        self.write_staged();
        before_leap.or(finished)
    }

    fn place_audio(&mut self, time_ms: i64, payload: &Bytes) -> Option<Segment> {
        let before_leap = self.splice_at_leap(time_ms);
        if let State::Waiting(lead_in) = &mut self.state {
            match lead_in.audio(time_ms, payload, self.expectation, self.config.stall_max_ms()) {
                LeadInStep::Held => {}
                LeadInStep::Drop => self.dropped_frames += 1,
                LeadInStep::Begin(held) => self.begin_with_audio(time_ms, payload, held),
            }
            return before_leap;
        }
        let turned = self.cut_before_audio(time_ms);
        let finished = turned.and_then(|(cut, lead)| self.turn(cut, lead, time_ms, lead == Lead::Audio));
        self.write_audio(time_ms);
        before_leap.or(finished)
    }

    /// Opens the first segment of a stream without video, with what was held and the frame of `payload` behind it.
    fn begin_with_audio(&mut self, time_ms: i64, payload: &Bytes, held: Vec<(i64, Bytes)>) {
        let first_ms = held.first().map_or(time_ms, |(first_ms, _)| *first_ms);
        self.open(Lead::Audio, first_ms, true);
        let last = (time_ms, payload.clone());
        for (frame_ms, payload) in held.into_iter().chain([last]) {
            // Each was staged when it came, and is again without an error.
            if self.stage_audio(frame_ms, &payload).unwrap_or(false) {
                self.write_audio(frame_ms);
            }
        }
    }

    fn write_audio(&mut self, time_ms: i64) {
        if self.audio.gate == Gate::NextSegment {
            self.dropped_frames += 1;
            return;
        }
        self.audio.note_frame(time_ms);
        self.write_staged();
    }

    fn write_staged(&mut self) {
        if let State::Open(open) = &mut self.state {
            self.container.write_staged(&mut open.bytes);
        }
    }

    fn due_ms(&self) -> i64 {
        let target_ms = if self.has_produced { self.config.target_ms } else { self.config.first_target_ms };
        i64::from(target_ms) - CUT_TOLERANCE_MS
    }

    fn cut_before_video(&self, open: &OpenSegment, time_ms: i64, keyframe: bool) -> Option<Cut> {
        let age_ms = time_ms.saturating_sub(open.first_ms);
        let has_new_header = self.video.gate == Gate::NextSegment || self.audio.gate == Gate::NextSegment;
        if keyframe && (has_new_header || age_ms >= self.due_ms()) {
            return Some(Cut::Regular);
        }
        (age_ms >= i64::from(self.config.gop_max_ms) || open.is_full()).then_some(Cut::Forced)
    }

    fn cut_before_audio(&self, time_ms: i64) -> Option<(Cut, Lead)> {
        let State::Open(open) = &self.state else {
            return None;
        };
        let age_ms = time_ms.saturating_sub(open.first_ms);
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
        // A little more than the last one took: copying while it grows would cost more than pages that stay untouched.
        let capacity_bytes = (self.last_size_bytes + self.last_size_bytes / 4).min(SEGMENT_MAX_BYTES);
        let mut bytes = Vec::with_capacity(capacity_bytes);
        self.container.begin_segment(&mut bytes, lead);
        let discontinuity = discontinuity && self.has_produced;
        self.state = State::Open(OpenSegment { lead, bytes, first_ms, discontinuity, independent });
    }

    /// Ends the open segment, if there is one, where the next one begins, or else where its own last frame does.
    fn close(&mut self, next_first_ms: Option<i64>, cut: Cut) -> Option<Segment> {
        let state = std::mem::replace(&mut self.state, State::Waiting(LeadIn::default()));
        let mut open = match state {
            State::Open(open) => open,
            State::Waiting(mut lead_in) => {
                self.dropped_frames += lead_in.drop_held();
                return None;
            }
        };
        let has_other_tracks = self.container.end_segment(&mut open.bytes);
        let end_ms = next_first_ms.unwrap_or_else(|| self.own_end_ms(&open));
        self.last_size_bytes = open.bytes.len();
        let segment = Segment {
            bytes: Bytes::from(open.bytes.into_boxed_slice()),
            duration_ms: u64::try_from(end_ms.saturating_sub(open.first_ms)).unwrap_or(0),
            first_ms: open.first_ms,
            discontinuity: open.discontinuity || has_other_tracks,
            forced_cut: cut == Cut::Forced,
            independent: open.independent,
        };
        self.has_produced = true;
        Some(segment)
    }

    fn own_end_ms(&self, open: &OpenSegment) -> i64 {
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

/// Whether frames of this codec need a sequence header before them.
fn has_sequence_header(codec: AudioCodec) -> bool {
    matches!(codec, AudioCodec::Aac | AudioCodec::Opus | AudioCodec::Flac)
}

#[cfg(test)]
mod tests;
