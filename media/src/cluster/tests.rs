//! A cluster in small: nodes that share one table, whose requests and answers are on their way for as long as chance
//! wants, while nodes pause, crash and restart and the table loses its memory or goes back to an earlier one.

use std::collections::{HashMap, HashSet};

use proptest::{prelude::*, sample::Index};

use super::{
    claims::{
        ClaimAnswer, ClaimRequest, ClaimTable, Holder, LeaseAnswer, NodeAddresses, RenewAnswer, TableId,
    },
    leases::{LeaseChange, NodeLease},
    numbers::{EPOCH_UNIX_MS, HlsNumbers, NumberGrant, NumberUse, RESERVE},
    offers::Offer,
    process::Process,
};
use crate::{
    access::PublisherProof,
    stream::{frame::Track, room::RoomName, timeline::Timeline},
};

const NODES: usize = 3;
const ROOMS: [&str; 2] = ["a", "b"];
const LEASE_TTL_MS: u64 = 1_000;
const BID_VALID_MS: u64 = 300;
/// How long it takes until the table is there again with another memory.
const REPLACEMENT_MS: u64 = 300;
/// How long a room is kept for its own publisher.
const HANDOVER_MS: u64 = 400;
/// The shortest segments that a node cuts in real time.
const SEGMENT_MS: u64 = 500;

/// What chance does next.
#[derive(Debug, Clone)]
enum Event {
    Wait {
        ms: u64,
    },
    RenewLease {
        node: usize,
    },
    RenewClaims {
        node: usize,
    },
    /// A publisher comes: the one that published the room before, or another one.
    Claim {
        node: usize,
        room: usize,
        is_own: bool,
    },
    /// A node that drains reserves a room for its publisher.
    Offer {
        node: usize,
        room: usize,
    },
    Release {
        node: usize,
        room: usize,
    },
    /// A request that is on its way reaches the table.
    Reach(Index),
    /// An answer that is on its way reaches its node.
    Answer(Index),
    /// Everything of a node arrives, and what it asks then.
    Exchange {
        node: usize,
    },
    Pause {
        node: usize,
    },
    Resume {
        node: usize,
    },
    Restart {
        node: usize,
    },
    /// A node cuts segments of a room that it has, in no time.
    Cut {
        node: usize,
        room: usize,
        count: u64,
    },
    /// A node goes on with the playlist of the one that had the room before.
    TakeWindow {
        node: usize,
        room: usize,
    },
    /// A node looks for claims in the table that it does not know.
    Audit {
        node: usize,
    },
    EmptyTable,
    /// The table is saved.
    Save,
    /// The table loses what came after it was saved.
    Restore,
}

fn event() -> impl Strategy<Value = Event> {
    let lossy = prop_oneof![Just(Event::EmptyTable), Just(Event::Save), Just(Event::Restore)];
    prop_oneof![60 => lossless_event(), 2 => lossy]
}

fn lossless_event() -> impl Strategy<Value = Event> {
    let node = || 0..NODES;
    let room = || 0..ROOMS.len();
    prop_oneof![
        6 => (1_u64..120).prop_map(|ms| Event::Wait { ms }),
        1 => (300_u64..1_200).prop_map(|ms| Event::Wait { ms }),
        6 => node().prop_map(|node| Event::RenewLease { node }),
        2 => node().prop_map(|node| Event::RenewClaims { node }),
        6 => (node(), room(), any::<bool>()).prop_map(|(node, room, is_own)| Event::Claim { node, room, is_own }),
        2 => (node(), room()).prop_map(|(node, room)| Event::Offer { node, room }),
        2 => (node(), room()).prop_map(|(node, room)| Event::Release { node, room }),
        24 => any::<Index>().prop_map(Event::Reach),
        24 => any::<Index>().prop_map(Event::Answer),
        20 => node().prop_map(|node| Event::Exchange { node }),
        1 => node().prop_map(|node| Event::Pause { node }),
        2 => node().prop_map(|node| Event::Resume { node }),
        1 => node().prop_map(|node| Event::Restart { node }),
        12 => (node(), room(), 1_u64..100).prop_map(|(node, room, count)| Event::Cut { node, room, count }),
        8 => (node(), room()).prop_map(|(node, room)| Event::TakeWindow { node, room }),
        2 => node().prop_map(|node| Event::Audit { node }),
    ]
}

