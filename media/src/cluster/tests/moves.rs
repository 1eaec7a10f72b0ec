//! The steps of a room's move to another node, and the crashes that random histories reach in each of them.

use std::collections::BTreeSet;

use proptest::strategy::ValueTree;

use super::*;

/// A step of a move, as far as the nodes and the table know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MoveStep {
    /// The old node has asked to reserve the room.
    Asked,
    /// The room is reserved, and the old node has it.
    Reserved,
    /// The publisher was let go: the room is reserved, and no node has it.
    LetGo,
    /// The publisher came to another node, whose claim is on its way to the table.
    Claimed,
    /// The other node has the room, and the old one still publishes.
    Taken,
}

/// The part that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Victim {
    Old,
    Heir,
    Table,
}

impl Victim {
    pub(super) const ALL: [Self; 3] = [Self::Old, Self::Heir, Self::Table];

    fn crash(self, [old, heir]: [usize; 2]) -> Event {
        match self {
            Self::Old => Event::Restart { node: old },
            Self::Heir => Event::Restart { node: heir },
            Self::Table => Event::EmptyTable,
        }
    }
}

/// The crashes that there are: before the publisher is on its way to another node, that one is not known.
const CRASHES: [(MoveStep, Victim); 12] = [
    (MoveStep::Asked, Victim::Old),
    (MoveStep::Asked, Victim::Table),
    (MoveStep::Reserved, Victim::Old),
    (MoveStep::Reserved, Victim::Table),
    (MoveStep::LetGo, Victim::Old),
    (MoveStep::LetGo, Victim::Table),
    (MoveStep::Claimed, Victim::Old),
    (MoveStep::Claimed, Victim::Heir),
    (MoveStep::Claimed, Victim::Table),
    (MoveStep::Taken, Victim::Old),
    (MoveStep::Taken, Victim::Heir),
    (MoveStep::Taken, Victim::Table),
];

/// No move has more events of its own.
const STEPS_MAX: usize = 20;

/// A room that is on its way, and the two processes that it concerns.
struct Move {
    step: MoveStep,
    old: Process,
    heir: Option<Process>,
}

impl World {
    /// The steps at which this event is a crash.
    fn crashes(&self, event: &Event) -> Vec<(MoveStep, Victim)> {
        let moves = (0..ROOMS.len()).filter_map(|index| self.move_of(&room(index)));
        let mut crashes = Vec::new();
        for Move { step, old, heir } in moves {
            match event {
                Event::EmptyTable | Event::Restore => crashes.push((step, Victim::Table)),
                Event::Restart { node } if self.nodes[*node].process == old => {
                    crashes.push((step, Victim::Old));
                }
                Event::Restart { node } if Some(&self.nodes[*node].process) == heir.as_ref() => {
                    crashes.push((step, Victim::Heir));
                }
                _ => {}
            }
        }
        crashes
    }

    fn move_of(&self, room: &RoomName) -> Option<Move> {
        let holder = self.table.holder(room);
        let publishes_on = |node: &&Node| {
            let is_later = |epoch| holder.is_some_and(|holder| holder.epoch > epoch);
            node.claims.get(room).is_some_and(|own| own.is_offered && is_later(own.epoch))
        };
        if let (Some(old), Some(holder)) = (self.nodes.iter().find(publishes_on), holder) {
            let (old, heir) = (old.process.clone(), Some(holder.process.clone()));
            return Some(Move { step: MoveStep::Taken, old, heir });
        }
        let Some(offer) = self.table.offer_of(room, self.now_ms) else { return self.asked(room) };
        let old = offer.by.process.clone();
        let heir = self.on_its_way(
            |request| matches!(request, Request::Claim { request, is_own: true } if request.room == *room),
        );
        let step = match (&heir, holder) {
            (Some(_), _) => MoveStep::Claimed,
            (None, Some(_)) => MoveStep::Reserved,
            (None, None) => MoveStep::LetGo,
        };
        Some(Move { step, old, heir })
    }

    fn asked(&self, room: &RoomName) -> Option<Move> {
        let old = self.on_its_way(
            |request| matches!(request, Request::Offer { room: offered, .. } if offered == room),
        )?;
        Some(Move { step: MoveStep::Asked, old, heir: None })
    }

    /// The process of a request that has not reached the table.
    fn on_its_way(&self, is_it: impl Fn(&Request) -> bool) -> Option<Process> {
        let is_pending = |message: &&Message| message.answer.is_none() && is_it(&message.request);
        self.messages.iter().find(is_pending).map(|message| message.from.clone())
    }
}

/// Random events, with moves of rooms among them whose steps follow each other: of single random events, hardly any make one.
/// Between two steps, anything may happen, and a crash of one of these often does.
pub(super) fn history(
    event: impl Strategy<Value = Event> + Clone,
    victims: &'static [Victim],
    length: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<Event>> {
    let alone = event.clone().prop_map(|event| vec![event]);
    let part = prop_oneof![20 => alone, 1 => move_of_a_room(event, victims)];
    proptest::collection::vec(part, length).prop_map(|parts| parts.concat())
}

fn move_of_a_room(
    event: impl Strategy<Value = Event>,
    victims: &'static [Victim],
) -> impl Strategy<Value = Vec<Event>> {
    let between = prop_oneof![12 => Just(None), 1 => event.prop_map(Some)];
    let crash = prop_oneof![8 => Just(None), 1 => proptest::sample::select(victims).prop_map(Some)];
    let disturbances = proptest::collection::vec((between, crash), STEPS_MAX);
    let nodes = (0..NODES, 1..NODES).prop_map(|(old, others)| [old, (old + others) % NODES]);
    (nodes, 0..ROOMS.len(), any::<bool>(), disturbances).prop_map(|(nodes, room, is_asked, disturbances)| {
        let steps = steps(nodes, room, is_asked).into_iter().zip(disturbances);
        let disturbed = steps.flat_map(|(step, (between, crash))| {
            [Some(step), between, crash.map(|victim| victim.crash(nodes))].into_iter().flatten()
        });
        disturbed.collect()
    })
}

/// A publisher that is asked publishes at its new node before it leaves the old one; any other is let go first.
fn steps([old, heir]: [usize; 2], room: usize, is_asked: bool) -> Vec<Event> {
    let prepared = [old, heir].map(|node| [Event::RenewLease { node }, Event::Exchange { node }]).concat();
    let reserved = vec![
        Event::Claim { node: old, room, is_own: true },
        Event::Exchange { node: old },
        Event::Offer { node: old, room },
        Event::Exchange { node: old },
    ];
    let let_go = vec![Event::Release { node: old, room }, Event::Exchange { node: old }];
    let mut taken = vec![Event::Claim { node: heir, room, is_own: true }];
    taken.extend((0..4).map(|_| Event::Deliver { node: heir }));
    if is_asked {
        [prepared, reserved, taken, let_go].concat()
    } else {
        [prepared, reserved, let_go, taken].concat()
    }
}

/// The histories of the random tests are of the same kind, but with other numbers each time.
#[test]
fn random_histories_crash_in_every_step_of_a_move() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let histories = history(event(), &Victim::ALL, 1..150);
    let mut reached = BTreeSet::new();
    for _ in 0..100 {
        let mut world = World::new();
        for event in histories.new_tree(&mut runner).unwrap().current() {
            reached.extend(world.crashes(&event));
            world.happen(event);
            world.check();
        }
        world.settle();
        world.check_agreement();
        world.check_rooms_become_free();
    }
    assert_eq!(reached, BTreeSet::from(CRASHES));
}
