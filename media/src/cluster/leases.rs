//! A node's view of its lease, from the table's answers.

use thiserror::Error;

use super::claims::{LeaseAnswer, TableId};

/// A lease is renewed this often within its time to live.
const RENEWALS_PER_TTL: f64 = 10.0 / 3.0;

/// A node's lease as the node knows it. Times are the node's own steady clock, in milliseconds.
#[derive(Debug, Clone)]
pub struct NodeLease {
    ttl_ms: u64,
    state: LeaseState,
    /// The memory of the table that answered last.
    table: TableId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeaseState {
    /// The lease is this process's until then; the next renewal decides whether also later.
    Held { until_ms: u64, settled_ms: u64 },
    /// Another process has it.
    Lost,
}

/// The consequence of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseChange {
    /// Nothing.
    None,
    /// The lease had lapsed, or the table is another one: the claims have to be renewed now, as the table may lack them and
    /// others may have taken the rooms.
    Return,
    /// The node is another process now: all claims are lost.
    Leave,
}

/// The reason a node claims nothing at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotClaiming {
    /// By its own clock its lease may have lapsed.
    #[error("this node's lease could not be renewed for {0} ms")]
    Lapsed(u64),
    /// It has its lease again, and waits for others to do the same.
    #[error("this node has just come back to the cluster; it takes new rooms in {0} ms")]
    Settling(u64),
    /// Another process has its name.
    #[error("another process runs under this node's NODE_ID")]
    Lost,
}

impl NodeLease {
    /// A node that has just taken its lease.
    pub fn new(ttl_ms: u64, table: TableId, now_ms: u64) -> Self {
        let state = LeaseState::Held { until_ms: now_ms + ttl_ms, settled_ms: now_ms };
        Self { ttl_ms, state, table }
    }

    /// The interval between renewals.
    pub fn renewal_interval_ms(&self) -> u64 {
        (self.ttl_ms as f64 / RENEWALS_PER_TTL) as u64
    }

    /// Time for which a node whose lease had lapsed, or whose table was replaced, claims no room. A table that was
    /// emptied has every room free: until the others have renewed once, it must not be believed.
    pub fn settling_ms(&self) -> u64 {
        self.ttl_ms / 2
    }

    /// The answer of `table` to a renewal that was sent at `sent_ms`.
    pub fn renewed(
        &mut self,
        answer: &LeaseAnswer,
        table: TableId,
        sent_ms: u64,
        now_ms: u64,
    ) -> LeaseChange {
        let was_usurped = self.state == LeaseState::Lost;
        let is_other_table = std::mem::replace(&mut self.table, table) != table;
        // The table counts from when the renewal came, which is later: the node gives up first.
        let until_ms = sent_ms + self.ttl_ms;
        match (answer, self.state) {
            (LeaseAnswer::Lost(_), _) => {
                self.state = LeaseState::Lost;
                if was_usurped { LeaseChange::None } else { LeaseChange::Leave }
            }
            (LeaseAnswer::Kept, LeaseState::Held { settled_ms, .. }) if !is_other_table => {
                self.state = LeaseState::Held { until_ms, settled_ms };
                LeaseChange::None
            }
            (LeaseAnswer::Kept | LeaseAnswer::Taken, _) => {
                self.state = LeaseState::Held { until_ms, settled_ms: now_ms + self.settling_ms() };
                LeaseChange::Return
            }
        }
    }

    /// Fails with the reason if no new room may be claimed.
    pub fn may_claim(&self, now_ms: u64) -> Result<(), NotClaiming> {
        match self.state {
            LeaseState::Lost => Err(NotClaiming::Lost),
            LeaseState::Held { until_ms, .. } if now_ms >= until_ms => {
                Err(NotClaiming::Lapsed(now_ms - until_ms + self.ttl_ms))
            }
            LeaseState::Held { settled_ms, .. } if now_ms < settled_ms => {
                Err(NotClaiming::Settling(settled_ms - now_ms))
            }
            LeaseState::Held { .. } => Ok(()),
        }
    }

