//! The observations of probers and viewers, and the cost.

use super::{faults::Faults, prober::Probed, viewer::Watched};
use crate::{
    args::Args,
    process::Usage,
    report::{percentile_ms, percentiles},
};

/// The observations of all of them.
#[derive(Default)]
pub struct Report {
    probers: usize,
    pub viewers: usize,
    publishers: usize,
    first_playlists_us: Vec<u32>,
    ages_us: Vec<u32>,
    pub requests: u64,
    bytes: u64,
    segments: u64,
    missed: u64,
    pub stalled: usize,
    latencies_us: Vec<u32>,
    pub faults: Faults,
    pub usage: Option<Usage>,
    pub measure_s: f64,
}

/// The columns of [`Report::row`].
pub const COLUMNS: &str = "| first playlist ms, p50 / max | live edge ms, p50 / p99 / max | requests | MB sent \
                           | errors / missed / stalled | segment ms, p50 / p99 | CPU % each | MB | MB at most |";

impl Report {
    pub fn new(usage: Option<Usage>, args: &Args) -> Self {
        Self { publishers: args.publishers, measure_s: args.measure_s, usage, ..Self::default() }
    }

    pub fn add_prober(&mut self, probed: Probed) {
        self.probers += 1;
        self.first_playlists_us.extend(probed.first_playlist_us);
        self.ages_us.extend(probed.ages_us);
        self.missed += probed.missed;
        self.faults.append(probed.faults);
    }

    pub fn add_viewer(&mut self, watched: Watched) {
        self.viewers += 1;
        self.requests += watched.requests;
        self.bytes += watched.bytes;
        self.segments += watched.segments;
        self.missed += watched.missed;
        self.stalled += usize::from(watched.stalled);
        self.latencies_us.extend(watched.latencies_us);
        self.faults.append(watched.faults);
    }

    /// The failures, a line each.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The rest of a row of the table that `hls/compare.rs` prints. Columns without an observer are empty.
    pub fn row(&mut self) -> String {
        let first = shares_ms(&mut self.first_playlists_us, &[0.5, 1.0]);
        let age = shares_ms(&mut self.ages_us, &[0.5, 0.99, 1.0]);
        let latency = shares_ms(&mut self.latencies_us, &[0.5, 0.99]);
        let wrong = format!("{} / {} / {}", self.faults.count(), self.missed, self.stalled);
        let wrong = if self.viewers + self.probers > 0 { wrong } else { String::new() };
        let watched = format!("{} | {}", self.requests, megabytes(self.bytes));
        let watched = if self.viewers > 0 { watched } else { " | ".to_owned() };
        let each = self.cpu_percent_each().map(|percent| format!("{percent:.4}")).unwrap_or_default();
        let memory = self.usage.as_ref().map(|usage| [usage.resident_bytes, usage.peak_bytes].map(megabytes));
        let memory = memory.unwrap_or_default().join(" | ");
        format!("| {first} | {age} | {watched} | {wrong} | {latency} | {each} | {memory} |")
    }

    /// All that was seen, in words.
    pub fn print(&mut self) {
        println!("probers          {} ({} had a playlist)", self.probers, self.first_playlists_us.len());
        println!("first playlist   {}", spread(&mut self.first_playlists_us));
        println!("live edge        {}, {} segments", spread(&mut self.ages_us), self.ages_us.len());
        println!("viewers          {} ({} stalled)", self.viewers, self.stalled);
        println!("requests         {}, {} MB", self.requests, megabytes(self.bytes));
        println!("segments         {} in all ({} missed)", self.segments, self.missed);
        println!("segment request  {}", spread(&mut self.latencies_us));
        println!("errors           {}", self.faults.count());
        print!("{}", self.faults);
        self.print_usage();
    }

    fn print_usage(&self) {
        let Some(usage) = &self.usage else { return };
        let each =
            self.cpu_percent_each().map(|percent| format!(", {percent:.4} % each")).unwrap_or_default();
        println!("CPU              {:.2} % of a core{each}", usage.cpu_percent);
        let [resident, peak] = [usage.resident_bytes, usage.peak_bytes].map(megabytes);
        println!("resident memory  {resident} MB, at most {peak} MB");
    }

    /// For each viewer, or each publisher if there was nothing else to do.
    fn cpu_percent_each(&self) -> Option<f64> {
        let sharing = match (self.viewers, self.probers) {
            (0, 0) => self.publishers,
            (viewers, _) => viewers,
        };
        Some(self.usage.as_ref()?.cpu_percent / sharing as f64).filter(|_| sharing > 0)
    }
}

fn spread(values_us: &mut [u32]) -> String {
    if values_us.is_empty() { "not seen".to_owned() } else { percentiles(values_us) }
}

pub fn shares_ms(values_us: &mut [u32], shares: &[f64]) -> String {
    if values_us.is_empty() {
        return String::new();
    }
    let shares = shares.iter().map(|share| format!("{:.1}", percentile_ms(values_us, *share)));
    shares.collect::<Vec<_>>().join(" / ")
}

pub fn megabytes(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / 1e6)
}
