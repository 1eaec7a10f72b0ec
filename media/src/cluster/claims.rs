//! The table of claims and leases, as it is kept in memory, and in Redis by scripts that do the same.

use std::collections::HashMap;

pub use super::holder::Holder;
use super::{
    numbers::{HlsNumbers, NumberGrant, NumberHolder, NumberUse, RoomNumbers},
    offers::{Offer, Offers},
    process::Process,
    standing::NodeStanding,
};
use crate::{access::PublisherProof, stream::room::RoomName};

/// Rooms whose numbers are remembered, beside those that are claimed. Those of further rooms begin at the clock.
const NUMBERS_MAX: usize = 65_536;

/// The addresses at which other nodes reach a node's ports, each as `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddresses {
    /// RTMP.
    pub rtmp: String,
    /// HTTP-FLV.
    pub httpflv: String,
    /// HLS, unless it is off there.
    pub hls: Option<String>,
}

/// A node's lease: while it is in the table, its process counts as alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is.
    pub incarnation: u64,
    /// The addresses of the process.
    pub addresses: NodeAddresses,
    /// The facts by which others choose where to send publishers and players.
    pub standing: NodeStanding,
}

/// Distinguishes one memory of the table from another: a Redis that was restarted, restored or replaced has another id,
/// and may lack the newest writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TableId(pub u64);

/// A wish for a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The room.
    pub room: RoomName,
    /// The process that wants it.
    pub process: Process,
    /// From [`ClaimTable::next_epoch`].
    pub epoch: u64,
    /// The table does not grant it later, by its own clock: the requester has given up by then.
    pub valid_until_ms: u64,
}

/// The outcome of a claim request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// The requester has the room, and these are its HLS numbers.
    Granted(NumberGrant),
    /// Another process has it, which is alive, or it is reserved.
    Held(Holder),
    /// It is free, but the request came after its time, or after a later one.
    Late,
    /// The requester has no lease.
    NoLease,
}

/// The outcome of a claim's renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewAnswer {
    /// It was there.
    Kept,
    /// It was absent, or an earlier claim was in its place, and it is there again.
    Reasserted,
    /// It was absent, and the request came after its time.
    Late,
    /// A later claim has the room.
    Lost,
}

/// The outcome of a lease's renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It was there.
    Kept,
    /// It was not there, and is now.
    Taken,
    /// Another process has it under this node's name.
    Lost(Lease),
}

/// Claims, leases and HLS numbers. A claim is valid while its process's lease is. Times are the table's own clock,
/// in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct ClaimTable {
    last_epoch: u64,
    rooms: HashMap<RoomName, RoomRow>,
    leases: HashMap<String, Expiring<Lease>>,
    offers: Offers,
    numbers: HashMap<RoomName, Expiring<RoomNumbers>>,
    /// Sequence numbers that a table before this one has given.
    first_sequence: u64,
}

#[derive(Debug, Clone)]
struct RoomRow {
    holder: Holder,
    since_ms: u64,
}

#[derive(Debug, Clone)]
struct Expiring<T> {
    value: T,
    expires_ms: u64,
}

impl<T> Expiring<T> {
    fn live(&self, now_ms: u64) -> Option<&T> {
        (now_ms < self.expires_ms).then_some(&self.value)
    }
}

impl ClaimTable {
    /// An empty table that gives no HLS number below this one.
    pub fn from_sequence(first_sequence: u64) -> Self {
        Self { first_sequence, ..Self::default() }
    }

    /// An epoch above all that were given, also by a table that has lost its memory: it is at least the time, and above
    /// `known`, the highest that the node knows of.
    pub fn next_epoch(&mut self, known: u64, now_ms: u64) -> u64 {
        self.last_epoch = now_ms.max(self.last_epoch + 1).max(known.saturating_add(1));
        self.last_epoch
    }

    /// Gives the room to the requester, unless another node has it that is alive, or it is reserved. The publisher that it
    /// is reserved for gets it also while its old node has it. A claim of the requester's own node is that of an earlier
    /// process, or one whose answer was lost.
    pub fn try_claim(
        &mut self,
        request: &ClaimRequest,
        proof: Option<&PublisherProof>,
        now_ms: u64,
    ) -> ClaimAnswer {
        if !self.is_alive(&request.process, now_ms) {
            return ClaimAnswer::NoLease;
        }
        if let Some(obstacle) = self.obstacle(request, proof, now_ms) {
            return obstacle;
        }
        self.put(request, now_ms);
        let row = self.numbers_of(&request.room, now_ms).cloned();
        let mut clock = HlsNumbers::of_clock(now_ms);
        clock.sequence = clock.sequence.max(self.first_sequence);
        let (row, grant) = RoomNumbers::grant(row, self.number_holder(request), clock, now_ms);
        self.put_numbers(&request.room, row, now_ms);
        ClaimAnswer::Granted(grant)
    }

