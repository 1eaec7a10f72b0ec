//! The clock of all processes.

/// Microseconds of a clock that all processes of the machine share.
pub fn now_us() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed();
    since.map_or(0, |since| since.as_micros() as u64)
}
