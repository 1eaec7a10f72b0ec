//! Claims that may be in the table although this process does not hold them: the answer that granted them was lost, or
//! a release was. They would block their rooms for other nodes until they expire, so they are released repeatedly until
//! their absence is certain.

use std::collections::HashMap;

use crate::cluster::store::Claim;

/// Maximum claims that are remembered. Further ones expire by themselves.
const PENDING_MAX: usize = 10_000;

/// Claims that are still to be released. Times are the table's clock, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct PendingReleases {
    /// Until when a request that is still on its way can put the claim into the table.
    claims: HashMap<Claim, u64>,
    /// Until when a renewal of all claims can do so, should its answer be late.
    renewals_until_ms: u64,
}

impl PendingReleases {
    /// `claim` may be granted until then.
    pub fn add(&mut self, claim: Claim, until_ms: u64) {
        if self.claims.len() < PENDING_MAX {
            self.claims.insert(claim, until_ms);
        }
    }

    /// A renewal of all claims goes out that counts until then.
    pub fn expect_renewals(&mut self, until_ms: u64) {
        self.renewals_until_ms = self.renewals_until_ms.max(until_ms);
    }

    /// All that are to be released.
    pub fn due(&self) -> Vec<Claim> {
        self.claims.keys().cloned().collect()
    }

    /// `claims` were released at `now_ms`, or, if that is `None`, may not have been.
    pub fn released(&mut self, claims: Vec<Claim>, now_ms: Option<u64>) {
        for claim in claims {
            let until_ms = self.claims.remove(&claim).unwrap_or(0).max(self.renewals_until_ms);
            if now_ms.is_none_or(|now_ms| now_ms <= until_ms) {
                self.add(claim, until_ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::room;

    fn claim(epoch: u64) -> Claim {
        Claim { room: room("r"), epoch }
    }

    #[test]
    fn a_claim_that_was_released_in_time_leaves_nothing() {
        let mut pending_releases = PendingReleases::default();
        pending_releases.released(vec![claim(1)], Some(100));
        assert_eq!(pending_releases.due(), []);
    }

    #[test]
    fn a_release_without_an_answer_is_due_until_it_has_one() {
        let mut pending_releases = PendingReleases::default();
        pending_releases.released(vec![claim(1)], None);
        pending_releases.released(pending_releases.due(), None);
        assert_eq!(pending_releases.due(), [claim(1)]);
        pending_releases.released(pending_releases.due(), Some(100));
        assert_eq!(pending_releases.due(), []);
    }

    #[test]
    fn what_may_still_be_granted_is_released_once_more_after_that() {
        let mut pending_releases = PendingReleases::default();
        pending_releases.add(claim(1), 200);
        pending_releases.released(pending_releases.due(), Some(200));
        assert_eq!(pending_releases.due(), [claim(1)]);
        pending_releases.released(pending_releases.due(), Some(201));
        assert_eq!(pending_releases.due(), []);
    }

    #[test]
    fn a_release_right_after_a_renewal_is_repeated_when_the_renewal_cannot_count_any_more() {
        let mut pending_releases = PendingReleases::default();
        pending_releases.expect_renewals(200);
        pending_releases.released(vec![claim(1)], Some(150));
        assert_eq!(pending_releases.due(), [claim(1)]);
        pending_releases.released(pending_releases.due(), Some(250));
        assert_eq!(pending_releases.due(), []);
    }
}
