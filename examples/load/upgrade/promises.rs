//! The promises of an upgrade, kept or not.

use std::{collections::BTreeMap, time::Duration};

use synctv_testkit::redis::Redis;

/// Permitted growth of the server's memory over all upgrades.
const GROWTH_MAX: f64 = 0.05;

/// The promises that were checked.
#[derive(Debug, Default)]
pub struct Promises {
    broken: usize,
}

impl Promises {
    /// Prints one, and whether it was kept.
    pub fn note(&mut self, promise: &str, is_kept: bool) {
        println!("{} {promise}", if is_kept { "kept  " } else { "BROKEN" });
        self.broken += usize::from(!is_kept);
    }

    /// Compares the server's memory before the first upgrade and after the last one.
    pub fn note_memory(&mut self, before_bytes: u64, after_bytes: u64) {
        let is_kept = after_bytes as f64 <= before_bytes as f64 * (1.0 + GROWTH_MAX);
        let [before_mb, after_mb] = [before_bytes, after_bytes].map(|bytes| bytes as f64 / 1e6);
        self.note(&format!("memory: {before_mb:.1} MB before, {after_mb:.1} MB after"), is_kept);
    }

    /// An error if one was broken.
    pub fn result(self) -> Result<(), Box<dyn std::error::Error>> {
        match self.broken {
            0 => Ok(()),
            broken => Err(format!("{broken} promises were broken").into()),
        }
    }
}

/// The rooms' claims in Redis: owner, incarnation, epoch and time.
pub fn claims(redis: &Redis) -> BTreeMap<String, String> {
    let words = redis.ask(&["HGETALL", "synctv:claims"]);
    let rows = words.chunks_exact(2).map(|row| (row[0].clone(), row[1].clone()));
    rows.filter(|(field, _)| field.starts_with("r:")).collect()
}

/// The median and the maximum of sorted times, as text.
pub fn middle_and_longest(times: &[Duration]) -> String {
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    format!("{:.0} / {:.0} ms", ms(times.get(times.len() / 2)), ms(times.last()))
}
