//! The time within which the viewers of a node that drains are disconnected.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use synctv_media::cluster::standing::NodeUrl;
use tokio::time::Instant;

/// 2^64 divided by the golden ratio. Its multiples modulo 2^64 are spread evenly however many of them are taken.
const GOLDEN_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A time within which viewers leave, evenly: they connect elsewhere at once, and a thousand new TLS connections in one
/// moment hold a core for half a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveWindow {
    /// The first viewer leaves.
    pub begins: Instant,
    /// Until the last one has left.
    pub length: Duration,
    /// Time from the notice of a viewer that asked for one to its moment.
    pub notice: Duration,
    /// The address of the node for RTMP players that take reconnect requests; without one, their own leads there.
    pub next_node: Option<NodeUrl>,
    /// Only those leave whose connections cannot be handed to another program: encrypted ones.
    pub only_encrypted: bool,
}

impl LeaveWindow {
    /// The moment for one more viewer. The moments of all viewers of the process are spread evenly over the window, in
    /// which order ever and by how many actors they are asked for.
    pub(crate) fn next_moment(&self) -> Instant {
        static TAKEN: AtomicU64 = AtomicU64::new(0);
        self.moment(TAKEN.fetch_add(1, Ordering::Relaxed))
    }

    fn moment(&self, index: u64) -> Instant {
        let place = index.wrapping_mul(GOLDEN_STEP) >> 32;
        self.begins + self.length.mul_f64(place as f64 / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_their_share_leave_at_a_time() {
        let window = LeaveWindow {
            begins: Instant::now(),
            length: Duration::from_secs(14),
            notice: Duration::ZERO,
            next_node: None,
            only_encrypted: false,
        };
        for (first, viewers) in [(0, 2_000), (12_345, 2_000), (7, 100)] {
            let mut moments: Vec<_> = (first..first + viewers).map(|index| window.moment(index)).collect();
            moments.sort();
            let most = moments.iter().map(|from| {
                let until = *from + Duration::from_millis(500);
                moments.iter().filter(|moment| (*from..until).contains(moment)).count()
            });
            let most = most.max().unwrap();
            assert!(most * 20 <= viewers as usize, "{most} of {viewers}");
            assert!(moments.iter().all(|moment| *moment >= window.begins));
            assert!(moments.iter().all(|moment| *moment <= window.begins + window.length));
        }
    }
}
