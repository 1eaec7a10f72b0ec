//! A cluster in small: nodes that share one table, whose requests and answers are on their way for as long as chance
//! wants, while nodes pause, crash and restart and the table loses its memory.

use std::collections::{HashMap, HashSet};

use proptest::{prelude::*, sample::Index};

use super::{
    claims::{
        ClaimAnswer, ClaimRequest, ClaimTable, Holder, LeaseAnswer, NodeAddresses, Process, RenewAnswer,
    },
    leases::{HeldRoom, LeaseChange, NodeLease, assess_holder},
};
use crate::stream::{frame::Track, room::RoomName, timeline::Timeline};

const NODES: usize = 3;
const ROOMS: [&str; 2] = ["a", "b"];
const LEASE_TTL_MS: u64 = 1_000;
const CLAIM_TTL_MS: u64 = 5_000;
const BID_VALID_MS: u64 = 300;

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
    Claim {
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
    Pause {
        node: usize,
    },
    Resume {
        node: usize,
    },
    Restart {
        node: usize,
    },
    EmptyTable,
}

fn event() -> impl Strategy<Value = Event> {
    let node = || 0..NODES;
    let room = || 0..ROOMS.len();
    prop_oneof![
        6 => (1_u64..600).prop_map(|ms| Event::Wait { ms }),
        6 => node().prop_map(|node| Event::RenewLease { node }),
        2 => node().prop_map(|node| Event::RenewClaims { node }),
        6 => (node(), room()).prop_map(|(node, room)| Event::Claim { node, room }),
        2 => (node(), room()).prop_map(|(node, room)| Event::Release { node, room }),
        24 => any::<Index>().prop_map(Event::Reach),
        24 => any::<Index>().prop_map(Event::Answer),
        1 => node().prop_map(|node| Event::Pause { node }),
        2 => node().prop_map(|node| Event::Resume { node }),
        1 => node().prop_map(|node| Event::Restart { node }),
        1 => Just(Event::EmptyTable),
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
        bids: Vec<ClaimRequest>,
        /// How often the node had come back, if it has not renewed its claims since.
        returned: Option<u32>,
        sent_ms: u64,
    },
    /// Asks for an epoch, and whether the node's own lease is there.
    Ticket {
        room: RoomName,
    },
    ClaimRequest {
        request: ClaimRequest,
        over: Option<Holder>,
        sent_ms: u64,
    },
    LeaseOf {
        request: ClaimRequest,
        holder: Holder,
    },
    Release {
        room: RoomName,
        epoch: u64,
    },
}

#[derive(Debug, Clone)]
enum Answer {
    Lease(LeaseAnswer, u32),
    Renewed(Vec<RenewAnswer>),
    Ticket { epoch: u64, now_ms: u64, own_lease: bool },
    ClaimRequest(ClaimAnswer),
    Judged(HeldRoom),
    Released,
}

struct Node {
    process: Process,
    node_lease: NodeLease,
    is_paused: bool,
    /// Rooms that it believes to have: epoch, and until when the table keeps the claim for certain.
    claims: HashMap<RoomName, (u64, u64)>,
    /// Rooms with a request under way, one at a time, and how often the node had come back when it began.
    busy: HashMap<RoomName, u32>,
    /// Claims that it lost with its name, to be given back when no renewal is under way.
    given_up: Vec<(RoomName, u64)>,
    lease_generation: u32,
    is_renewing: bool,
    must_return: bool,
    /// The memory of the table, counted, that its lease was last seen in.
    generation: u32,
}

struct World {
    now_ms: u64,
    generation: u32,
    table: ClaimTable,
    nodes: Vec<Node>,
    messages: Vec<Message>,
    last_incarnation: u64,
    given_epochs: HashSet<u64>,
    edges: HashMap<RoomName, (u64, Timeline, i64)>,
}

fn room(index: usize) -> RoomName {
    RoomName::new(ROOMS[index]).unwrap()
}

