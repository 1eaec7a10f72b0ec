//! What the viewers saw, and what it cost.

use std::{cell::RefCell, fmt, rc::Rc, time::Duration};

use tokio::time::Instant;

use crate::{Args, process::Usage, viewer::STALL};

/// Microseconds of a clock that all processes of the machine share.
pub fn now_us() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| since.as_micros() as u64)
}

/// What one viewer saw.
pub struct Watched {
    asked: Instant,
    first_picture: Option<Duration>,
    first_number: Option<u64>,
    last_number: u64,
    last_arrival_us: u64,
    pictures: u64,
    missing: u64,
    gap_max_us: u64,
    latencies_us: Vec<u32>,
}

impl Watched {
    pub fn new(asked: Instant) -> Self {
        Self {
            asked,
            first_picture: None,
            first_number: None,
            last_number: 0,
            last_arrival_us: 0,
            pictures: 0,
            missing: 0,
            gap_max_us: 0,
            latencies_us: Vec::new(),
        }
    }

    /// A whole picture arrived.
    pub fn picture(&mut self, number: u64, sent_us: u64, arrived_us: u64, measuring: bool) {
        self.first_picture.get_or_insert_with(|| self.asked.elapsed());
        if self.first_number.is_none() {
            self.first_number = Some(number);
        } else {
            self.missing += number.saturating_sub(self.last_number + 1);
        }
        if measuring {
            self.pictures += 1;
            self.latencies_us.push(arrived_us.saturating_sub(sent_us) as u32);
            if self.last_arrival_us > 0 {
                self.gap_max_us = self.gap_max_us.max(arrived_us - self.last_arrival_us);
            }
        }
        self.last_number = number;
        self.last_arrival_us = arrived_us;
    }
}

/// What all viewers saw. Clones share it.
#[derive(Clone, Default)]
pub struct Report(Rc<RefCell<Totals>>);

#[derive(Default)]
struct Totals {
    viewers: usize,
    without_picture: usize,
    pictures: u64,
    missing: u64,
    stalls: usize,
    gap_max_us: u64,
    first_pictures_us: Vec<u32>,
    latencies_us: Vec<u32>,
    usage: Option<Usage>,
    shared_by: usize,
}

impl Report {
    pub fn add(&self, watched: &Watched) {
        let mut totals = self.0.borrow_mut();
        totals.viewers += 1;
        match watched.first_picture {
            Some(after) => totals.first_pictures_us.push(after.as_micros() as u32),
            None => totals.without_picture += 1,
        }
        totals.pictures += watched.pictures;
        totals.missing += watched.missing;
        totals.stalls += usize::from(watched.gap_max_us > STALL.as_micros() as u64);
        totals.gap_max_us = totals.gap_max_us.max(watched.gap_max_us);
        totals.latencies_us.extend_from_slice(&watched.latencies_us);
    }

    pub fn set_usage(&self, usage: Option<Usage>, args: &Args) {
        let mut totals = self.0.borrow_mut();
        totals.usage = usage;
        totals.shared_by = if args.viewers > 0 {
            args.viewers
        } else {
            args.publishers
        };
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &mut *self.0.borrow_mut();
        let delivered = totals.pictures as f64 / (totals.pictures + totals.missing).max(1) as f64;
        writeln!(
            f,
            "viewers          {} ({} without a picture)",
            totals.viewers, totals.without_picture
        )?;
        writeln!(
            f,
            "delivered        {:.4} % ({} pictures missing)",
            delivered * 100.0,
            totals.missing
        )?;
        writeln!(
            f,
            "longest gap      {} ms ({} viewers stalled)",
            totals.gap_max_us / 1000,
            totals.stalls
        )?;
        writeln!(
            f,
            "first picture    {}",
            percentiles(&mut totals.first_pictures_us)
        )?;
        writeln!(f, "latency          {}", percentiles(&mut totals.latencies_us))?;
        if let Some(usage) = &totals.usage {
            let each = usage.cpu_percent / totals.shared_by.max(1) as f64;
            writeln!(
                f,
                "CPU              {:.2} % of a core, {each:.4} % each",
                usage.cpu_percent
            )?;
            writeln!(f, "resident memory  {:.1} MB", usage.resident_bytes as f64 / 1e6)?;
        }
        Ok(())
    }
}

fn percentiles(values_us: &mut [u32]) -> String {
    values_us.sort_unstable();
    let at = |share: f64| {
        let index = (values_us.len() as f64 * share) as usize;
        let value = values_us.get(index.min(values_us.len().saturating_sub(1)));
        f64::from(value.copied().unwrap_or_default()) / 1000.0
    };
    format!(
        "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    )
}
