//! The boundaries between segments.
//!
//! While video goes on, segments begin with its keyframes, however far apart those are: players that begin elsewhere fail or
//! play audio alone. While video has paused, audio goes on in segments of the target's length.

use std::collections::VecDeque;

use super::{
    arrival::Arrival,
    config::SegmenterConfig,
    cut::{Cut, OpenAt},
};
use crate::{
    flv::{audio::AudioCodec, video::VideoCodec},
    hls::{
        audio_clock::AudioTime,
        buffer_pool::BufferPool,
        container::{Container, Lead},
        continuity::Continuity,
        interleaver::{Lane, Pauses, Released},
        lead_in::{Expectation, LeadIn, LeadInStep},
        open_segment::OpenSegment,
        segment::Output,
        segment_track::{Gate, SegmentTrack},
    },
};

mod beginning;
mod parts;
mod turns;
mod upgrade;

use self::beginning::Beginning;
pub(super) use self::upgrade::{COUNT_MAX, CutterState};

/// Timestamps that leap further are a discontinuity.
const LEAP_MAX_MS: i64 = 10_000;

/// Puts frames into segments and parts. It and its reader share the tracks, whose sequence headers decide as well.
#[derive(Debug)]
pub(super) struct Cutter<C: Container> {
    config: SegmenterConfig,
    pub(super) container: C,
    buffers: BufferPool,
    continuity: Continuity,
    state: State<C::Frame>,
    pub(super) video: SegmentTrack<VideoCodec>,
    pub(super) audio: SegmentTrack<AudioCodec>,
    pub(super) expectation: Expectation,
    /// As of the frame that is being placed.
    pauses: Pauses,
    /// The decoding time of the next video frame, if it has arrived: of the frame being placed, or of the waiting one.
    next_video_ms: Option<i64>,
    /// The end of the silence that stands in for audio.
    silence: Option<AudioTime>,
    /// The owner or the clock said that the next segment does not continue the last one.
    spliced: bool,
    has_produced: bool,
    finished: VecDeque<Output>,
    /// Frames that are in no segment.
    pub(super) dropped_frames: u64,
    /// Frames that are behind others of their segment though they belong in front of them.
    pub(super) late_frames: u64,
}

#[derive(Debug)]
enum State<F> {
    Waiting(LeadIn<F>),
    Open(OpenSegment<F>),
}

impl<C: Container> Cutter<C> {
    pub(super) fn new(config: SegmenterConfig, container: C, buffers: BufferPool) -> Self {
        Self {
            config,
            container,
            buffers,
            continuity: Continuity::default(),
            state: State::Waiting(LeadIn::new()),
            video: SegmentTrack::new(Gate::NextSegment),
            audio: SegmentTrack::new(Gate::Open),
            expectation: Expectation::Unknown,
            pauses: Pauses::default(),
            next_video_ms: None,
            silence: None,
            spliced: false,
            has_produced: false,
            finished: VecDeque::new(),
            dropped_frames: 0,
            late_frames: 0,
        }
    }

    /// Returns whether a segment is being filled.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// A tag with this body came. Frames of it may keep it in memory.
    pub(super) fn note_tag(&mut self, body_bytes: usize) {
        if let State::Open(open) = &mut self.state {
            open.note_tag(body_bytes);
        }
    }

    /// Lets go of audio that waits for video to come first.
    pub(super) fn drop_held(&mut self) {
        if let State::Waiting(lead_in) = &mut self.state {
            self.dropped_frames += lead_in.drop_held();
        }
    }

    /// Returns the next finished output, in order.
    pub(super) fn next_output(&mut self) -> Option<Output> {
        self.finished.pop_front()
    }

