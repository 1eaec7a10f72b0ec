//! The turn from one segment to the next.

use super::{Cutter, State, beginning::Beginning};
use crate::hls::{
    container::{Container, Lead, Timed},
    interleaver::Lane,
    lead_in::LeadIn,
    open_segment::{OpenSegment, PartEnd},
    segment::{Output, Segment},
    segment_track::Gate,
    segmenter::cut::Cut,
};

impl<C: Container> Cutter<C> {
    /// Ends the open segment and begins the next one without a keyframe. Frames that go on need all of their GOP.
    pub(super) fn turn_while_video_goes_on(&mut self, cut: Cut, first_ms: i64) {
        let State::Open(open) = &self.state else { return };
        if open.is_gop_repeatable() {
            self.turn_within_gop(cut, first_ms);
        } else {
            self.turn(cut, Beginning { lead: Lead::Video, first_ms, independent: false });
        }
    }

    /// Ends the open segment and begins the next one with the GOP so far, as a viewer who joins gets it. If a part of it has
    /// to do, what comes next of it cannot be decoded.
    pub(super) fn turn_within_gop(&mut self, cut: Cut, first_ms: i64) {
        let State::Open(open) = &mut self.state else { return };
        let gop = open.gop_before::<C>(first_ms);
        if !gop.is_empty() && !open.is_gop_repeatable() && self.video.gate == Gate::Open {
            self.video.gate = Gate::Keyframe;
        }
        open.repeats = true;
        open.video_after_ms = gop.first().map(|timed| timed.time_ms);
        // Parts that end here come before the repeated frames.
        let next_video_ms = open.video_after_ms.or(self.next_video_ms);
        let next_video_ms = std::mem::replace(&mut self.next_video_ms, next_video_ms);
        self.turn(cut, Beginning { lead: Lead::Video, first_ms, independent: !gop.is_empty() });
        self.next_video_ms = next_video_ms;
        let State::Open(open) = &mut self.state else { return };
        open.repeats = !gop.is_empty();
        for (at, Timed { time_ms, frame }) in gop.into_iter().enumerate() {
            open.hold_video::<C>(time_ms, frame, at == 0);
        }
    }

    /// Ends the open segment, if there is one, and begins the next one.
    pub(super) fn turn(&mut self, cut: Cut, next: Beginning) {
        if let State::Open(open) = &mut self.state
            && open.repeats
        {
            open.fill_to::<C>(next.first_ms);
        }
        self.close(Some(next.first_ms), cut);
        self.open(next);
    }

    pub(super) fn open(&mut self, Beginning { lead, first_ms, independent }: Beginning) {
        let has_new_video = lead == Lead::Video && independent && self.video.gate == Gate::NextSegment;
        let has_new_audio = self.audio.gate == Gate::NextSegment;
        let discontinuity = std::mem::take(&mut self.spliced) || has_new_video || has_new_audio;
        if discontinuity {
            self.container.discontinuity();
        }
        self.audio.gate = Gate::Open;
        let mut open = OpenSegment::new(lead, first_ms, self.continuity.original_ms(first_ms));
        open.discontinuity = discontinuity && self.has_produced;
        open.independent = independent;
        self.state = State::Open(open);
    }

    /// Ends the open segment, if there is one, where the next one begins, or else where its own last frame does.
    pub(super) fn close(&mut self, next_first_ms: Option<i64>, cut: Cut) {
        let own_end_ms = match &self.state {
            State::Open(open) => Some(self.own_end_ms(open)),
            State::Waiting(_) => None,
        };
        if let Some(end_ms) = next_first_ms.or(own_end_ms) {
            self.end_late_part(Lane::Video, end_ms);
        }
        let state = std::mem::replace(&mut self.state, State::Waiting(LeadIn::new()));
        let open = match state {
            State::Open(open) => open,
            State::Waiting(mut lead_in) => {
                self.dropped_frames += lead_in.drop_held();
                return;
            }
        };
        let end_ms = next_first_ms.unwrap_or_else(|| self.own_end_ms(&open));
        let end = PartEnd::here(Lane::Video, end_ms).no_longer_than(self.part_limit_ms());
        let expects_audio = self.expects_audio();
        let written = open.finish(&mut self.container, &self.buffers, end, expects_audio);
        self.dropped_frames += written.left_out;
        self.finished
            .push_back(Output::Segment(Segment { forced_cut: cut == Cut::Forced, ..written.segment }));
        self.has_produced = true;
    }

    fn own_end_ms(&self, open: &OpenSegment<C::Frame>) -> i64 {
        let (video, audio) = (self.video.end_ms(open.first_ms), self.audio.end_ms(open.first_ms));
        let end_ms = match open.lead {
            Lead::Video if self.pauses.video_has_paused => audio.or(video),
            Lead::Video => video.or(audio),
            Lead::Audio => audio.or(video),
        };
        end_ms.unwrap_or(open.first_ms)
    }
}
