//! When a stream's media goes out.

use std::{sync::Arc, time::Duration};

use actix::{AsyncContext, Context};
use log::warn;
use synctv_media::{
    batch::{Batch, Batches},
    gop::Kept,
};
use tokio::time::Instant;

use super::StreamActor;

/// How long sound waits for a picture to ride along with, when media is flushed with every picture.
pub(super) const AUDIO_WAIT: Duration = Duration::from_millis(100);

/// Pictures do not come to the millisecond: one that comes so shortly before the end of an interval ends it.
const EARLY_PICTURE: Duration = Duration::from_millis(10);

/// So long after its end, an interval is ended without the picture that might have ended it.
const LATE_PICTURE: Duration = Duration::from_millis(5);

/// When a stream's media goes to its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// As it arrives: the lowest delay, the most writes.
    EveryTag,
    /// With every picture; sound rides along.
    EveryPicture,
    /// At this interval: the fewest writes.
    Every(Duration),
}

/// Whether a flush is due.
#[derive(Debug, Clone, Copy)]
pub(super) enum FlushTimer {
    Idle,
    /// A timer runs for the media that came first after the last flush, at `since`.
    Armed {
        since: Instant,
    },
    /// A timer runs, but its media went out already.
    Spent,
}

impl StreamActor {
    /// Sends what waits if it is time to, after new frames came. Sound rides along with the next picture, if there are any.
    pub(super) fn flush_when_due(&mut self, has_new_picture: bool, ctx: &mut Context<Self>) {
        let is_flush_point = has_new_picture || self.batcher.headers().video_codec().is_none();
        match self.settings.flush {
            Flush::EveryTag => self.flush(),
            Flush::EveryPicture if is_flush_point => self.flush(),
            Flush::EveryPicture => self.arm_flush(AUDIO_WAIT, ctx),
            Flush::Every(interval) if is_flush_point && self.is_interval_over(interval) => self.flush(),
            Flush::Every(interval) => self.arm_flush(interval + LATE_PICTURE, ctx),
        }
    }

    fn is_interval_over(&self, interval: Duration) -> bool {
        self.last_flush.is_none_or(|last| last.elapsed() + EARLY_PICTURE >= interval)
    }

    /// Cancelling a timer at each flush would cost more than letting the last one fire and looking again.
    fn arm_flush(&mut self, delay: Duration, ctx: &mut Context<Self>) {
        let since = Instant::now();
        match self.flush_timer {
            FlushTimer::Armed { .. } => {}
            FlushTimer::Spent => self.flush_timer = FlushTimer::Armed { since },
            FlushTimer::Idle => {
                self.flush_timer = FlushTimer::Armed { since };
                ctx.run_later(delay, move |stream, ctx| stream.flush_timer_fired(delay, ctx));
            }
        }
    }

    fn flush_timer_fired(&mut self, delay: Duration, ctx: &mut Context<Self>) {
        let FlushTimer::Armed { since } = self.flush_timer else {
            self.flush_timer = FlushTimer::Idle;
            return;
        };
        let remaining = delay.saturating_sub(since.elapsed());
        if remaining.is_zero() {
            self.flush_timer = FlushTimer::Idle;
            self.flush();
        } else {
            ctx.run_later(remaining, move |stream, ctx| stream.flush_timer_fired(delay, ctx));
        }
    }

    pub(super) fn flush(&mut self) {
        if !self.batcher.has_pending() {
            return;
        }
        if let FlushTimer::Armed { .. } = self.flush_timer {
            self.flush_timer = FlushTimer::Spent;
        }
        self.last_flush = Some(Instant::now());
        let batches = Batches::from(self.batcher.flush());
        for batch in &*batches {
            self.stats.count(batch.flv.len());
            self.keep(batch);
        }
        self.subscribers.send(&batches, &self.room);
    }

    fn keep(&mut self, batch: &Arc<Batch>) {
        if self.gops.push(batch) == Kept::GopTooLarge {
            self.oversized_gops += 1;
            if self.oversized_gops == 1 {
                warn!(room = self.room.as_str(), limit_bytes = self.settings.gop.size_max_bytes;
                    "a GOP is larger than the cache: viewers wait for the next keyframe");
            }
        }
    }
}
