//! The table of claims and leases, as it is kept in memory, and in Redis by scripts that do the same.

use std::collections::HashMap;

use crate::stream::room::RoomName;

/// Where other nodes reach a node's ports, each as `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddresses {
    /// RTMP.
    pub rtmp: String,
    /// HTTP-FLV.
    pub httpflv: String,
    /// HLS, unless it is off there.
    pub hls: Option<String>,
}

/// A process, told apart from earlier ones of the same node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    /// The node's name.
    pub node: String,
    /// Another number at each start.
    pub incarnation: u64,
}

/// A node's lease: for as long as it is in the table, its process counts as alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is.
    pub incarnation: u64,
    /// Where the process can be reached.
    pub addresses: NodeAddresses,
}

/// A room's claim, as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Whose it is.
    pub process: Process,
    /// Higher than that of every claim before.
    pub epoch: u64,
    /// How often the process has come back from a lease that had lapsed and found the claim its own. A takeover that
    /// was decided on before fails.
    pub lease_generation: u64,
}

/// A wish for a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The room.
    pub room: RoomName,
    /// Who wants it.
    pub process: Process,
    /// From [`ClaimTable::next_epoch`].
    pub epoch: u64,
    /// The table does not grant it later, by its own clock: nobody waits for the answer any more.
    pub valid_until_ms: u64,
}

/// What became of a bid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// The room is the bidder's.
    Granted,
    /// It is somebody's.
    Held(Holder),
    /// It is free, but the bid came after its time.
    Late,
}

/// What became of a claim that was to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenewAnswer {
    /// It was there.
    Kept,
    /// It was gone, nobody had taken the room, and it is there again.
    Reasserted,
    /// It was gone, and the request came after its time.
    Late,
    /// The room is somebody else's.
    Lost,
}

/// What became of a lease that was to be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It was there.
    Kept,
    /// It was not there, and is now.
    Taken,
    /// Another process has it under this node's name.
    Lost(Lease),
}

/// Claims and leases, each with its time to live. Times are the table's own clock, in milliseconds.
#[derive(Debug, Clone, Default)]
pub struct ClaimTable {
    last_epoch: u64,
    rooms: HashMap<RoomName, Expiring<RoomRow>>,
    leases: HashMap<String, Expiring<Lease>>,
}

#[derive(Debug, Clone)]
struct RoomRow {
    holder: Holder,
    since_ms: u64,
}

#[derive(Debug, Clone)]
struct Expiring<T> {
    value: T,
    /// Not at all if `None`.
    expires_ms: Option<u64>,
}

impl<T> Expiring<T> {
    fn new(value: T, now_ms: u64, ttl_ms: Option<u64>) -> Self {
        Self { value, expires_ms: ttl_ms.map(|ttl_ms| now_ms + ttl_ms) }
    }

    fn live(&self, now_ms: u64) -> Option<&T> {
        self.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms).then_some(&self.value)
    }
}

impl Holder {
    /// Whether it is this very claim.
    pub fn is(&self, process: &Process, epoch: u64) -> bool {
        self.process == *process && self.epoch == epoch
    }
}

impl ClaimTable {
    /// An epoch that was never given before, not even by a table that lost its memory: it is at least the time.
    pub fn next_epoch(&mut self, now_ms: u64) -> u64 {
        self.last_epoch = now_ms.max(self.last_epoch + 1);
        self.last_epoch
    }

    /// Gives the room to the bidder if it is free, or still as it was when the bidder decided to take it `over`.
    pub fn try_claim(
        &mut self,
        request: &ClaimRequest,
        over: Option<&Holder>,
        ttl_ms: Option<u64>,
        now_ms: u64,
    ) -> ClaimAnswer {
        match self.holder(&request.room, now_ms) {
            Some(holder) if over != Some(holder) => return ClaimAnswer::Held(holder.clone()),
            _ if now_ms > request.valid_until_ms => return ClaimAnswer::Late,
            _ => {}
        }
        let holder = Holder { process: request.process.clone(), epoch: request.epoch, lease_generation: 0 };
        let row = RoomRow { holder, since_ms: now_ms };
        self.rooms.insert(request.room.clone(), Expiring::new(row, now_ms, ttl_ms));
        ClaimAnswer::Granted
    }

