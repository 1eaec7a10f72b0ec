//! Invariants that hold at each moment, and at the end.

use super::*;

impl World {
    /// Moves each viewer on another node: it follows the newest owner, and its time never goes back.
    pub(super) fn watch(&mut self) {
        for index in 0..ROOMS.len() {
            let room = room(index);
            let Some(epoch) = self.table.holder(&room).map(|holder| holder.epoch) else { continue };
            let (seen, timeline, last_ms) =
                self.edges.entry(room).or_insert_with(|| (epoch, Timeline::default(), i64::MIN));
            if *seen != epoch {
                timeline.end_clock();
                *seen = epoch;
            }
            // Each publisher's clock begins anywhere.
            let clock_ms = (self.now_ms as u32).wrapping_sub((epoch as u32).wrapping_mul(2_654_435_761));
            let time_ms = timeline.place(Track::Video, clock_ms);
            assert!(time_ms >= *last_ms, "time goes back from {last_ms} to {time_ms}");
            *last_ms = time_ms;
        }
    }

    pub(super) fn check(&mut self) {
        for node in &mut self.nodes {
            node.has_lapsed |= !node.node_lease.is_certain(self.now_ms);
        }
        let mut epochs = HashSet::new();
        for node in &self.nodes {
            assert!(node.claims.values().all(|own| epochs.insert(own.epoch)), "two have one epoch");
        }
        for index in 0..ROOMS.len() {
            let owners: Vec<_> =
                self.nodes.iter().filter(|node| self.is_sure_of(node, &room(index))).collect();
            assert!(owners.len() <= 1, "{:?}", owners.iter().map(|node| &node.process).collect::<Vec<_>>());
        }
    }

    /// Returns whether a node knows that it owns the room: its lease lasts by its own clock, and did so when the table
    /// was replaced, it has reached the table since, and if it had lost its lease, it has renewed its claims since.
    pub(super) fn is_sure_of(&self, node: &Node, room: &RoomName) -> bool {
        let is_undoubted = node.claims.get(room).is_some_and(|own| !own.is_doubtful && !own.is_offered);
        let has_reached = node.node_lease.table() == TableId(self.memory) && !node.must_return;
        is_undoubted && has_reached && node.node_lease.is_certain(self.now_ms)
    }

    /// Everyone wakes up and all that is on its way arrives, some rounds long.
    pub(super) fn settle(&mut self) {
        for _ in 0..8 {
            self.now_ms += 200;
            for node in 0..NODES {
                self.nodes[node].is_paused = false;
                self.renew_lease(node);
                self.renew_claims(node);
                self.audit(node);
            }
            while !self.messages.is_empty() {
                if self.messages[0].answer.is_none() {
                    self.reach(0);
                }
                self.answer(0);
            }
            self.check();
        }
    }

    pub(super) fn check_agreement(&self) {
        for node in &self.nodes {
            for (room, own) in &node.claims {
                let holder = self.table.holder(room);
                assert!(
                    holder.is_some_and(|holder| holder.is(&node.process, own.epoch)),
                    "{room} is not its own"
                );
            }
        }
        for (room, holder, _) in self.table.rooms() {
            let owner = self.nodes.iter().find(|node| node.process == holder.process);
            // A room of a process that has ended is free.
            let is_known =
                owner.is_none_or(|node| node.claims.get(room).is_some_and(|own| own.epoch == holder.epoch));
            assert!(is_known, "{room} is held by a node that does not know it");
        }
    }

    /// All nodes crash. When their leases and offers have lapsed, any node may have any room.
    pub(super) fn check_rooms_become_free(&mut self) {
        self.now_ms += LEASE_TTL_MS.max(HANDOVER_MS);
        self.nodes[0] = self.start(0);
        for index in 0..ROOMS.len() {
            let epoch = self.table.next_epoch(0, self.now_ms);
            let request = self.nodes[0].try_claim(&room(index), epoch, self.now_ms);
            let answer = self.table.try_claim(&request, Some(&proof(false)), self.now_ms);
            assert!(matches!(answer, ClaimAnswer::Granted(_)), "{} is {answer:?}", request.room);
        }
    }
}
