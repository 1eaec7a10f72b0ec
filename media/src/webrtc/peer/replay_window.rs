//! Detects packets that come a second time (RFC 3711, section 3.3.2).

/// Packets behind the newest of which it is known whether they came.
const WINDOW: u32 = u64::BITS;

/// The numbers that have come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ReplayWindow {
    newest: u32,
    /// A bit for the newest, the lowest, and for each of those before it.
    seen: u64,
}

impl ReplayWindow {
    /// Notes a number. Returns `false` if it came before, or is too old to know.
    pub fn note(&mut self, number: u32) -> bool {
        if self.seen == 0 || number > self.newest {
            let ahead = if self.seen == 0 { 0 } else { number - self.newest };
            self.seen = self.seen.checked_shl(ahead).unwrap_or_default() | 1;
            self.newest = number;
            return true;
        }
        let behind = self.newest - number;
        if behind >= WINDOW || self.seen >> behind & 1 == 1 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_new_once_also_out_of_order() {
        let mut window = ReplayWindow::default();
        let mut noted =
            |numbers: &[u32]| numbers.iter().map(|number| window.note(*number)).collect::<Vec<_>>();
        assert_eq!(noted(&[0, 0, 2, 1, 1, 2, 3]), [true, false, true, true, false, false, true]);
        assert_eq!(
            noted(&[66, 3, 4, 2, 67, 130, 131, 66, 67]),
            [true, false, true, false, true, true, true, false, false]
        );
        assert_eq!(noted(&[u32::MAX, u32::MAX, u32::MAX - 63, u32::MAX - 64]), [true, false, true, false]);
    }
}
