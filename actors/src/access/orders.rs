//! Orders of administrators, which all nodes obey: tokens that are revoked, rooms that are blocked, connections that are
//! cut, and the lifting of these.
//!
//! An order lasts until a time and is never taken back: a later one lifts it, and lasts as long. So the orders that nodes
//! know can be put together in any sequence, and a node that missed some, or a Redis that was emptied, ends up with all.

use std::collections::{HashMap, HashSet};

use synctv_media::{digits, stream::room::RoomName};

/// Orders that are kept. Further ones are refused until some have expired.
pub(super) const ORDERS_MAX: usize = 10_000;

/// The longest name of a token or a subject, in bytes.
pub(super) const NAME_MAX_BYTES: usize = 256;

/// An order of an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Order {
    /// The time at which it was given, in milliseconds since 1970. It decides which of two orders counts, and distinguishes
    /// an order from an earlier one alike.
    pub given_unix_ms: u64,
    /// The command.
    pub command: Command,
}

/// A command of an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Command {
    /// A token opens nothing any more, and connections that run with it are cut.
    Revoke {
        /// The token's name, its claim `jti`.
        token_id: String,
    },
    /// Lifts the revocation of a token.
    Reinstate {
        /// The token's name.
        token_id: String,
    },
    /// A room is not published.
    Block {
        /// The room.
        room: RoomName,
    },
    /// Lifts the block of a room.
    Unblock {
        /// The room.
        room: RoomName,
    },
    /// The publisher of a room is cut.
    KickPublisher {
        /// The room.
        room: RoomName,
    },
    /// The viewers of a room that have a subject are cut.
    KickViewers {
        /// The room.
        room: RoomName,
        /// Their tokens' claim `sub`.
        subject: String,
    },
}

impl Order {
    /// Reads what [`Order::to_text`] wrote; `None` for every other text, such as that of a later version.
    pub fn parse(text: &str) -> Option<Self> {
        let (verb, rest) = text.split_once(' ')?;
        let (given, object) = rest.split_once(' ')?;
        let given_unix_ms = digits::parse(given)?;
        let room = |name: &str| RoomName::new(name).ok();
        let token_id = || (!object.is_empty()).then(|| object.to_owned());
        let command = match verb {
            "revoke" => Command::Revoke { token_id: token_id()? },
            "reinstate" => Command::Reinstate { token_id: token_id()? },
            "block" => Command::Block { room: room(object)? },
            "unblock" => Command::Unblock { room: room(object)? },
            "kick-publisher" => Command::KickPublisher { room: room(object)? },
            "kick-viewers" => {
                let (name, subject) = object.split_once(' ')?;
                Command::KickViewers { room: room(name)?, subject: subject.to_owned() }
            }
            _ => return None,
        };
        Some(Self { given_unix_ms, command })
    }

    /// The order as nodes pass it on.
    pub fn to_text(&self) -> String {
        let given = self.given_unix_ms;
        match &self.command {
            Command::Revoke { token_id } => format!("revoke {given} {token_id}"),
            Command::Reinstate { token_id } => format!("reinstate {given} {token_id}"),
            Command::Block { room } => format!("block {given} {room}"),
            Command::Unblock { room } => format!("unblock {given} {room}"),
            Command::KickPublisher { room } => format!("kick-publisher {given} {room}"),
            Command::KickViewers { room, subject } => format!("kick-viewers {given} {room} {subject}"),
        }
    }

    /// Returns whether `other` is void because of this order. Of two of one millisecond, the lifting counts.
    fn lifts(&self, other: &Self) -> bool {
        self.command.lifted().as_ref() == Some(&other.command) && other.given_unix_ms <= self.given_unix_ms
    }
}

impl Command {
    /// The command that this one lifts.
    fn lifted(&self) -> Option<Self> {
        match self {
            Self::Reinstate { token_id } => Some(Self::Revoke { token_id: token_id.clone() }),
            Self::Unblock { room } => Some(Self::Block { room: room.clone() }),
            _ => None,
        }
    }
}