    /// The reason the requester does not get the room.
    fn obstacle(
        &self,
        request: &ClaimRequest,
        proof: Option<&PublisherProof>,
        now_ms: u64,
    ) -> Option<ClaimAnswer> {
        let holder = self.holder(&request.room);
        let offer = self.offer_of(&request.room, now_ms);
        let is_expected = offer.is_some_and(|offer| proof == Some(&offer.proof));
        let is_offered = is_expected && holder == offer.map(|offer| &offer.by);
        match holder {
            Some(holder) if !is_offered && self.stands(holder, request, now_ms) => {
                return Some(ClaimAnswer::Held(holder.clone()));
            }
            Some(holder) if holder.epoch > request.epoch => return Some(ClaimAnswer::Late),
            _ => {}
        }
        match offer {
            Some(offer) if !is_expected => Some(ClaimAnswer::Held(offer.by.clone())),
            _ if now_ms > request.valid_until_ms => Some(ClaimAnswer::Late),
            _ => None,
        }
    }

    /// Reserves the room of a claim for its publisher, until it is taken or the offer lapses. Returns whether it is
    /// reserved.
    pub fn offer(&mut self, room: &RoomName, offer: Offer, now_ms: u64) -> bool {
        self.holder(room) == Some(&offer.by) && self.offers.put(room, offer, now_ms)
    }

    /// The room's reservation, if it is reserved.
    pub fn offer_of(&self, room: &RoomName, now_ms: u64) -> Option<&Offer> {
        self.offers.live(room, now_ms)
    }

    fn stands(&self, holder: &Holder, request: &ClaimRequest, now_ms: u64) -> bool {
        holder.process.node != request.process.node && self.is_alive(&holder.process, now_ms)
    }

    fn put(&mut self, request: &ClaimRequest, since_ms: u64) {
        let holder = Holder { process: request.process.clone(), epoch: request.epoch };
        self.offers.taken(&request.room, &holder);
        self.rooms.insert(request.room.clone(), RoomRow { holder, since_ms });
    }

    /// Keeps the claim that `request` won, and the numbers that are used under it. A later claim counts more, also one that
    /// has ended and left the room reserved, and an earlier one less: such a one was put back by a table that lost what
    /// came after it.
    pub fn renew(&mut self, request: &ClaimRequest, used: &NumberUse, now_ms: u64) -> RenewAnswer {
        let answer = match self.holder(&request.room) {
            Some(holder) if holder.is(&request.process, request.epoch) => RenewAnswer::Kept,
            Some(holder) if holder.epoch >= request.epoch => return RenewAnswer::Lost,
            _ if self.is_reserved_later(request, now_ms) => return RenewAnswer::Lost,
            _ if now_ms > request.valid_until_ms => return RenewAnswer::Late,
            _ => RenewAnswer::Reasserted,
        };
        if answer == RenewAnswer::Reasserted {
            self.put(request, now_ms.min(request.epoch));
        }
        self.reserve(request, used, now_ms);
        answer
    }

    /// Returns whether a claim behind this one has reserved the room for its publisher.
    fn is_reserved_later(&self, request: &ClaimRequest, now_ms: u64) -> bool {
        self.offer_of(&request.room, now_ms).is_some_and(|offer| offer.by.epoch > request.epoch)
    }

    /// Puts in a claim that another table of this process granted at `since_ms`, and the numbers that are used under it.
    pub fn resume(&mut self, request: &ClaimRequest, used: &NumberUse, since_ms: u64, now_ms: u64) {
        self.last_epoch = self.last_epoch.max(request.epoch);
        self.put(request, since_ms);
        self.reserve(request, used, now_ms);
    }

    /// Adds the numbers of a released claim that another table of this process granted.
    pub fn resume_released(&mut self, request: &ClaimRequest, used: &NumberUse, now_ms: u64) {
        self.last_epoch = self.last_epoch.max(request.epoch);
        self.reserve(request, used, now_ms);
        if let Some(row) = self.numbers.get_mut(&request.room) {
            row.value.leave(&request.process, now_ms);
        }
    }

    /// Reserves the HLS numbers that are used under the claim that `request` won, which may have ended. Returns whether they
    /// may be used.
    pub fn reserve(&mut self, request: &ClaimRequest, used: &NumberUse, now_ms: u64) -> bool {
        let row = self.numbers_of(&request.room, now_ms).cloned();
        let holder = NumberHolder { first_sequence: used.first_sequence, ..self.number_holder(request) };
        let reserved = RoomNumbers::reserve(row, holder, used.limit, now_ms);
        let may_use = reserved.is_some();
        if let Some(row) = reserved {
            self.put_numbers(&request.room, row, now_ms);
        }
        may_use
    }