/// A request with what its answer will say, once it has reached the table.
#[derive(Debug, Clone)]
struct Message {
    from: Process,
    node: usize,
    request: Request,
    answer: Option<Answer>,
}

#[derive(Debug, Clone)]
enum Request {
    Lease {
        sent_ms: u64,
    },
    Renew {
        bids: Vec<(ClaimRequest, NumberUse)>,
        /// How often the node had come back, if it has not renewed its claims since.
        returned: Option<u32>,
    },
    /// Asks for an epoch.
    Ticket {
        room: RoomName,
        is_own: bool,
    },
    Claim {
        request: ClaimRequest,
        is_own: bool,
    },
    Offer {
        room: RoomName,
        epoch: u64,
    },
    Release {
        room: RoomName,
        epoch: u64,
    },
    Reserve {
        request: ClaimRequest,
        used: NumberUse,
        sent_ms: u64,
    },
    Audit,
}

/// With the memory of the table that gave it.
#[derive(Debug, Clone)]
struct Answer {
    table: u64,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Lease(LeaseAnswer),
    Renewed(Vec<RenewAnswer>),
    Ticket { epoch: u64, now_ms: u64 },
    ClaimRequest(ClaimAnswer),
    Released,
    Offered,
    Reserved(bool),
    Own(Vec<(RoomName, u64)>),
}

struct Node {
    process: Process,
    node_lease: NodeLease,
    is_paused: bool,
    /// Rooms that it believes to have.
    claims: HashMap<RoomName, Own>,
    /// Playlists, which outlive the claims.
    sessions: HashMap<RoomName, Session>,
    /// Rooms with a request under way, one at a time, and how often the node had come back when it began.
    busy: HashMap<RoomName, u32>,
    /// Claims that it lost with its name, to be given back when no renewal is under way.
    given_up: Vec<(RoomName, u64)>,
    lease_generation: u32,
    is_renewing: bool,
    must_return: bool,
    /// By its own clock, the lease has not lasted all the time since it was renewed.
    has_lapsed: bool,
    /// It started when the table had lost its memory already, and so has nothing to settle by.
    started_in: Option<TableId>,
}

#[derive(Debug, Clone)]
struct Own {
    epoch: u64,
    /// The memory of the table that said last that the claim is there.
    table: TableId,
    /// Another node may have taken the room over in a memory that is lost.
    is_doubtful: bool,
    /// The node has asked its publisher to reconnect: another one may take the room at any time.
    is_offered: bool,
}

/// A playlist, as far as its numbers go.
#[derive(Debug, Clone)]
struct Session {
    id: u64,
    epoch: u64,
    first: u64,
    next: u64,
    /// Below it, all are reserved.
    limit: u64,
    limit_since_ms: u64,
    is_asking: bool,
}

struct World {
    now_ms: u64,
    /// Which memory the table has.
    memory: u64,
    table: ClaimTable,
    saved: ClaimTable,
    nodes: Vec<Node>,
    messages: Vec<Message>,
    last_incarnation: u64,
    last_session: u64,
    given_epochs: HashSet<u64>,
    edges: HashMap<RoomName, (u64, Timeline, i64)>,
    /// The highest number that a node which was sure of the room has used, and in which session.
    used: HashMap<RoomName, (u64, u64)>,
    /// Rooms that the table has promised to their own publishers, and until when.
    promised: HashMap<RoomName, u64>,
    /// The table has lost something: nothing is promised of numbers then.
    is_lossy: bool,
}

fn room(index: usize) -> RoomName {
    RoomName::new(ROOMS[index]).unwrap()
}

