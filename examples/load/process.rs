//! CPU and memory of a process or a thread, as Linux counts them.

use std::fs;

use tokio::time::Instant;

/// Ticks of /proc a second; Linux has had no other number for decades.
const TICKS_PER_S: f64 = 100.0;
const PAGE_BYTES: u64 = 4096;

/// The resources that were used between start and stop.
pub struct Usage {
    pub cpu_percent: f64,
    /// The same as time, in milliseconds.
    pub cpu_ms: f64,
    /// At the end.
    pub resident_bytes: u64,
    /// The most that was ever resident.
    pub peak_bytes: u64,
}

/// Counts from its start.
pub struct Meter {
    stat_path: String,
    ticks: u64,
    since: Instant,
}

impl Meter {
    /// Watches the process, or the floor's thread in this one.
    pub fn start(server_pid: Option<u32>, floor: bool) -> Option<Self> {
        let stat_path = if floor { floor_thread_path()? } else { format!("/proc/{}", server_pid?) };
        let ticks = ticks(&stat_path)?;
        Some(Self { stat_path, ticks, since: Instant::now() })
    }

    /// Returns the resources that were used since the start; `None` if the process has ended.
    pub fn stop(self) -> Option<Usage> {
        let seconds = self.since.elapsed().as_secs_f64();
        let used = ticks(&self.stat_path)?.saturating_sub(self.ticks);
        Some(Usage {
            cpu_percent: used as f64 / TICKS_PER_S / seconds * 100.0,
            cpu_ms: used as f64 / TICKS_PER_S * 1000.0,
            resident_bytes: resident_bytes(&self.stat_path)?,
            peak_bytes: peak_bytes(&self.stat_path)?,
        })
    }
}

fn floor_thread_path() -> Option<String> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    threads
        .filter_map(|thread| Some(thread.ok()?.path().to_string_lossy().into_owned()))
        .find(|path| fs::read_to_string(format!("{path}/comm")).is_ok_and(|name| name.trim() == "floor"))
}

/// User and system time: the 14th and 15th fields, counted behind the name, which may hold spaces.
fn ticks(path: &str) -> Option<u64> {
    let stat = fs::read_to_string(format!("{path}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// Returns the resident memory of a process.
pub fn resident_bytes_of(pid: u32) -> Option<u64> {
    resident_bytes(&format!("/proc/{pid}"))
}

fn resident_bytes(path: &str) -> Option<u64> {
    let statm = fs::read_to_string(format!("{path}/statm")).ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<u64>().ok()? * PAGE_BYTES)
}

fn peak_bytes(path: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("{path}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