    /// Keeps the claim that `bid` won. `returned`: the process comes back from a lease that had lapsed.
    pub fn renew(
        &mut self,
        request: &ClaimRequest,
        returned: bool,
        ttl_ms: Option<u64>,
        now_ms: u64,
    ) -> RenewAnswer {
        let Some(row) = self.row(&request.room, now_ms) else {
            return self.reassert(request, ttl_ms, now_ms);
        };
        if !row.holder.is(&request.process, request.epoch) {
            return RenewAnswer::Lost;
        }
        let mut row = row.clone();
        row.holder.lease_generation += u64::from(returned);
        self.rooms.insert(request.room.clone(), Expiring::new(row, now_ms, ttl_ms));
        RenewAnswer::Kept
    }

    fn reassert(&mut self, request: &ClaimRequest, ttl_ms: Option<u64>, now_ms: u64) -> RenewAnswer {
        match self.try_claim(request, None, ttl_ms, now_ms) {
            ClaimAnswer::Granted => RenewAnswer::Reasserted,
            ClaimAnswer::Late => RenewAnswer::Late,
            ClaimAnswer::Held(_) => RenewAnswer::Lost,
        }
    }

    /// Frees the room, if it is still this claim's. Says whether it was.
    pub fn release(&mut self, room: &RoomName, process: &Process, epoch: u64, now_ms: u64) -> bool {
        let is_held = self.holder(room, now_ms).is_some_and(|holder| holder.is(process, epoch));
        if is_held {
            self.rooms.remove(room);
        }
        is_held
    }

    /// Who has the room.
    pub fn holder(&self, room: &RoomName, now_ms: u64) -> Option<&Holder> {
        self.row(room, now_ms).map(|row| &row.holder)
    }

    /// All rooms with their holders and the times of their claims, in no order.
    pub fn rooms(&self, now_ms: u64) -> impl Iterator<Item = (&RoomName, &Holder, u64)> {
        self.rooms.iter().filter_map(move |(room, row)| {
            let row = row.live(now_ms)?;
            Some((room, &row.holder, row.since_ms))
        })
    }

    /// Keeps the lease of `process`, or takes it if it is free, or if it is the incarnation's that is to be taken
    /// `over`.
    pub fn renew_lease(
        &mut self,
        process: &Process,
        addresses: &NodeAddresses,
        over: Option<u64>,
        ttl_ms: u64,
        now_ms: u64,
    ) -> LeaseAnswer {
        let answer = match self.lease(&process.node, now_ms) {
            Some(lease) if lease.incarnation == process.incarnation => LeaseAnswer::Kept,
            Some(lease) if over != Some(lease.incarnation) => return LeaseAnswer::Lost(lease.clone()),
            _ => LeaseAnswer::Taken,
        };
        let lease = Lease { incarnation: process.incarnation, addresses: addresses.clone() };
        self.leases.insert(process.node.clone(), Expiring::new(lease, now_ms, Some(ttl_ms)));
        answer
    }

    /// Ends the lease of `process`, if it is still its own. Says whether it was.
    pub fn end_lease(&mut self, process: &Process, now_ms: u64) -> bool {
        let is_held =
            self.lease(&process.node, now_ms).is_some_and(|lease| lease.incarnation == process.incarnation);
        if is_held {
            self.leases.remove(&process.node);
        }
        is_held
    }

    /// A node's lease, unless it has lapsed.
    pub fn lease(&self, node: &str, now_ms: u64) -> Option<&Lease> {
        self.leases.get(node)?.live(now_ms)
    }

    fn row(&self, room: &RoomName, now_ms: u64) -> Option<&RoomRow> {
        self.rooms.get(room)?.live(now_ms)
    }
}
