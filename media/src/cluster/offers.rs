//! Rooms that are reserved for their own publishers while these reconnect.

use std::collections::HashMap;

use super::holder::Holder;
use crate::{access::PublisherProof, stream::room::RoomName};

/// Rooms that are reserved at a time. Further ones are free as soon as their publishers leave.
const OFFERS_MAX: usize = 65_536;

/// A reservation of a room for the publisher that its node asks to reconnect. It outlasts the claim that it was made under,
/// so that no one else takes the room in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The claim that it was made under.
    pub by: Holder,
    /// The publisher that may take the room, on any node.
    pub proof: PublisherProof,
    /// The time at which it lapses, by the table's clock in milliseconds.
    pub until_ms: u64,
}

/// All reservations of a table.
#[derive(Debug, Clone, Default)]
pub(super) struct Offers(HashMap<RoomName, Offer>);

impl Offers {
    /// Adds a reservation, or replaces the room's. Returns whether there was room for it.
    pub fn put(&mut self, room: &RoomName, offer: Offer, now_ms: u64) -> bool {
        if self.0.len() >= OFFERS_MAX {
            self.0.retain(|_, offer| offer.is_live(now_ms));
        }
        let has_place = self.0.len() < OFFERS_MAX || self.0.contains_key(room);
        if has_place {
            self.0.insert(room.clone(), offer);
        }
        has_place
    }

    /// The room's reservation, unless it has lapsed.
    pub fn live(&self, room: &RoomName, now_ms: u64) -> Option<&Offer> {
        self.0.get(room).filter(|offer| offer.is_live(now_ms))
    }

    /// The room has this holder now, and a reservation that another one made is over.
    pub fn taken(&mut self, room: &RoomName, holder: &Holder) {
        if self.0.get(room).is_some_and(|offer| offer.by != *holder) {
            self.0.remove(room);
        }
    }
}

impl Offer {
    fn is_live(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::process::Process;

    #[test]
    fn reservations_are_bounded_and_lapsed_ones_make_room() {
        let by = Holder { process: Process { node: "n1".to_owned(), incarnation: 1 }, epoch: 1 };
        let offer = |until_ms| Offer { by: by.clone(), proof: PublisherProof::from_text("p"), until_ms };
        let room = |index: usize| RoomName::new(&format!("r{index}")).unwrap();
        let mut offers = Offers::default();
        for index in 0..OFFERS_MAX {
            assert!(offers.put(&room(index), offer(10), 0));
        }
        assert!(!offers.put(&room(OFFERS_MAX), offer(20), 9));
        assert!(offers.put(&room(0), offer(20), 9), "its own is replaced");
        assert!(offers.put(&room(OFFERS_MAX), offer(20), 10));
        assert_eq!(offers.0.len(), 2);
    }
}