    /// Takes the next frame in the order of time.
    pub(super) fn place(&mut self, released: Released<Arrival<C::Frame>>, pauses: Pauses) {
        self.pauses = pauses;
        let Released { lane, time_ms, late_ms, item } = released;
        self.late_frames += u64::from(late_ms > C::LATE_MAX_MS);
        self.splice_at_leap(lane, time_ms);
        let next_video_in_ms = pauses.next_video_ms.map(|next_ms| next_ms.saturating_sub(time_ms));
        let time_ms = self.continuity.place(time_ms);
        let next_video_in_ms = next_video_in_ms.filter(|in_ms| (0..=LEAP_MAX_MS).contains(in_ms));
        self.next_video_ms = match lane {
            Lane::Video => Some(time_ms),
            Lane::Audio => next_video_in_ms.map(|in_ms| time_ms.saturating_add(in_ms)),
        };
        match lane {
            Lane::Video => self.place_video(time_ms, item),
            Lane::Audio => self.place_audio(time_ms, item),
        }
    }

    /// Ends the segment: the media that follows does not continue it.
    pub(super) fn splice(&mut self, pauses: Pauses) {
        self.pauses = pauses;
        self.next_video_ms = None;
        self.close(None, Cut::Regular);
        self.spliced = true;
        self.silence = None;
        self.continuity = Continuity::default();
        self.video.gate = Gate::NextSegment;
        self.audio.gate = Gate::Open;
        self.video.forget_frames();
        self.audio.forget_frames();
    }

    fn place_video(&mut self, time_ms: i64, arrival: Arrival<C::Frame>) {
        let Arrival { frame, keyframe, begins_config } = arrival;
        if begins_config {
            self.video.gate = Gate::NextSegment;
        }
        if !keyframe && self.video.gate != Gate::Open {
            self.dropped_frames += 1;
            return;
        }
        self.fill_with_silence(time_ms);
        match self.cut_before_video(time_ms, keyframe) {
            Some(cut) if keyframe => {
                self.turn(cut, Beginning { lead: Lead::Video, first_ms: time_ms, independent: true });
            }
            Some(cut) => self.turn_while_video_goes_on(cut, time_ms),
            None => {}
        }
        if keyframe {
            self.video.gate = Gate::Open;
            self.note_keyframe(time_ms);
        }
        self.end_part_before(Lane::Video, time_ms);
        self.video.note_frame(time_ms);
        if let State::Open(open) = &mut self.state {
            open.hold_video::<C>(time_ms, frame, keyframe);
        }
    }

    /// A keyframe that comes late may be the one for which a segment without one did not wait.
    fn note_keyframe(&mut self, time_ms: i64) {
        if let State::Open(open) = &mut self.state {
            open.independent |= open.age_ms(time_ms) <= 0;
            open.repeats = false;
        }
    }

    fn place_audio(&mut self, time_ms: i64, arrival: Arrival<C::Frame>) {
        if arrival.begins_config {
            self.note_audio_config();
        }
        if self.silence.is_some_and(|silence| time_ms < silence.time_ms()) {
            self.dropped_frames += 1;
            return;
        }
        self.silence = None;
        if let State::Waiting(lead_in) = &mut self.state {
            match lead_in.audio(time_ms, arrival.frame, self.expectation) {
                LeadInStep::Held => {}
                LeadInStep::Drop => self.dropped_frames += 1,
                LeadInStep::Begin(held) => self.begin_with_audio(held),
            }
            return;
        }
        match self.cut_before_audio(time_ms) {
            Some((cut, Lead::Audio)) => {
                self.turn(cut, Beginning { lead: Lead::Audio, first_ms: time_ms, independent: true });
            }
            Some((cut, Lead::Video)) => self.turn_within_gop(cut, time_ms),
            None => {}
        }
        self.hold_audio(time_ms, arrival.frame);
    }

    /// Puts silence up to `time_ms` beside video, if audio that was announced is missing: players wait for a track that they
    /// know of, and most cannot take up one that they did not find at the start.
    fn fill_with_silence(&mut self, time_ms: i64) {
        let State::Open(open) = &self.state else { return };
        if open.lead != Lead::Video || !self.pauses.audio_is_missing {
            return;
        }
        let Some((frame, span)) = self.container.silence() else { return };
        // Tracks may be any time apart.
        let earliest_ms = time_ms.saturating_sub(LEAP_MAX_MS);
        let from_ms = self.audio.end_ms(i64::MIN).unwrap_or(open.first_ms).max(earliest_ms);
        if self.audio.take_new_header() {
            self.note_audio_config();
        }
        let goes_on =
            |silence: &AudioTime| silence.rate_hz == span.rate_hz && silence.time_ms() >= earliest_ms;
        let silence = self.silence.filter(goes_on);
        let mut next = silence.unwrap_or(AudioTime { from_ms, samples: 0, rate_hz: span.rate_hz });
        while next.time_ms() < time_ms {
            self.hold_audio(next.time_ms(), frame.clone());
            next = next.after(span);
        }
        self.silence = Some(next);
    }