fn addresses() -> NodeAddresses {
    NodeAddresses { rtmp: String::new(), httpflv: String::new(), hls: None }
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now_ms: 1_000_000,
            generation: 0,
            table: ClaimTable::default(),
            nodes: Vec::new(),
            messages: Vec::new(),
            last_incarnation: 0,
            given_epochs: HashSet::new(),
            edges: HashMap::new(),
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
            node_lease: NodeLease::new(LEASE_TTL_MS, self.now_ms),
            is_paused: false,
            claims: HashMap::new(),
            busy: HashMap::new(),
            given_up: Vec::new(),
            lease_generation: 0,
            is_renewing: false,
            must_return: false,
            generation: self.generation,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wait { ms } => self.now_ms += ms,
            Event::RenewLease { node } => self.renew_lease(node),
            Event::RenewClaims { node } => self.renew_claims(node),
            Event::Claim { node, room: index } => self.claim(node, room(index)),
            Event::Release { node, room: index } => self.release(node, room(index)),
            Event::Reach(index) => self.reach_one(index),
            Event::Answer(index) => self.answer_one(index),
            Event::Pause { node } => self.nodes[node].is_paused = true,
            Event::Resume { node } => self.nodes[node].is_paused = false,
            Event::Restart { node } => self.nodes[node] = self.start(node),
            Event::EmptyTable => {
                self.table = ClaimTable::default();
                self.generation += 1;
                // A table does not come back in the very millisecond, in which it may have given several epochs.
                self.now_ms += 1_000;
            }
        }
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
        let sent_ms = self.now_ms;
        let node = &mut self.nodes[index];
        if node.is_paused || node.is_renewing {
            return;
        }
        node.is_renewing = true;
        let request = |(room, (epoch, _)): (&RoomName, &(u64, u64))| ClaimRequest {
            room: room.clone(),
            process: node.process.clone(),
            epoch: *epoch,
            valid_until_ms: sent_ms + BID_VALID_MS,
        };
        let bids = node.claims.iter().map(request).collect();
        let returned = node.must_return.then_some(node.lease_generation);
        self.send(index, Request::Renew { bids, returned, sent_ms });
    }

    fn claim(&mut self, index: usize, room: RoomName) {
        let node = &mut self.nodes[index];
        let may = !node.is_paused && node.node_lease.may_claim(self.now_ms).is_ok();
        if may && !node.claims.contains_key(&room) && !node.busy.contains_key(&room) {
            node.busy.insert(room.clone(), node.lease_generation);
            self.send(index, Request::Ticket { room });
        }
    }

    /// Not while a renewal is under way, which could put the claim back.
    fn release(&mut self, index: usize, room: RoomName) {
        let node = &mut self.nodes[index];
        if node.is_paused || node.is_renewing || node.busy.contains_key(&room) {
            return;
        }
        if let Some((epoch, _)) = node.claims.remove(&room) {
            node.busy.insert(room.clone(), node.lease_generation);
            self.send(index, Request::Release { room, epoch });
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

    fn reach_one(&mut self, index: Index) {
        let waiting: Vec<usize> =
            (0..self.messages.len()).filter(|at| self.messages[*at].answer.is_none()).collect();
        if !waiting.is_empty() {
            self.reach(waiting[index.index(waiting.len())]);
        }
    }

    fn reach(&mut self, at: usize) {
        let Message { from, request, .. } = self.messages[at].clone();
        let answer = self.table_answers(&from, request);
        self.messages[at].answer = Some(answer);
    }

    fn table_answers(&mut self, from: &Process, request: Request) -> Answer {
        let (table, now_ms) = (&mut self.table, self.now_ms);
        match request {
            Request::Lease { .. } => {
                let answer = table.renew_lease(from, &addresses(), None, LEASE_TTL_MS, now_ms);
                Answer::Lease(answer, self.generation)
            }
            Request::Renew { bids, returned, .. } => {
                let renew = |request: &ClaimRequest| {
                    table.renew(request, returned.is_some(), Some(CLAIM_TTL_MS), now_ms)
                };
                Answer::Renewed(bids.iter().map(renew).collect())
            }
            Request::Ticket { .. } => {
                let lease = table.lease(&from.node, now_ms);
                let own_lease = lease.is_some_and(|lease| lease.incarnation == from.incarnation);
                let epoch = table.next_epoch(now_ms);
                assert!(self.given_epochs.insert(epoch), "epoch {epoch} was given before");
                Answer::Ticket { epoch, now_ms, own_lease }
            }
            Request::ClaimRequest { request, over, .. } => {
                Answer::ClaimRequest(table.try_claim(&request, over.as_ref(), Some(CLAIM_TTL_MS), now_ms))
            }
            Request::LeaseOf { holder, .. } => {
                Answer::Judged(assess_holder(&holder, from, table.lease(&holder.process.node, now_ms)))
            }
            Request::Release { room, epoch } => {
                table.release(&room, from, epoch, now_ms);
                Answer::Released
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
        let Some(answer) = answer.filter(|_| node.process == from) else { return };
        match (request, answer) {
            (Request::Lease { sent_ms }, Answer::Lease(answer, generation)) => {
                node.generation = node.generation.max(generation);
                match node.node_lease.renewed(&answer, sent_ms, self.now_ms) {
                    LeaseChange::None => {}
                    LeaseChange::Return => {
                        node.must_return = true;
                        node.lease_generation += 1;
                        self.renew_claims(index);
                    }
                    LeaseChange::Leave => {
                        let lost = node.claims.drain().map(|(room, (epoch, _))| (room, epoch));
                        node.given_up.extend(lost);
                        self.give_back(index);
                    }
                }
            }
            (Request::Renew { bids, returned, sent_ms }, Answer::Renewed(answers)) => {
                node.renewed(&bids, &answers, returned, sent_ms);
                let must_return = node.must_return;
                self.give_back(index);
                if must_return {
                    self.renew_claims(index);
                }
            }
            (Request::Ticket { room }, Answer::Ticket { epoch, now_ms, own_lease }) => {
                if own_lease {
                    let process = node.process.clone();
                    let request =
                        ClaimRequest { room, process, epoch, valid_until_ms: now_ms + BID_VALID_MS };
                    self.send(index, Request::ClaimRequest { request, over: None, sent_ms: self.now_ms });
                } else {
                    node.busy.remove(&room);
                }
            }
            (Request::ClaimRequest { request, over, sent_ms }, Answer::ClaimRequest(answer)) => {
                match answer {
                    ClaimAnswer::Held(holder) if over.is_none() => {
                        self.send(index, Request::LeaseOf { request, holder });
                    }
                    // It may have been granted by a table that was emptied since.
                    ClaimAnswer::Granted if node.busy.get(&request.room) != Some(&node.lease_generation) => {
                        self.send(index, Request::Release { room: request.room, epoch: request.epoch });
                    }
                    ClaimAnswer::Granted => {
                        node.busy.remove(&request.room);
                        node.claims.insert(request.room, (request.epoch, sent_ms + CLAIM_TTL_MS));
                    }
                    ClaimAnswer::Held(_) | ClaimAnswer::Late => {
                        node.busy.remove(&request.room);
                    }
                }
            }
            (Request::LeaseOf { request, holder, .. }, Answer::Judged(HeldRoom::TakeOver)) => {
                self.send(index, Request::ClaimRequest { request, over: Some(holder), sent_ms: self.now_ms });
            }
            (Request::LeaseOf { request, .. }, _) => {
                node.busy.remove(&request.room);
            }
            (Request::Release { room, .. }, _) => {
                node.busy.remove(&room);
            }
            (request, answer) => panic!("{answer:?} is no answer to {request:?}"),
        }
    }

    /// What each viewer elsewhere sees: it follows the newest owner, and its time never goes back.
    fn watch(&mut self) {
        for index in 0..ROOMS.len() {
            let room = room(index);
            let Some(epoch) = self.table.holder(&room, self.now_ms).map(|holder| holder.epoch) else {
                continue;
            };
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

    fn check(&self) {
        let mut epochs = HashSet::new();
        for node in &self.nodes {
            assert!(node.claims.values().all(|(epoch, _)| epochs.insert(*epoch)), "two have one epoch");
        }
        for index in 0..ROOMS.len() {
            let owners: Vec<_> =
                self.nodes.iter().filter(|node| self.is_sure_of(node, &room(index))).collect();
            assert!(owners.len() <= 1, "{:?}", owners.iter().map(|node| &node.process).collect::<Vec<_>>());
        }
    }

    /// Whether a node knows that it owns the room: its lease and its claim last by its own clock, it has reached the
    /// table since that was emptied, and if it had lost its lease, it has renewed its claims since.
    fn is_sure_of(&self, node: &Node, room: &RoomName) -> bool {
        let claim_lasts = node.claims.get(room).is_some_and(|(_, until_ms)| self.now_ms < *until_ms);
        let has_reached = node.generation == self.generation && !node.must_return;
        claim_lasts && has_reached && node.node_lease.is_certain(self.now_ms)
    }

    /// Everyone wakes up and all that is on its way arrives, some rounds long.
    fn settle(&mut self) {
        for _ in 0..8 {
            self.now_ms += 200;
            for node in 0..NODES {
                self.nodes[node].is_paused = false;
                self.renew_lease(node);
                self.renew_claims(node);
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
            for (room, (epoch, _)) in &node.claims {
                let holder = self.table.holder(room, self.now_ms);
                assert!(
                    holder.is_some_and(|holder| holder.is(&node.process, *epoch)),
                    "{room} is not its own"
                );
            }
        }
        for (room, holder, _) in self.table.rooms(self.now_ms) {
            let owner = self.nodes.iter().find(|node| node.process == holder.process);
            // A room of a process that is gone is anyone's.
            let is_known =
                owner.is_none_or(|node| node.claims.get(room).is_some_and(|own| own.0 == holder.epoch));
            assert!(is_known, "{room} is held by a node that does not know it");
        }
    }
}

impl Node {
    fn renewed(
        &mut self,
        bids: &[ClaimRequest],
        answers: &[RenewAnswer],
        returned: Option<u32>,
        sent_ms: u64,
    ) {
        self.is_renewing = false;
        for (request, answer) in bids.iter().zip(answers) {
            let Some(claim) = self.claims.get_mut(&request.room).filter(|claim| claim.0 == request.epoch)
            else {
                continue;
            };
            match answer {
                RenewAnswer::Kept | RenewAnswer::Reasserted => claim.1 = sent_ms + CLAIM_TTL_MS,
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
    }
}
