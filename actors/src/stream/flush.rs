//! When a stream's media goes out.

use std::{sync::Arc, time::Duration};

use actix::{AsyncContext, Context};
use log::warn;
use synctv_media::{batch::Batch, gop::Kept};
use tokio::time::Instant;

use super::StreamActor;

/// How long sound waits for a picture to ride along with, when media is flushed with every picture.
pub(super) const AUDIO_WAIT: Duration = Duration::from_millis(100);

/// A picture that is expected so shortly before an interval's end is not waited for: pictures do not come to the
/// millisecond.
const INTERVAL_TOLERANCE: Duration = Duration::from_millis(10);

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

/// When pictures come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    last: Option<Instant>,
    gap: Option<Duration>,
}

impl Pace {
    pub fn picture(&mut self, now: Instant) {
        self.gap = self.last.map(|last| now - last);
        self.last = Some(now);
    }

    /// When the next one will come if it is as far from the last one as that was from the one before.
    fn next_picture(&self) -> Option<Instant> {
        Some(self.last? + self.gap?)
    }
}

impl StreamActor {
    pub(super) fn flush_when_due(&mut self, ctx: &mut Context<Self>) {
        match self.settings.flush {
            Flush::EveryTag => self.flush(),
            Flush::EveryPicture if self.batcher.has_pending_video() => self.flush(),
            Flush::EveryPicture if self.batcher.headers().video_codec().is_none() => self.flush(),
            Flush::EveryPicture => self.arm_flush(AUDIO_WAIT, ctx),
            Flush::Every(interval) => self.merge(interval, ctx),
        }
    }

    /// A keyframe begins a batch anyway, which is a write for each viewer. So it begins an interval too, which is as long
    /// as any: behind it there is nothing left of the interval that it fell into.
    fn merge(&mut self, interval: Duration, ctx: &mut Context<Self>) {
        let before_keyframe = self.batcher.flush_before_start();
        self.send_out(before_keyframe);
        if self.is_next_picture_too_late(interval) {
            self.flush();
        } else {
            self.arm_flush(interval, ctx);
        }
    }

    /// Whether the next picture will come when what waits has to go: then to wait for less than a picture would only
    /// delay it.
    fn is_next_picture_too_late(&self, interval: Duration) -> bool {
        let FlushTimer::Armed { since } = self.flush_timer else { return false };
        self.pace.next_picture().is_some_and(|next| next + INTERVAL_TOLERANCE >= since + interval)
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
        let batches = self.batcher.flush();
        self.send_out(batches);
    }

    fn send_out(&mut self, batches: Vec<Arc<Batch>>) {
        if let FlushTimer::Armed { .. } = self.flush_timer
            && !batches.is_empty()
        {
            self.flush_timer = FlushTimer::Spent;
        }
        for batch in batches {
            self.stats.count(batch.flv.len());
            self.keep(&batch);
            self.subscribers.send(&batch, &self.room);
        }
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
