//! The bitrate of a stream over the last few seconds.

/// Seconds that the mean is taken over: two or more GOPs of most encoders, so that keyframes even out.
const WINDOW_S: usize = 5;

/// Counts bytes by the second in which they came. The second that still runs is not in the mean.
#[derive(Debug, Clone, Default)]
pub struct BitrateMeter {
    /// The second in which the first bytes came.
    first_s: Option<u64>,
    /// The newest second that bytes came in.
    newest_s: u64,
    /// Bytes of each of the last seconds, at the second's place in the ring.
    seconds: [u64; WINDOW_S + 1],
}

impl BitrateMeter {
    /// Counts `size_bytes` that came at `now_ms`, which never goes back.
    pub fn add(&mut self, now_ms: u64, size_bytes: usize) {
        let now_s = now_ms / 1000;
        self.first_s.get_or_insert(now_s);
        self.advance(now_s);
        self.seconds[slot(now_s)] += size_bytes as u64;
    }

    /// The mean in kbit/s; `None` before the first whole second.
    pub fn kbps(&self, now_ms: u64) -> Option<u64> {
        let now_s = now_ms / 1000;
        let from_s = self.first_s?.saturating_add(1).max(now_s.saturating_sub(WINDOW_S as u64));
        let whole_seconds = now_s.checked_sub(from_s).filter(|seconds| *seconds > 0)?;
        let counted = (from_s..now_s).filter(|second| self.is_kept(*second));
        let size_bytes: u64 = counted.map(|second| self.seconds[slot(second)]).sum();
        Some(size_bytes * 8 / 1000 / whole_seconds)
    }

    /// Clears the places of the seconds that begin.
    fn advance(&mut self, now_s: u64) {
        let begun = now_s.saturating_sub(self.newest_s).min(self.seconds.len() as u64);
        for second in now_s + 1 - begun..=now_s {
            self.seconds[slot(second)] = 0;
        }
        self.newest_s = self.newest_s.max(now_s);
    }

    fn is_kept(&self, second: u64) -> bool {
        second <= self.newest_s && self.newest_s - second < self.seconds.len() as u64
    }
}

fn slot(second: u64) -> usize {
    (second % (WINDOW_S as u64 + 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream of 1000 bytes every 100 ms, from one time to another.
    fn fed(from_ms: u64, to_ms: u64) -> BitrateMeter {
        let mut meter = BitrateMeter::default();
        for now_ms in (from_ms..to_ms).step_by(100) {
            meter.add(now_ms, 1000);
        }
        meter
    }

    #[test]
    fn a_steady_stream_has_its_bitrate() {
        assert_eq!(fed(1_234, 20_000).kbps(20_000), Some(80));
        assert_eq!(fed(1_234, 20_000).kbps(20_950), Some(80));
    }

    #[test]
    fn there_is_none_before_the_first_whole_second() {
        assert_eq!(BitrateMeter::default().kbps(5_000), None);
        assert_eq!(fed(1_900, 2_900).kbps(2_900), None);
        assert_eq!(fed(1_900, 3_000).kbps(3_000), Some(80));
    }

    #[test]
    fn a_stream_that_stops_falls_to_nothing() {
        let meter = fed(0, 10_000);
        assert_eq!(meter.kbps(12_500), Some(48));
        assert_eq!(meter.kbps(16_000), Some(0));
        assert_eq!(meter.kbps(1_000_000), Some(0));
    }

    #[test]
    fn what_came_before_a_pause_is_not_counted_twice() {
        let mut meter = fed(0, 6_000);
        meter.add(60_000, 5_000);
        assert_eq!(meter.kbps(61_000), Some(8));
    }
}
