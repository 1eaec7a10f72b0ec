//! The observations of viewers over WebRTC, and their cost.

use std::time::Duration;

use super::{prober::Probed, traffic::Traffic, viewer::Watched};
use crate::{
    process::{Usage, resident_bytes_of},
    report::percentiles,
};

/// The observations of all of them.
#[derive(Default)]
pub struct Report {
    viewers: usize,
    usage: Option<Usage>,
    resident_before: Option<u64>,
    joins_us: Vec<u32>,
    cpu_ms_per_join: Option<f64>,
    connected_us: Vec<u32>,
    without_media: usize,
    faults: Vec<String>,
    latencies_us: Vec<u32>,
    missing: u64,
    /// To one viewer, in a second.
    traffic: Option<Traffic>,
}

/// The columns of [`Report::row`].
pub const COLUMNS: &str = "| CPU % each | over floor | datagrams/s each | kB/s each | KB each | CPU ms per join | latency ms, p50 / p99 | faults |";

impl Report {
    /// `viewers` are all that the CPU is shared by.
    pub fn new(viewers: usize) -> Self {
        Self { viewers, ..Self::default() }
    }

    pub fn add_join(&mut self, after: Duration) {
        self.joins_us.push(after.as_micros() as u32);
    }

    pub fn set_joins_usage(&mut self, joins: usize, usage: Option<Usage>) {
        self.cpu_ms_per_join = usage.filter(|_| joins > 0).map(|usage| usage.cpu_ms / joins as f64);
    }

    pub fn resident_before(&mut self, server_pid: Option<u32>) {
        self.resident_before = server_pid.and_then(resident_bytes_of);
    }

    pub fn set_usage(&mut self, usage: Option<Usage>) {
        self.usage = usage;
    }

    /// `traffic` is that of one viewer in the time that was measured.
    pub fn set_traffic(&mut self, traffic: Traffic, measure_s: f64) {
        let Traffic { datagrams, bytes } = traffic;
        self.traffic = Some(Traffic { datagrams: datagrams / measure_s, bytes: bytes / measure_s });
    }

    pub fn add_viewer(&mut self, watched: Watched) {
        self.connected_us.extend(watched.connected.map(|after| after.as_micros() as u32));
        self.without_media += usize::from(watched.datagrams == 0);
        self.faults.extend(watched.fault);
    }

    pub fn set_probed(&mut self, probed: Probed) {
        self.latencies_us = probed.latencies_us;
        self.missing = probed.missing;
        self.faults.extend(probed.fault);
    }

    /// Returns the ratio of its CPU to the floor's.
    pub fn over(&self, floor: &Self) -> Option<f64> {
        Some(self.cpu_percent_each()? / floor.cpu_percent_each()?)
    }

    /// The rest of a row of the table that `rtc/compare.rs` prints.
    pub fn row(&mut self, floor: Option<&Self>) -> String {
        let number = |value: Option<f64>, digits: usize| {
            value.map(|value| format!("{value:.digits$}")).unwrap_or_default()
        };
        let each = number(self.cpu_percent_each(), 4);
        let over = number(floor.and_then(|floor| self.over(floor)), 2);
        let datagrams = number(self.traffic.map(|traffic| traffic.datagrams), 1);
        let traffic = number(self.traffic.map(|traffic| traffic.bytes / 1e3), 1);
        let memory = number(self.bytes_each().map(|bytes| bytes / 1e3), 0);
        let join = number(self.cpu_ms_per_join, 2);
        let latency = shares(&mut self.latencies_us);
        let faults = self.faults.len() + self.without_media;
        format!("| {each} | {over} | {datagrams} | {traffic} | {memory} | {join} | {latency} | {faults} |")
    }

    /// All that was seen, in words.
    pub fn print(&mut self) {
        println!("viewers          {} ({} without media)", self.viewers, self.without_media);
        println!("joins one by one {}", percentiles(&mut self.joins_us));
        println!("joins of all     {}", percentiles(&mut self.connected_us));
        println!("latency          {}, {} frames missing", percentiles(&mut self.latencies_us), self.missing);
        let each = self.cpu_percent_each().unwrap_or_default();
        println!(
            "CPU              {each:.4} % of a core each, {:.2} ms per join",
            self.cpu_ms_per_join.unwrap_or_default()
        );
        println!("memory           {:.0} KB each", self.bytes_each().unwrap_or_default() / 1e3);
        self.faults.iter().for_each(|fault| println!("fault            {fault}"));
    }

    fn cpu_percent_each(&self) -> Option<f64> {
        Some(self.usage.as_ref()?.cpu_percent / self.viewers.max(1) as f64)
    }

    /// Returns the growth of the process for each viewer; `None` for the floor, which has nothing to compare with.
    fn bytes_each(&self) -> Option<f64> {
        let grown = self.usage.as_ref()?.resident_bytes.saturating_sub(self.resident_before?);
        Some(grown as f64 / self.connected_us.len().max(1) as f64)
    }
}

fn shares(values_us: &mut [u32]) -> String {
    if values_us.is_empty() {
        return String::new();
    }
    let [p50, p99] = [0.5, 0.99].map(|share| crate::report::percentile_ms(values_us, share));
    format!("{p50:.1} / {p99:.1}")
}
