//! The observations of viewers of Low-Latency HLS, and the cost.

use super::{
    faults::Faults,
    part_viewer::{PartEnds, PartsWatched},
    report::{Report, megabytes, shares_ms},
};
use crate::process::Usage;

/// The columns of [`PartReport::row`].
pub const COLUMNS: &str = "requests per viewer and s | playlist lag ms, p50 / p99 | part lag ms, p50 / p99 \
                           | faults / stalled | CPU % each | over classic | MB | KB each";

/// The observations of all of them.
#[derive(Default)]
pub struct PartReport {
    viewers: usize,
    measure_s: f64,
    requests: u64,
    playlist_lags_us: Vec<u32>,
    part_lags_us: Vec<u32>,
    stalled: usize,
    faults: Faults,
    usage: Option<Usage>,
}

impl PartReport {
    pub fn new(usage: Option<Usage>, measure_s: f64) -> Self {
        Self { usage, measure_s, ..Self::default() }
    }

    /// A row of ordinary HLS, which has no parts.
    pub fn of_classic(report: Report) -> Self {
        let Report { viewers, requests, stalled, faults, usage, measure_s, .. } = report;
        Self { viewers, requests, stalled, faults, usage, measure_s, ..Self::default() }
    }

    pub fn add(&mut self, watched: PartsWatched, ends: &PartEnds) {
        self.viewers += 1;
        self.requests += watched.requests;
        self.playlist_lags_us.extend(ends.lags_us(&watched.playlists));
        self.part_lags_us.extend(watched.part_lags_us);
        self.stalled += usize::from(watched.stalled || watched.playlists.is_empty());
        self.faults.append(watched.faults);
    }

    /// The failures, a line each.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// For all of them, in percent of a core.
    pub fn cpu_percent(&self) -> Option<f64> {
        Some(self.usage.as_ref()?.cpu_percent)
    }

    /// For each viewer, in percent of a core.
    pub fn cpu_percent_each(&self) -> Option<f64> {
        Some(self.cpu_percent()? / self.viewers as f64).filter(|_| self.viewers > 0)
    }

    /// The number of viewers.
    pub fn viewers(&self) -> usize {
        self.viewers
    }

    /// For each viewer.
    pub fn requests_per_s(&self) -> f64 {
        self.requests as f64 / self.viewers.max(1) as f64 / self.measure_s
    }

    /// All that was seen, in words.
    pub fn print(&mut self) {
        println!("viewers          {} ({} stalled)", self.viewers, self.stalled);
        println!("requests         {}", self.requests);
        println!("playlist lag ms  {}", shares_ms(&mut self.playlist_lags_us, &[0.5, 0.99]));
        println!("part lag ms      {}", shares_ms(&mut self.part_lags_us, &[0.5, 0.99]));
        println!("errors           {}", self.faults.count());
        print!("{}", self.faults);
        if let Some(each) = self.cpu_percent_each() {
            println!("CPU              {each:.4} % each");
        }
    }

    /// The rest of a row.
    pub fn row(&mut self, classic_each: Option<f64>) -> String {
        let rate = self.requests_per_s();
        let playlists = shares_ms(&mut self.playlist_lags_us, &[0.5, 0.99]);
        let parts = shares_ms(&mut self.part_lags_us, &[0.5, 0.99]);
        let wrong = format!("{} / {}", self.faults.count(), self.stalled);
        let each = self.cpu_percent_each();
        let over = each.zip(classic_each).map(|(each, classic)| format!("{:.2}", each / classic));
        let each = each.map(|percent| format!("{percent:.4}")).unwrap_or_default();
        let resident_bytes = self.usage.as_ref().map_or(0, |usage| usage.resident_bytes);
        let each_kb = resident_bytes as f64 / 1e3 / self.viewers.max(1) as f64;
        format!(
            "{rate:.1} | {playlists} | {parts} | {wrong} | {each} | {} | {} | {each_kb:.1}",
            over.unwrap_or_default(),
            megabytes(resident_bytes)
        )
    }
}