/// The orders that are in force, each with the time of its end in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct OrderBook {
    orders: HashMap<Order, u64>,
    revoked: HashSet<String>,
    /// Until when.
    blocked: HashMap<RoomName, u64>,
    /// Commands that do not count if they were given until then.
    lifted: HashMap<Command, u64>,
}

/// There is no room for another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BookFull;

impl OrderBook {
    /// An order of this moment, which is later than those that it lifts or that would lift it, also if another node's clock
    /// is ahead.
    pub fn date(&self, command: Command, now_unix_ms: u64) -> Order {
        let lifted = command.lifted();
        let imposed = self.orders.keys().filter(|order| Some(&order.command) == lifted.as_ref());
        let latest = imposed.map(|order| order.given_unix_ms).max().max(self.lifted.get(&command).copied());
        let given_unix_ms = latest.map_or(now_unix_ms, |latest| now_unix_ms.max(latest.saturating_add(1)));
        Order { given_unix_ms, command }
    }

    /// The end of the last order in force that `lifting` would lift; `None` if there is none.
    pub fn end_of_lifted(&self, lifting: &Command, now_unix_ms: u64) -> Option<u64> {
        let lifted = lifting.lifted()?;
        let imposed = self.orders.iter().filter(|(order, _)| order.command == lifted);
        imposed.map(|(_, ends)| *ends).max().filter(|ends| *ends > now_unix_ms)
    }

    /// Takes an order in. Returns whether it is new and not lifted already.
    pub fn add(&mut self, order: &Order, ends_unix_ms: u64, now_unix_ms: u64) -> Result<bool, BookFull> {
        let lifted_until = self.lifted.get(&order.command);
        if ends_unix_ms <= now_unix_ms || lifted_until.is_some_and(|given| order.given_unix_ms <= *given) {
            return Ok(false);
        }
        if order.command.lifted().is_some() {
            self.retain(|other, _| !order.lifts(other));
        }
        if self.orders.len() >= ORDERS_MAX {
            self.sweep(now_unix_ms);
        }
        let is_new = !self.orders.contains_key(order);
        if is_new && self.orders.len() >= ORDERS_MAX {
            return Err(BookFull);
        }
        let ends = self.orders.entry(order.clone()).or_default();
        *ends = (*ends).max(ends_unix_ms);
        let ends = *ends;
        self.index(order, ends);
        Ok(is_new)
    }

    /// Forgets orders whose time is over.
    pub fn sweep(&mut self, now_unix_ms: u64) {
        self.retain(|_, ends| ends > now_unix_ms);
    }

    pub fn is_revoked(&self, token_id: &str) -> bool {
        !self.revoked.is_empty() && self.revoked.contains(token_id)
    }

    pub fn is_blocked(&self, room: &RoomName, now_unix_ms: u64) -> bool {
        self.blocked.get(room).is_some_and(|until| *until > now_unix_ms)
    }

    /// All orders in force.
    pub fn all(&self) -> Vec<(String, u64)> {
        self.orders.iter().map(|(order, ends)| (order.to_text(), *ends)).collect()
    }

    fn retain(&mut self, mut is_kept: impl FnMut(&Order, u64) -> bool) {
        let known = self.orders.len();
        self.orders.retain(|order, ends| is_kept(order, *ends));
        if self.orders.len() < known {
            let orders = std::mem::take(self).orders;
            orders.iter().for_each(|(order, ends)| self.index(order, *ends));
            self.orders = orders;
        }
    }

