//! The process, as `/proc` shows it. Values that the system does not show are left out.

use std::{fs, sync::LazyLock};

use super::constant::Values;

/// Clock ticks a second in `/proc`, on every Linux that is built today (`USER_HZ`).
const TICKS_PER_S: f64 = 100.0;

/// The start of the system, read once: `/proc/stat` is hundreds of lines on machines with many processors.
static BOOT_UNIX_S: LazyLock<Option<f64>> = LazyLock::new(boot_unix_s);

/// Index of a field of `/proc/self/stat` behind the command's name. proc(5) counts from 1 and the name is the second.
const fn behind_name(field: usize) -> usize {
    field - 3
}

/// Adds the metrics that Prometheus's own clients have of a process.
pub(super) fn add(values: &mut Values<'_>) {
    if let Some(stat) = Stat::read() {
        values.counter("process_cpu_seconds", "CPU time", stat.cpu_s);
        values.gauge("process_threads", "Threads", stat.threads);
        if let Some(boot_unix_s) = *BOOT_UNIX_S {
            let help = "Start of the process, in seconds since 1970";
            values.gauge("process_start_time_seconds", help, boot_unix_s + stat.started_s);
        }
    }
    if let Some(bytes) = resident_bytes() {
        values.gauge("process_resident_memory_bytes", "Resident memory", bytes);
    }
    if let Some(count) = open_files() {
        values.gauge("process_open_fds", "Open files", count as f64);
    }
    if let Ok((limit, _)) = rlimit::Resource::NOFILE.get() {
        values.gauge("process_max_fds", "Limit of open files", limit as f64);
    }
}

struct Stat {
    cpu_s: f64,
    threads: f64,
    started_s: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name is in brackets and may have any character.
        let (_, behind) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = behind.split_whitespace().collect();
        let number = |field| fields.get(behind_name(field))?.parse::<f64>().ok();
        Some(Self {
            cpu_s: (number(14)? + number(15)?) / TICKS_PER_S,
            threads: number(20)?,
            started_s: number(22)? / TICKS_PER_S,
        })
    }
}

fn boot_unix_s() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn resident_bytes() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    Some(kib.trim().parse::<f64>().ok()? * 1024.0)
}

/// From Linux 6.2 on, the directory's size is the number. Before, it is 0: then they are counted one by one, of which there
/// may be tens of thousands.
fn open_files() -> Option<u64> {
    match fs::metadata("/proc/self/fd").ok()?.len() {
        0 => Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64),
        count => Some(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_what_follows() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 9 0 1200 1 1";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.cpu_s, stat.threads, stat.started_s), (3.0, 9.0, 12.0));
    }

    #[test]
    fn this_process_is_read() {
        assert!(Stat::read().unwrap().threads >= 1.0);
        assert!(boot_unix_s().unwrap() > 1.0e9 && resident_bytes().unwrap() > 1.0e6);
        assert!(open_files().unwrap() >= 3);
    }
}