/// What the publisher of all rooms shows, or any other one.
fn proof(is_own: bool) -> PublisherProof {
    PublisherProof::from_text(if is_own { "own" } else { "other" })
}

fn addresses() -> NodeAddresses {
    NodeAddresses { rtmp: String::new(), httpflv: String::new(), hls: None }
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now_ms: EPOCH_UNIX_MS + 1_000_000_000,
            memory: 1,
            table: ClaimTable::default(),
            saved: ClaimTable::default(),
            nodes: Vec::new(),
            messages: Vec::new(),
            last_incarnation: 0,
            last_session: 0,
            given_epochs: HashSet::new(),
            edges: HashMap::new(),
            used: HashMap::new(),
            promised: HashMap::new(),
            is_lossy: false,
        };
        for index in 0..NODES {
            let node = world.start(index);
            world.nodes.push(node);
        }
        world
    }

    /// A process that has just taken its node's lease, from a predecessor if need be.
    fn start(&mut self, index: usize) -> Node {
        self.last_incarnation += 1;
        let process = Process { node: format!("n{index}"), incarnation: self.last_incarnation };
        let over = self.table.lease(&process.node, self.now_ms).map(|lease| lease.incarnation);
        self.table.renew_lease(&process, &addresses(), over, LEASE_TTL_MS, self.now_ms);
        Node {
            process,
            node_lease: NodeLease::new(LEASE_TTL_MS, TableId(self.memory), self.now_ms),
            is_paused: false,
            claims: HashMap::new(),
            sessions: HashMap::new(),
            busy: HashMap::new(),
            given_up: Vec::new(),
            lease_generation: 0,
            is_renewing: false,
            must_return: false,
            has_lapsed: false,
            started_in: self.is_lossy.then_some(TableId(self.memory)),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wait { ms } => self.now_ms += ms,
            Event::RenewLease { node } => self.renew_lease(node),
            Event::RenewClaims { node } => self.renew_claims(node),
            Event::Claim { node, room: index, is_own } => self.claim(node, room(index), is_own),
            Event::Offer { node, room: index } => self.offer(node, room(index)),
            Event::Release { node, room: index } => self.release(node, room(index)),
            Event::Reach(index) => self.reach_one(index),
            Event::Answer(index) => self.answer_one(index),
            Event::Exchange { node } => self.exchange(node),
            Event::Pause { node } => self.nodes[node].is_paused = true,
            Event::Resume { node } => self.nodes[node].is_paused = false,
            Event::Restart { node } => self.nodes[node] = self.start(node),
            Event::Cut { node, room: index, count } => self.cut(node, &room(index), count),
            Event::TakeWindow { node, room: index } => self.take_window(node, &room(index)),
            Event::Audit { node } => self.audit(node),
            Event::EmptyTable => self.replace_table(ClaimTable::default()),
            Event::Save => self.saved = self.table.clone(),
            Event::Restore => self.replace_table(self.saved.clone()),
        }
    }

    fn replace_table(&mut self, table: ClaimTable) {
        self.promised.clear();
        self.table = table;
        self.memory += 1;
        self.is_lossy = true;
        // Twice that and the time to settle are more than a lease.
        self.now_ms += REPLACEMENT_MS;
    }

    fn send(&mut self, node: usize, request: Request) {
        let from = self.nodes[node].process.clone();
        self.messages.push(Message { from, node, request, answer: None });
    }

    /// One at a time: a later answer that comes first would hide what the earlier one says.
    fn renew_lease(&mut self, node: usize) {
        let process = &self.nodes[node].process;
        let is_under_way = self
            .messages
            .iter()
            .any(|message| message.from == *process && matches!(message.request, Request::Lease { .. }));
        if !self.nodes[node].is_paused && !is_under_way {
            self.send(node, Request::Lease { sent_ms: self.now_ms });
        }
    }

    fn renew_claims(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.is_paused || node.is_renewing {
            return;
        }
        node.is_renewing = true;
        let bids = node
            .claims
            .iter()
            .map(|(room, own)| (node.try_claim(room, own.epoch, self.now_ms), node.used(room)));
        let (bids, returned) = (bids.collect(), node.must_return.then_some(node.lease_generation));
        self.send(index, Request::Renew { bids, returned });
    }

    fn audit(&mut self, node: usize) {
        if !self.nodes[node].is_paused {
            self.send(node, Request::Audit);
        }
    }

    fn claim(&mut self, index: usize, room: RoomName, is_own: bool) {
        let node = &mut self.nodes[index];
        let may = !node.is_paused && node.node_lease.may_claim(self.now_ms).is_ok();
        if may && !node.claims.contains_key(&room) && !node.busy.contains_key(&room) {
            node.busy.insert(room.clone(), node.lease_generation);
            self.send(index, Request::Ticket { room, is_own });
        }
    }

    fn offer(&mut self, index: usize, room: RoomName) {
        let node = &mut self.nodes[index];
        let own = node.claims.get_mut(&room).filter(|_| !node.is_paused);
        if let Some(own) = own {
            own.is_offered = true;
            let epoch = own.epoch;
            self.send(index, Request::Offer { room, epoch });
        }
    }

    /// Not while a renewal is under way, which could put the claim back.
    fn release(&mut self, index: usize, room: RoomName) {
        let node = &mut self.nodes[index];
        if node.is_paused || node.is_renewing || node.busy.contains_key(&room) {
            return;
        }
        if let Some(own) = node.claims.remove(&room) {
            node.busy.insert(room.clone(), node.lease_generation);
            self.send(index, Request::Release { room, epoch: own.epoch });
        }
    }

    fn give_back(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.is_renewing {
            return;
        }
        for (room, epoch) in std::mem::take(&mut node.given_up) {
            let lease_generation = self.nodes[index].lease_generation;
            self.nodes[index].busy.insert(room.clone(), lease_generation);
            self.send(index, Request::Release { room, epoch });
        }
    }

    /// A playlist without segments goes on where that of the last other holder ended, if its publisher has left. That one gets
    /// no more segments.
    fn take_window(&mut self, index: usize, room: &RoomName) {
        let node = &self.nodes[index];
        let epoch = node.claims.get(room).map(|own| own.epoch);
        let begun = node.sessions.get(room).filter(|session| epoch == Some(session.epoch));
        let Some(first) = begun.filter(|session| session.next == session.first).map(|session| session.first)
        else {
            return;
        };
        let holders = self.table.numbers_of(room, self.now_ms).map_or(&[][..], |row| row.holders());
        let last = holders.iter().rev().find(|holder| holder.process != node.process);
        let giver = last.and_then(|last| {
            let of_holder =
                |node: &&mut Node| node.process == last.process && !node.claims.contains_key(room);
            self.nodes.iter_mut().find(of_holder)
        });
        let given = giver.and_then(|giver| {
            let is_earlier = giver.sessions.get(room).is_some_and(|given| Some(given.epoch) < epoch);
            is_earlier.then(|| giver.sessions.remove(room))?
        });
        let taken = given.filter(|given| given.next <= first);
        if let Some((given, session)) = taken.zip(self.nodes[index].sessions.get_mut(room)) {
            session.next = given.next;
        }
    }

    /// Cuts what is reserved as fast as it comes. Beyond that, a node that cannot report goes on in real time, and only
    /// while it has the room.
    fn cut(&mut self, index: usize, room: &RoomName, count: u64) {
        let (now_ms, is_held) = (self.now_ms, self.nodes[index].claims.contains_key(room));
        let is_sure = self.is_sure_of(&self.nodes[index], room);
        let node = &mut self.nodes[index];
        let Some(session) = node.sessions.get_mut(room).filter(|_| !node.is_paused) else { return };
        let unreported = if is_held { (now_ms - session.limit_since_ms) / SEGMENT_MS } else { 0 };
        let end = (session.next + count).min(session.limit + unreported).max(session.next);
        let cut = session.next..end;
        session.next = end;
        if is_sure && !cut.is_empty() && !self.is_lossy {
            let (last, of) = self.used.get(room).copied().unwrap_or_default();
            assert!(cut.start > last, "{room}: {cut:?} after {last} of {of}, by {session:?}");
            self.used.insert(room.clone(), (cut.end - 1, session.id));
        }
        let wants_more = session.next + RESERVE / 2 > session.limit && !session.is_asking;
        if wants_more {
            session.is_asking = true;
            let epoch = session.epoch;
            let (request, used) = (node.try_claim(room, epoch, now_ms), node.used(room));
            self.send(index, Request::Reserve { request, used, sent_ms: now_ms });
        }
    }

    fn exchange(&mut self, node: usize) {
        while let Some(at) = self.messages.iter().position(|message| message.node == node) {
            if self.messages[at].answer.is_none() {
                self.reach(at);
            }
            if self.nodes[node].is_paused {
                return;
            }
            self.answer(at);
        }
    }

    fn reach_one(&mut self, index: Index) {
        let waiting: Vec<usize> =
            (0..self.messages.len()).filter(|at| self.messages[*at].answer.is_none()).collect();
        if !waiting.is_empty() {
            self.reach(waiting[index.index(waiting.len())]);
        }
    }

    fn reach(&mut self, at: usize) {
        let Message { from, request, .. } = self.messages[at].clone();
        let content = self.table_answers(&from, request);
        self.messages[at].answer = Some(Answer { table: self.memory, content });
    }

    fn table_answers(&mut self, from: &Process, request: Request) -> Content {
        let (table, now_ms) = (&mut self.table, self.now_ms);
        match request {
            Request::Lease { .. } => {
                Content::Lease(table.renew_lease(from, &addresses(), None, LEASE_TTL_MS, now_ms))
            }
            Request::Renew { bids, .. } => Content::Renewed(
                bids.iter().map(|(request, used)| table.renew(request, used, now_ms)).collect(),
            ),
            Request::Ticket { .. } => {
                let epoch = table.next_epoch(0, now_ms);
                assert!(self.given_epochs.insert(epoch), "epoch {epoch} was given before");
                Content::Ticket { epoch, now_ms }
            }
            Request::Claim { request, is_own } => {
                let answer = table.try_claim(&request, Some(&proof(is_own)), now_ms);
                if matches!(answer, ClaimAnswer::Granted(_)) {
                    let until_ms = self.promised.remove(&request.room).unwrap_or(0);
                    assert!(is_own || now_ms >= until_ms, "a stranger took {} too early", request.room);
                }
                Content::ClaimRequest(answer)
            }
            Request::Offer { room, epoch } => {
                let by = Holder { process: from.clone(), epoch };
                let offer = Offer { by, proof: proof(true), until_ms: now_ms + HANDOVER_MS };
                if table.offer(&room, offer, now_ms) {
                    self.promised.insert(room, now_ms + HANDOVER_MS);
                }
                Content::Offered
            }
            Request::Release { room, epoch } => {
                table.release(&room, from, epoch, now_ms);
                Content::Released
            }
            Request::Reserve { request, used, .. } => {
                Content::Reserved(table.reserve(&request, &used, now_ms))
            }
            Request::Audit => {
                let own = table.rooms().filter(|(_, holder, _)| holder.process == *from);
                Content::Own(own.map(|(room, holder, _)| (room.clone(), holder.epoch)).collect())
            }
        }
    }

    fn answer_one(&mut self, index: Index) {
        let answered: Vec<usize> = (0..self.messages.len())
            .filter(|at| {
                self.messages[*at].answer.is_some() && !self.nodes[self.messages[*at].node].is_paused
            })
            .collect();
        if !answered.is_empty() {
            self.answer(answered[index.index(answered.len())]);
        }
    }

    fn answer(&mut self, at: usize) {
        let Message { from, node: index, request, answer } = self.messages.swap_remove(at);
        let node = &mut self.nodes[index];
        let Some(Answer { table, content }) = answer.filter(|_| node.process == from) else { return };
        match (request, content) {
            (Request::Lease { sent_ms }, Content::Lease(answer)) => {
                self.lease_renewed(index, &answer, table, sent_ms);
            }
            (Request::Renew { bids, returned }, Content::Renewed(answers)) => {
                node.renewed(&bids, &answers, TableId(table), returned);
                let must_return = node.must_return;
                self.give_back(index);
                if must_return {
                    self.renew_claims(index);
                }
            }
            // What another table says is not believed before the lease was renewed there.
            (Request::Ticket { room, is_own }, Content::Ticket { epoch, now_ms }) => {
                if TableId(table) == node.node_lease.table() {
                    let request = node.try_claim(&room, epoch, now_ms);
                    self.send(index, Request::Claim { request, is_own });
                } else {
                    node.busy.remove(&room);
                }
            }
            (Request::Claim { request, .. }, Content::ClaimRequest(ClaimAnswer::Granted(grant))) => {
                self.bid_won(index, request, grant, table);
            }
            (Request::Claim { request, .. }, Content::ClaimRequest(_)) => {
                node.busy.remove(&request.room);
            }
            (Request::Offer { .. }, Content::Offered) => {}
            (Request::Release { room, .. }, Content::Released) => {
                node.busy.remove(&room);
            }
            (Request::Reserve { request, used, sent_ms }, Content::Reserved(may_use)) => {
                node.reserved(&request, &used, may_use, sent_ms);
            }
            (Request::Audit, Content::Own(rooms)) => {
                for (room, epoch) in rooms {
                    let is_known = node.claims.get(&room).is_some_and(|own| own.epoch == epoch);
                    if !is_known && !node.busy.contains_key(&room) {
                        node.given_up.push((room, epoch));
                    }
                }
                self.give_back(index);
            }
            (request, content) => panic!("{content:?} is no answer to {request:?}"),
        }
    }

    fn lease_renewed(&mut self, index: usize, answer: &LeaseAnswer, table: u64, sent_ms: u64) {
        let node = &mut self.nodes[index];
        let before = node.node_lease.table();
        let consequence = node.node_lease.renewed(answer, TableId(table), sent_ms, self.now_ms);
        let has_lapsed = std::mem::take(&mut node.has_lapsed);
        if before != TableId(table) {
            node.claims.values_mut().for_each(|own| own.is_doubtful |= has_lapsed || own.table != before);
        }
        match consequence {
            LeaseChange::None => {}
            LeaseChange::Return => {
                node.must_return = true;
                node.lease_generation += 1;
                self.renew_claims(index);
            }
            LeaseChange::Leave => {
                let lost = node.claims.drain().map(|(room, own)| (room, own.epoch));
                node.given_up.extend(lost);
                self.give_back(index);
            }
        }
    }

    fn bid_won(&mut self, index: usize, request: ClaimRequest, grant: NumberGrant, table: u64) {
        let node = &mut self.nodes[index];
        // It may have been granted by a table that was replaced since.
        let is_valid = node.busy.get(&request.room) == Some(&node.lease_generation)
            && TableId(table) == node.node_lease.table();
        if !is_valid {
            return self.send(index, Request::Release { room: request.room, epoch: request.epoch });
        }
        node.busy.remove(&request.room);
        let own = Own {
            epoch: request.epoch,
            table: TableId(table),
            is_doubtful: node.started_in == Some(TableId(table)),
            is_offered: false,
        };
        node.claims.insert(request.room.clone(), own);
        self.last_session += 1;
        node.session_begins(&request, grant, self.last_session, self.now_ms);
    }

    /// What each viewer elsewhere sees: it follows the newest owner, and its time never goes back.
    fn watch(&mut self) {
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

    fn check(&mut self) {
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

    /// Whether a node knows that it owns the room: its lease lasts by its own clock, and did so when the table was replaced,
    /// it has reached the table since, and if it had lost its lease, it has renewed its claims since.
    fn is_sure_of(&self, node: &Node, room: &RoomName) -> bool {
        let is_undoubted = node.claims.get(room).is_some_and(|own| !own.is_doubtful && !own.is_offered);
        let has_reached = node.node_lease.table() == TableId(self.memory) && !node.must_return;
        is_undoubted && has_reached && node.node_lease.is_certain(self.now_ms)
    }

    /// Everyone wakes up and all that is on its way arrives, some rounds long.
    fn settle(&mut self) {
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

    fn check_agreement(&self) {
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
            // A room of a process that is gone is anyone's.
            let is_known =
                owner.is_none_or(|node| node.claims.get(room).is_some_and(|own| own.epoch == holder.epoch));
            assert!(is_known, "{room} is held by a node that does not know it");
        }
    }

    /// All nodes crash. When their leases have lapsed, and what they offered, anyone may have any room.
    fn check_rooms_become_free(&mut self) {
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

impl Node {
    fn try_claim(&self, room: &RoomName, epoch: u64, now_ms: u64) -> ClaimRequest {
        let (room, process) = (room.clone(), self.process.clone());
        ClaimRequest { room, process, epoch, valid_until_ms: now_ms + BID_VALID_MS }
    }

    /// What it uses, and as much again as it may before it reports once more.
    fn used(&self, room: &RoomName) -> NumberUse {
        let session = &self.sessions[room];
        let limit = HlsNumbers { sequence: session.next + RESERVE, discontinuity: 0 };
        NumberUse { first_sequence: session.first, limit }
    }

    fn session_begins(&mut self, request: &ClaimRequest, grant: NumberGrant, id: u64, now_ms: u64) {
        let (first, limit) = (grant.first.sequence, grant.limit.sequence);
        let begun = Session {
            id,
            epoch: request.epoch,
            first,
            next: first,
            limit,
            limit_since_ms: now_ms,
            is_asking: false,
        };
        match self.sessions.get_mut(&request.room).filter(|_| grant.continues) {
            Some(session) => session.epoch = request.epoch,
            None => {
                self.sessions.insert(request.room.clone(), begun);
            }
        }
    }

    fn reserved(&mut self, request: &ClaimRequest, used: &NumberUse, may_use: bool, sent_ms: u64) {
        let session =
            self.sessions.get_mut(&request.room).filter(|session| session.first == used.first_sequence);
        let Some(session) = session else { return };
        session.is_asking = false;
        if may_use && used.limit.sequence > session.limit {
            (session.limit, session.limit_since_ms) = (used.limit.sequence, sent_ms);
        }
    }

    fn renewed(
        &mut self,
        bids: &[(ClaimRequest, NumberUse)],
        answers: &[RenewAnswer],
        table: TableId,
        returned: Option<u32>,
    ) {
        self.is_renewing = false;
        for ((request, _), answer) in bids.iter().zip(answers) {
            let Some(own) = self.claims.get_mut(&request.room).filter(|own| own.epoch == request.epoch)
            else {
                continue;
            };
            match answer {
                RenewAnswer::Kept | RenewAnswer::Reasserted => own.table = table,
                RenewAnswer::Late => {}
                RenewAnswer::Lost => {
                    self.claims.remove(&request.room);
                }
            }
        }
        if returned == Some(self.lease_generation) && !answers.contains(&RenewAnswer::Late) {
            self.must_return = false;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_two_nodes_know_that_they_own_a_room_and_all_agree_in_the_end(
        events in proptest::collection::vec(event(), 1..250),
    ) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
            world.check();
            world.watch();
        }
        world.settle();
        world.check_agreement();
        world.check_rooms_become_free();
    }

    #[test]
    fn no_number_is_used_twice_and_none_goes_back_while_the_table_forgets_nothing(
        events in proptest::collection::vec(lossless_event(), 1..400),
    ) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
            world.check();
        }
        world.settle();
        world.check_agreement();
        world.check_rooms_become_free();
    }
}
