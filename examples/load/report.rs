//! The observations of the viewers, and the cost.

use std::{cell::RefCell, fmt, rc::Rc, time::Duration};

use tokio::time::Instant;

use crate::{args::Args, process::Usage, stamp::Stamp};

/// Without any frame for this long, a viewer's screen stands still.
const STALL: Duration = Duration::from_secs(1);

/// One viewer's view of the restarts.
pub struct Watched {
    asked: Instant,
    first_frame: Option<Duration>,
    first_number: Option<u64>,
    last_number: u64,
    last_arrival_us: u64,
    /// Also before and after what is measured.
    received: u64,
    frames: u64,
    missing: u64,
    gap_max_us: u64,
    latencies_us: Vec<u32>,
}

impl Watched {
    pub fn new(asked: Instant) -> Self {
        Self {
            asked,
            first_frame: None,
            first_number: None,
            last_number: 0,
            last_arrival_us: 0,
            received: 0,
            frames: 0,
            missing: 0,
            gap_max_us: 0,
            latencies_us: Vec::new(),
        }
    }

    /// A whole frame arrived.
    pub fn frame(&mut self, stamp: Stamp, arrived_us: u64, measuring: bool) {
        let Stamp { number, sent_us } = stamp;
        self.first_frame.get_or_insert_with(|| self.asked.elapsed());
        self.received += 1;
        if self.first_number.is_none() {
            self.first_number = Some(number);
        } else {
            self.missing += number.saturating_sub(self.last_number + 1);
        }
        if measuring {
            self.frames += 1;
            self.latencies_us.push(arrived_us.saturating_sub(sent_us) as u32);
            if self.last_arrival_us > 0 {
                self.gap_max_us = self.gap_max_us.max(arrived_us - self.last_arrival_us);
            }
        }
        self.last_number = number;
        self.last_arrival_us = arrived_us;
    }
}

/// The observations of all viewers. Clones share it.
#[derive(Clone, Default)]
pub struct Report(Rc<RefCell<Totals>>);

#[derive(Default)]
struct Totals {
    viewers: usize,
    without_frame: usize,
    received: u64,
    frames: u64,
    missing: u64,
    stalls: usize,
    gap_max_us: u64,
    first_frames_us: Vec<u32>,
    latencies_us: Vec<u32>,
    usage: Option<Usage>,
    shared_by: usize,
}

impl Report {
    pub fn add(&self, watched: &Watched) {
        let mut totals = self.0.borrow_mut();
        totals.viewers += 1;
        match watched.first_frame {
            Some(after) => totals.first_frames_us.push(after.as_micros() as u32),
            None => totals.without_frame += 1,
        }
        totals.received += watched.received;
        totals.frames += watched.frames;
        totals.missing += watched.missing;
        totals.stalls += usize::from(watched.gap_max_us > STALL.as_micros() as u64);
        totals.gap_max_us = totals.gap_max_us.max(watched.gap_max_us);
        totals.latencies_us.extend_from_slice(&watched.latencies_us);
    }

    pub fn set_usage(&self, usage: Option<Usage>, args: &Args) {
        let mut totals = self.0.borrow_mut();
        totals.usage = usage;
        totals.shared_by = if args.viewers > 0 { args.viewers } else { args.publishers };
    }
}

impl Report {
    /// The rest of a row of the table that `compare.rs` prints.
    pub fn row(&self, floor: Option<&Report>) -> String {
        let over_floor = floor.and_then(|floor| self.over(floor));
        let over_floor = over_floor.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let totals = &mut *self.0.borrow_mut();
        let megabytes = totals.usage.as_ref().map_or(0.0, |usage| usage.resident_bytes as f64 / 1e6);
        let each = totals.cpu_percent_each().unwrap_or_default();
        format!(
            "| {:.3} | {} | {:.1} | {:.1} | {:.1} | {each:.4} | {over_floor} | {megabytes:.0} |",
            totals.delivered_percent(),
            totals.gap_max_us / 1000,
            percentile_ms(&mut totals.first_frames_us, 0.99),
            percentile_ms(&mut totals.latencies_us, 0.5),
            percentile_ms(&mut totals.latencies_us, 0.99),
        )
    }

