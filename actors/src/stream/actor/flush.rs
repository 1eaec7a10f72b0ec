//! The flushes of a stream's media.

use std::{sync::Arc, time::Duration};

use actix::{AsyncContext, Context};
use log::warn;
use synctv_media::stream::{
    batch::{Batch, Batches},
    gop::Kept,
};
use tokio::time::Instant;

use super::StreamActor;
use crate::{
    events::Flush,
    stream::{flush_timer::FlushTimer, ingest::Ingest},
};

/// Time that audio waits for a video frame to be sent with, when media is flushed with every frame.
pub(super) const AUDIO_WAIT: Duration = Duration::from_millis(100);

/// Video frames do not arrive to the millisecond: one that comes in the last tenth of an interval ends it, up to this
/// long before.
const EARLY_FRAME_MAX: Duration = Duration::from_millis(10);

/// Time that a publisher's first frames wait for a track that was announced. Most encoders send all tracks within 100
/// ms, and some send one of them up to 1.5 s late. A microphone that is off never sends anything.
const OPENING_WAIT: Duration = Duration::from_secs(2);

/// Time after its end at which an interval is closed without the video frame that might have closed it.
const LATE_FRAME: Duration = Duration::from_millis(5);

impl StreamActor {
    /// Sends what waits if it is time to. `is_flush_point` if frames came that a flush is best made with.
    pub(super) fn flush_when_due(&mut self, is_flush_point: bool, ctx: &mut Context<Self>) {
        match self.settings.flush {
            Flush::EveryTag => self.flush(),
            Flush::EveryFrame if is_flush_point => self.flush(),
            Flush::EveryFrame => self.arm_flush(Instant::now() + AUDIO_WAIT, ctx),
            Flush::Every(interval) => self.flush_at_interval(interval, is_flush_point, ctx),
        }
    }

    /// Sees to it that the first frames do not wait forever for what may not come.
    pub(super) fn arm_opening(&mut self, ctx: &mut Context<Self>) {
        if self.opening_timer.is_none() {
            self.opening_timer = Some(ctx.run_later(OPENING_WAIT, |stream, _| {
                stream.opening_timer = None;
                stream.batcher.open();
                stream.flush();
                stream.log_notes();
            }));
        }
    }

    fn flush_at_interval(&mut self, interval: Duration, is_flush_point: bool, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let end = self.last_flush.map_or(now, |last| last + interval);
        let early = EARLY_FRAME_MAX.min(interval / 10);
        match self.ingest {
            // Another node has merged it; what comes in pieces belongs together.
            Ingest::Pulled(_) => self.arm_flush(end.max(now) + LATE_FRAME, ctx),
            _ if is_flush_point && now + early >= end => self.flush(),
            // After a silence, what comes first waits for something to go out with.
            _ if now >= end => self.arm_flush(now + interval, ctx),
            _ => self.arm_flush(end + LATE_FRAME, ctx),
        }
    }

    /// Cancelling a timer at each flush would cost more than letting the last one fire and looking again.
    fn arm_flush(&mut self, due: Instant, ctx: &mut Context<Self>) {
        match self.flush_timer {
            FlushTimer::Armed(_) => {}
            FlushTimer::Spent => self.flush_timer = FlushTimer::Armed(due),
            FlushTimer::Idle => {
                self.flush_timer = FlushTimer::Armed(due);
                let remaining = due.saturating_duration_since(Instant::now());
                ctx.run_later(remaining, Self::flush_timer_fired);
            }
        }
    }

    fn flush_timer_fired(&mut self, ctx: &mut Context<Self>) {
        match std::mem::replace(&mut self.flush_timer, FlushTimer::Idle) {
            FlushTimer::Armed(due) if Instant::now() >= due => self.flush(),
            FlushTimer::Armed(due) => self.arm_flush(due, ctx),
            FlushTimer::Idle | FlushTimer::Spent => {}
        }
    }

    pub(super) fn flush(&mut self) {
        if !self.batcher.has_pending() {
            return;
        }
        if let FlushTimer::Armed(_) = self.flush_timer {
            self.flush_timer = FlushTimer::Spent;
        }
        if let Flush::Every(_) = self.settings.flush {
            self.last_flush = Some(Instant::now());
        }
        let batches = Batches::from(self.batcher.flush());
        for batch in &*batches {
            self.stats.count(batch.size_bytes(), self.received);
            if batch.start.is_some()
                && batch.tracks.video
                && let Some(interval_ms) = self.stats.note_keyframe(batch.first_ms)
            {
                self.warn_of_interval(interval_ms);
            }
            self.keep(batch);
        }
        let lost = self.subscribers.send(&batches, self.received, &self.room);
        self.count_flush(lost);
    }

    /// Counts what a flush took in, which up to `lost` subscribers could not take.
    fn count_flush(&mut self, lost: u64) {
        let is_ingest = matches!(self.ingest, Ingest::Published { .. });
        self.meters.add_taken(&mut self.tally, is_ingest, self.gops.size_bytes());
        if lost > 0 {
            self.meters.node().lost_flushes.inc_by(lost);
        }
        self.absence.end(self.received, self.meters.node());
    }

    fn keep(&mut self, batch: &Arc<Batch>) {
        if self.gops.push(batch) == Kept::GopTooLarge {
            self.batcher.gop_outgrown();
            self.oversized_gops += 1;
            if self.oversized_gops == 1 {
                warn!(room = self.room.as_str(), limit_bytes = self.settings.gop.size_max_bytes;
                    "a GOP is larger than the cache: video waits for the next keyframe");
            }
        }
    }
}