    /// Frames of another configuration wait for the next segment, unless the open one has no audio yet: both tracks of a
    /// publisher may have changed at once, and video has begun a segment for it.
    fn note_audio_config(&mut self) {
        if self.audio.last_ms().is_none() {
            return;
        }
        match &mut self.state {
            State::Open(open) if !open.has_settled_audio::<C>() => open.discontinuity = true,
            _ => self.audio.gate = Gate::NextSegment,
        }
    }

    /// Opens the first segment of a stream without video, with what was held.
    fn begin_with_audio(&mut self, held: Vec<(i64, C::Frame)>) {
        let Some((first_ms, _)) = held.first() else { return };
        self.open(Beginning { lead: Lead::Audio, first_ms: *first_ms, independent: true });
        held.into_iter().for_each(|(time_ms, frame)| self.hold_audio(time_ms, frame));
    }

    fn hold_audio(&mut self, time_ms: i64, frame: C::Frame) {
        if self.audio.gate == Gate::NextSegment {
            self.dropped_frames += 1;
            return;
        }
        self.end_part_before(Lane::Audio, time_ms);
        self.audio.note_frame(time_ms);
        self.hold(time_ms, frame);
    }

    /// Returns whether audio may come beside video, though there may be none in the part.
    fn expects_audio(&self) -> bool {
        self.audio.is_known() && (!self.pauses.audio_is_missing || self.container.silence().is_some())
    }

    fn hold(&mut self, time_ms: i64, frame: C::Frame) {
        if let State::Open(open) = &mut self.state {
            open.hold::<C>(time_ms, frame);
        }
    }

    /// The cut in front of a frame of video. Before the first segment, any frame that gets here begins it.
    fn cut_before_video(&self, time_ms: i64, keyframe: bool) -> Option<Cut> {
        self.open_at(time_ms).map_or(Some(Cut::Regular), |open| open.before_video(&self.config, keyframe))
    }

    fn cut_before_audio(&self, time_ms: i64) -> Option<(Cut, Lead)> {
        let open = self.open_at(time_ms)?;
        Some((open.before_audio(&self.config)?, open.lead))
    }

    fn open_at(&self, time_ms: i64) -> Option<OpenAt> {
        let State::Open(open) = &self.state else { return None };
        Some(OpenAt {
            lead: open.lead,
            age_ms: open.age_ms(time_ms),
            is_first: !self.has_produced,
            is_stopgap: open.repeats || !open.independent,
            is_full: open.is_full(),
            has_new_video: self.video.gate == Gate::NextSegment,
            has_new_audio: self.audio.gate == Gate::NextSegment,
            video_has_paused: self.pauses.video_has_paused,
        })
    }

    /// A leap within the feed is a splice, else one segment would be as long as the leap. A track that comes back after a
    /// pause goes on beside the other one, and one that is far behind it goes on by itself.
    fn splice_at_leap(&mut self, lane: Lane, time_ms: i64) {
        let is_near = |known_ms: i64| time_ms.saturating_sub(known_ms).saturating_abs() <= LEAP_MAX_MS;
        if self.continuity.latest_ms().is_none_or(is_near) {
            return;
        }
        let State::Open(open) = &self.state else { return };
        let own_ms = match lane {
            Lane::Video => self.video.last_ms(),
            Lane::Audio => self.audio.last_ms(),
        };
        if own_ms.is_some_and(|placed_ms| is_near(self.continuity.original_ms(placed_ms))) {
            return;
        }
        self.expectation = match open.lead {
            Lead::Video => Expectation::Video,
            Lead::Audio => Expectation::AudioOnly,
        };
        self.splice(self.pauses);
    }
}