    fn index(&mut self, order: &Order, ends_unix_ms: u64) {
        let latest = |entry: &mut u64, time| *entry = (*entry).max(time);
        match &order.command {
            Command::Revoke { token_id } => drop(self.revoked.insert(token_id.clone())),
            Command::Block { room } => latest(self.blocked.entry(room.clone()).or_default(), ends_unix_ms),
            _ => {}
        }
        if let Some(lifted) = order.command.lifted() {
            latest(self.lifted.entry(lifted).or_default(), order.given_unix_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::room;

    fn at(given_unix_ms: u64, command: Command) -> Order {
        Order { given_unix_ms, command }
    }

    fn block() -> Command {
        Command::Block { room: room("r") }
    }

    fn unblock() -> Command {
        Command::Unblock { room: room("r") }
    }

    fn revoke() -> Command {
        Command::Revoke { token_id: "a b".to_owned() }
    }

    fn reinstate() -> Command {
        Command::Reinstate { token_id: "a b".to_owned() }
    }

    fn orders() -> [Order; 4] {
        [
            at(1, revoke()),
            at(2, block()),
            at(3, Command::KickPublisher { room: room("r") }),
            at(4, Command::KickViewers { room: room("r"), subject: "Ann B".to_owned() }),
        ]
    }

    #[test]
    fn what_is_passed_on_is_what_was_ordered() {
        for order in orders().into_iter().chain([at(5, reinstate()), at(6, unblock())]) {
            assert_eq!(Order::parse(&order.to_text()), Some(order));
        }
        for text in [
            "",
            "revoke",
            "revoke 1",
            "revoke 1 ",
            "revoke x j",
            "block 1 a/b",
            "block r",
            "kick-viewers 1 r",
            "dance 1 r",
        ] {
            assert_eq!(Order::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_order_is_new_once_and_lasts_until_its_end() {
        let mut book = OrderBook::default();
        for order in orders() {
            assert_eq!(book.add(&order, 100, 0), Ok(true));
            assert_eq!(book.add(&order, 200, 0), Ok(false));
        }
        book.sweep(199);
        assert!(book.is_revoked("a b") && book.is_blocked(&room("r"), 199));
        assert!(!book.is_blocked(&room("r"), 200));
        assert_eq!(book.all().len(), 4);
        book.sweep(200);
        assert!(!book.is_revoked("a b") && book.all().is_empty());
        assert_eq!(book.add(&orders()[0], 200, 200), Ok(false));
    }

    #[test]
    fn the_last_order_counts_in_whatever_sequence_they_come() {
        // Blocked until 900, lifted, and blocked again until 500.
        let given = [(at(1, block()), 900), (at(2, unblock()), 900), (at(3, block()), 500)];
        for sequence in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut book = OrderBook::default();
            for at in sequence {
                let (order, ends) = &given[at];
                book.add(order, *ends, 0).unwrap();
            }
            assert!(book.is_blocked(&room("r"), 499), "{sequence:?}");
            assert!(!book.is_blocked(&room("r"), 500), "{sequence:?}");
            book.add(&at(4, unblock()), 500, 0).unwrap();
            assert!(!book.is_blocked(&room("r"), 0), "{sequence:?}");
        }
        let mut book = OrderBook::default();
        book.add(&at(1, revoke()), 100, 0).unwrap();
        book.add(&at(2, reinstate()), 100, 0).unwrap();
        assert!(!book.is_revoked("a b"));
    }

    #[test]
    fn an_order_is_dated_after_those_it_competes_with() {
        let mut book = OrderBook::default();
        assert_eq!(book.date(block(), 7), at(7, block()));
        assert_eq!(book.end_of_lifted(&unblock(), 7), None);
        book.add(&at(50, block()), 100, 7).unwrap();
        assert_eq!(book.end_of_lifted(&unblock(), 99), Some(100));
        assert_eq!(book.end_of_lifted(&unblock(), 100), None);
        let lifting = book.date(unblock(), 8);
        assert_eq!(lifting, at(51, unblock()));
        book.add(&lifting, 100, 8).unwrap();
        assert_eq!(book.date(block(), 9), at(52, block()));
        assert_eq!(book.date(revoke(), 9), at(9, revoke()));
    }

    #[test]
    fn the_number_of_orders_is_bounded_and_lifting_makes_room() {
        let mut book = OrderBook::default();
        assert_eq!(book.add(&at(0, block()), 100, 0), Ok(true));
        for given in 1..ORDERS_MAX as u64 {
            let kick = at(given, Command::KickPublisher { room: room("r") });
            assert_eq!(book.add(&kick, 100, 0), Ok(true));
        }
        assert_eq!(book.add(&orders()[0], 100, 0), Err(BookFull));
        assert_eq!(book.add(&at(1, unblock()), 100, 0), Ok(true));
        assert_eq!(book.add(&orders()[0], 200, 100), Ok(true));
    }
}