    /// Returns the time from each viewer's connect to its first whole frame, and the number of viewers who got none.
    pub fn first_frames(&self) -> (Vec<u32>, usize) {
        let totals = self.0.borrow();
        (totals.first_frames_us.clone(), totals.without_frame)
    }

    /// Returns the latency that a share of all frames is below, in milliseconds.
    pub fn latency_ms(&self, share: f64) -> f64 {
        percentile_ms(&mut self.0.borrow_mut().latencies_us, share)
    }

    /// The latency's percentiles.
    pub fn latency(&self) -> String {
        percentiles(&mut self.0.borrow_mut().latencies_us)
    }

    /// Returns the ratio of its CPU to the floor's.
    pub fn over(&self, floor: &Report) -> Option<f64> {
        Some(self.cpu_percent_each()? / floor.cpu_percent_each()?)
    }

    /// The server's memory at the end, if that was measured.
    pub fn resident_bytes(&self) -> Option<u64> {
        Some(self.0.borrow().usage.as_ref()?.resident_bytes)
    }

    /// The server's CPU in percent of a core, if that was measured.
    pub fn cpu_percent(&self) -> Option<f64> {
        Some(self.0.borrow().usage.as_ref()?.cpu_percent)
    }

    /// The rest of a row of the table that `rooms.rs` prints.
    pub fn totals_row(&self) -> String {
        let totals = &mut *self.0.borrow_mut();
        let (percent, bytes) =
            totals.usage.as_ref().map_or((0.0, 0), |usage| (usage.cpu_percent, usage.resident_bytes));
        let delivered = totals.delivered_percent();
        let [p50, p99] = [0.5, 0.99].map(|share| percentile_ms(&mut totals.latencies_us, share));
        format!("{percent:.1} | {delivered:.3} | {p50:.1} / {p99:.1} | {:.0}", bytes as f64 / 1e6)
    }

    /// The CPU for each viewer, or else each publisher, in percent of a core.
    pub fn cpu_percent_each(&self) -> Option<f64> {
        self.0.borrow().cpu_percent_each()
    }
}

impl Totals {
    fn delivered_percent(&self) -> f64 {
        self.frames as f64 / (self.frames + self.missing).max(1) as f64 * 100.0
    }

    fn cpu_percent_each(&self) -> Option<f64> {
        Some(self.usage.as_ref()?.cpu_percent / self.shared_by.max(1) as f64)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &mut *self.0.borrow_mut();
        writeln!(f, "viewers          {} ({} without a frame)", totals.viewers, totals.without_frame)?;
        writeln!(f, "received         {} frames in all", totals.received)?;
        let delivered = totals.delivered_percent();
        writeln!(f, "delivered        {delivered:.4} % ({} frames missing)", totals.missing)?;
        writeln!(f, "longest gap      {} ms ({} viewers stalled)", totals.gap_max_us / 1000, totals.stalls)?;
        writeln!(f, "first frame      {}", percentiles(&mut totals.first_frames_us))?;
        writeln!(f, "latency          {}", percentiles(&mut totals.latencies_us))?;
        if let (Some(usage), Some(each)) = (&totals.usage, totals.cpu_percent_each()) {
            writeln!(f, "CPU              {:.2} % of a core, {each:.4} % each", usage.cpu_percent)?;
            writeln!(f, "resident memory  {:.1} MB", usage.resident_bytes as f64 / 1e6)?;
        }
        Ok(())
    }
}

/// The median, the 99th percentile and the largest value.
pub fn percentiles(values_us: &mut [u32]) -> String {
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| percentile_ms(values_us, share));
    format!("p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms")
}

/// The value that this share of all is below; 0 if there is none.
pub fn percentile_ms(values_us: &mut [u32], share: f64) -> f64 {
    let index = (values_us.len() as f64 * share) as usize;
    let index = index.min(values_us.len().saturating_sub(1));
    if values_us.is_empty() {
        return 0.0;
    }
    f64::from(*values_us.select_nth_unstable(index).1) / 1000.0
}
