//! A cluster in small: nodes that share one table, whose requests and answers are on their way for as long as chance
//! wants, while nodes pause, crash and restart and the table loses its memory or goes back to an earlier one.

mod actions;
mod checks;
mod messages;
mod moves;
mod node;

use std::collections::{HashMap, HashSet};

use moves::Victim;
use proptest::{prelude::*, sample::Index};

use super::{
    claims::{
        ClaimAnswer, ClaimRequest, ClaimTable, Holder, Lease, LeaseAnswer, NodeAddresses, RenewAnswer,
        TableId,
    },
    leases::{LeaseChange, NodeLease},
    numbers::{EPOCH_UNIX_MS, HlsNumbers, NumberGrant, NumberUse, RESERVE},
    offers::Offer,
    process::Process,
    standing::NodeStanding,
};
use crate::{
    access::PublisherProof,
    stream::{frame::Track, room::RoomName, timeline::Timeline},
};

const NODES: usize = 3;
const ROOMS: [&str; 2] = ["a", "b"];
const LEASE_TTL_MS: u64 = 1_000;
const BID_VALID_MS: u64 = 300;
/// Time until the table is there again with another memory.
const REPLACEMENT_MS: u64 = 300;
/// Time that a room is reserved for its own publisher.
const HANDOVER_MS: u64 = 400;
/// The shortest segments that a node cuts in real time.
const SEGMENT_MS: u64 = 500;

/// One random step.
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
    /// The oldest request of a node reaches the table, or its answer the node.
    Deliver {
        node: usize,
    },
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
    /// A node continues the playlist of the node that had the room before.
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

fn event() -> impl Strategy<Value = Event> + Clone {
    let lossy = prop_oneof![Just(Event::EmptyTable), Just(Event::Save), Just(Event::Restore)];
    prop_oneof![60 => lossless_event(), 2 => lossy]
}

fn lossless_event() -> impl Strategy<Value = Event> + Clone {
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
        /// The number of the node's returns, if it has not renewed its claims since.
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
    /// The table's memory.
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

/// The proof of the publisher of all rooms, or of another one.
fn proof(is_own: bool) -> PublisherProof {
    PublisherProof::from_text(if is_own { "own" } else { "other" })
}

fn lease(process: &Process) -> Lease {
    let addresses = NodeAddresses { rtmp: String::new(), httpflv: String::new(), hls: None };
    Lease { incarnation: process.incarnation, addresses, standing: NodeStanding::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_two_nodes_know_that_they_own_a_room_and_all_agree_in_the_end(
        events in moves::history(event(), &Victim::ALL, 1..150),
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
        events in moves::history(lossless_event(), &[Victim::Old, Victim::Heir], 1..250),
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