    /// The memory of the table that answered last. Grants of another one count for nothing.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// Returns whether the lease is certainly this process's.
    pub fn is_certain(&self, now_ms: u64) -> bool {
        matches!(self.state, LeaseState::Held { until_ms, .. } if now_ms < until_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{
        claims::{Lease, NodeAddresses},
        standing::NodeStanding,
    };

    const TTL_MS: u64 = 10_000;
    const TABLE: TableId = TableId(1);

    fn lease(incarnation: u64) -> Lease {
        let addresses = NodeAddresses { rtmp: "a:1".to_owned(), httpflv: "a:2".to_owned(), hls: None };
        Lease { incarnation, addresses, standing: NodeStanding::default() }
    }

    #[test]
    fn a_lease_is_renewed_three_times_before_it_lapses() {
        assert_eq!(NodeLease::new(TTL_MS, TABLE, 0).renewal_interval_ms(), 3_000);
        assert_eq!(NodeLease::new(1_500, TABLE, 0).renewal_interval_ms(), 450);
    }

    #[test]
    fn a_node_knows_when_its_lease_may_have_lapsed_and_claims_nothing_then() {
        let mut node_lease = NodeLease::new(TTL_MS, TABLE, 0);
        assert_eq!(node_lease.renewed(&LeaseAnswer::Kept, TABLE, 3_000, 4_000), LeaseChange::None);
        assert_eq!(node_lease.may_claim(12_999), Ok(()));
        assert!(!node_lease.is_certain(13_000));
        assert_eq!(node_lease.may_claim(13_500), Err(NotClaiming::Lapsed(10_500)));
        assert_eq!(node_lease.renewed(&LeaseAnswer::Kept, TABLE, 14_000, 14_001), LeaseChange::None);
        assert_eq!(node_lease.may_claim(14_001), Ok(()), "the table had kept it");
    }

    #[test]
    fn a_node_that_finds_its_lease_lost_renews_its_claims_and_waits_before_it_takes_more() {
        let mut node_lease = NodeLease::new(TTL_MS, TABLE, 0);
        assert_eq!(node_lease.renewed(&LeaseAnswer::Taken, TABLE, 3_000, 3_010), LeaseChange::Return);
        assert!(node_lease.is_certain(3_010));
        assert_eq!(node_lease.may_claim(3_010), Err(NotClaiming::Settling(5_000)));
        assert_eq!(node_lease.renewed(&LeaseAnswer::Kept, TABLE, 6_000, 6_010), LeaseChange::None);
        assert_eq!(node_lease.may_claim(8_009), Err(NotClaiming::Settling(1)));
        assert_eq!(node_lease.may_claim(8_010), Ok(()));
    }

    #[test]
    fn a_replaced_table_may_lack_earlier_writes() {
        let mut node_lease = NodeLease::new(TTL_MS, TABLE, 0);
        assert_eq!(node_lease.renewed(&LeaseAnswer::Kept, TableId(2), 3_000, 3_010), LeaseChange::Return);
        assert_eq!(node_lease.may_claim(3_010), Err(NotClaiming::Settling(5_000)));
        assert_eq!(node_lease.table(), TableId(2));
        assert_eq!(node_lease.renewed(&LeaseAnswer::Kept, TableId(2), 6_000, 6_010), LeaseChange::None);
    }

    #[test]
    fn a_node_whose_name_is_taken_leaves_once_and_comes_back_when_the_name_is_free() {
        let mut node_lease = NodeLease::new(TTL_MS, TABLE, 0);
        let usurped = LeaseAnswer::Lost(lease(8));
        assert_eq!(node_lease.renewed(&usurped, TABLE, 3_000, 3_010), LeaseChange::Leave);
        assert_eq!(node_lease.renewed(&usurped, TABLE, 6_000, 6_010), LeaseChange::None);
        assert_eq!(node_lease.may_claim(6_010), Err(NotClaiming::Lost));
        assert!(!node_lease.is_certain(6_010));
        assert_eq!(node_lease.renewed(&LeaseAnswer::Taken, TABLE, 9_000, 9_010), LeaseChange::Return);
        assert!(node_lease.is_certain(9_010));
    }
}