    /// Frees the room, if it is still this claim's. Returns whether it was.
    pub fn release(&mut self, room: &RoomName, process: &Process, epoch: u64, now_ms: u64) -> bool {
        let is_held = self.holder(room).is_some_and(|holder| holder.is(process, epoch));
        if is_held {
            self.rooms.remove(room);
            if let Some(row) = self.numbers.get_mut(room) {
                row.value.leave(process, now_ms);
            }
        }
        is_held
    }

    /// The room's last claim, whether its process is alive or not.
    pub fn holder(&self, room: &RoomName) -> Option<&Holder> {
        self.rooms.get(room).map(|row| &row.holder)
    }

    /// All rooms with their last claims and the times of those, in no order.
    pub fn rooms(&self) -> impl Iterator<Item = (&RoomName, &Holder, u64)> {
        self.rooms.iter().map(|(room, row)| (room, &row.holder, row.since_ms))
    }

    /// Returns the room's HLS numbers, as far as they are known.
    pub fn numbers_of(&self, room: &RoomName, now_ms: u64) -> Option<&RoomNumbers> {
        self.numbers.get(room)?.live(now_ms)
    }

    /// Forgets a node whose lease lapsed longer than `patience_ms` ago, and its claims, which do not count any more.
    pub fn forget_dead(&mut self, node: &str, patience_ms: u64, now_ms: u64) {
        let is_dead =
            self.leases.get(node).is_none_or(|lease| lease.expires_ms.saturating_add(patience_ms) <= now_ms);
        if is_dead {
            self.leases.remove(node);
            self.rooms.retain(|_, row| row.holder.process.node != node);
        }
    }

    /// Keeps the lease of `node` for the process of `own`, or takes it if it is free, or if it is the incarnation's that is
    /// to be taken `over`. Its addresses and standing are those of `own` from then on.
    pub fn renew_lease(
        &mut self,
        node: &str,
        own: &Lease,
        over: Option<u64>,
        ttl_ms: u64,
        now_ms: u64,
    ) -> LeaseAnswer {
        let answer = match self.lease(node, now_ms) {
            Some(lease) if lease.incarnation == own.incarnation => LeaseAnswer::Kept,
            Some(lease) if over != Some(lease.incarnation) => return LeaseAnswer::Lost(lease.clone()),
            _ => LeaseAnswer::Taken,
        };
        let lease = Expiring { value: own.clone(), expires_ms: now_ms.saturating_add(ttl_ms) };
        self.leases.insert(node.to_owned(), lease);
        answer
    }

    /// Ends the lease of `process`, if it is still its own. Returns whether it was.
    pub fn end_lease(&mut self, process: &Process) -> bool {
        let lease = self.leases.get(&process.node);
        let is_held = lease.is_some_and(|lease| lease.value.incarnation == process.incarnation);
        if is_held {
            self.leases.remove(&process.node);
        }
        is_held
    }

    /// A node's lease, unless it has lapsed.
    pub fn lease(&self, node: &str, now_ms: u64) -> Option<&Lease> {
        self.leases.get(node)?.live(now_ms)
    }

    /// Returns whether the process has its node's lease.
    pub fn is_alive(&self, process: &Process, now_ms: u64) -> bool {
        self.lease(&process.node, now_ms).is_some_and(|lease| lease.incarnation == process.incarnation)
    }

    /// The requester as a holder of numbers. Its first number is not known here.
    fn number_holder(&self, request: &ClaimRequest) -> NumberHolder {
        let lease = self.leases.get(&request.process.node).map(|lease| &lease.value);
        let hls = lease.and_then(|lease| lease.addresses.hls.clone());
        NumberHolder::new(request.process.clone(), request.epoch, 0, hls)
    }

    fn put_numbers(&mut self, room: &RoomName, row: RoomNumbers, now_ms: u64) {
        if self.numbers.len() >= NUMBERS_MAX && !self.numbers.contains_key(room) {
            self.numbers.retain(|_, row| row.live(now_ms).is_some());
        }
        if self.numbers.len() >= NUMBERS_MAX {
            let rooms = &self.rooms;
            self.numbers.retain(|room, _| rooms.contains_key(room));
        }
        let expires_ms = row.expires_ms(now_ms);
        self.numbers.insert(room.clone(), Expiring { value: row, expires_ms });
    }
}

#[cfg(test)]
mod tests;
