//! Orders of administrators, which all nodes obey: tokens that are revoked, rooms that are blocked, and connections that
//! are cut.
//!
//! An order lasts until a time and is never taken back, so that the orders that nodes know can be put together in any
//! way: a node that missed some, or a Redis that was emptied, ends up with all of them.

use std::collections::{HashMap, HashSet};

use synctv_media::stream::room::RoomName;

/// Orders that are kept. Further ones are refused until some have expired.
pub(super) const ORDERS_MAX: usize = 10_000;

/// The longest name of a token or a subject, in bytes.
pub(super) const NAME_MAX_BYTES: usize = 256;

/// What is ordered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Order {
    /// A token opens nothing any more, and what runs with it is cut.
    Revoke {
        /// The token's name, its claim `jti`.
        token_id: String,
    },
    /// Nobody publishes a room.
    Block {
        /// The room.
        room: RoomName,
    },
    /// The publisher of a room is cut.
    KickPublisher {
        /// The room.
        room: RoomName,
        /// Tells the order from an earlier one alike.
        nonce: u64,
    },
    /// The viewers of a room that have a subject are cut.
    KickViewers {
        /// The room.
        room: RoomName,
        /// Their tokens' claim `sub`.
        subject: String,
        /// Tells the order from an earlier one alike.
        nonce: u64,
    },
}

impl Order {
    /// Reads what [`Order::to_text`] wrote; `None` for every other text, such as that of a later version.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (verb, rest) = text.split_once(' ')?;
        let room = |name: &str| RoomName::new(name).ok();
        Some(match verb {
            "revoke" if !rest.is_empty() => Self::Revoke { token_id: rest.to_owned() },
            "block" => Self::Block { room: room(rest)? },
            "kick-publisher" => {
                let (name, nonce) = rest.split_once(' ')?;
                Self::KickPublisher { room: room(name)?, nonce: nonce.parse().ok()? }
            }
            "kick-viewers" => {
                let mut words = rest.splitn(3, ' ');
                let (name, nonce, subject) = (words.next()?, words.next()?, words.next()?);
                Self::KickViewers {
                    room: room(name)?,
                    nonce: nonce.parse().ok()?,
                    subject: subject.to_owned(),
                }
            }
            _ => return None,
        })
    }

    /// The order as nodes pass it on.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Revoke { token_id } => format!("revoke {token_id}"),
            Self::Block { room } => format!("block {room}"),
            Self::KickPublisher { room, nonce } => format!("kick-publisher {room} {nonce}"),
            Self::KickViewers { room, subject, nonce } => format!("kick-viewers {room} {nonce} {subject}"),
        }
    }
}

/// The orders that are in force, each with the time of its end in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct OrderBook {
    orders: HashMap<String, u64>,
    revoked: HashSet<String>,
    /// Until when.
    blocked: HashMap<RoomName, u64>,
}

/// There is no room for another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BookFull;

impl OrderBook {
    /// Takes an order in. Returns whether it is new.
    pub fn add(&mut self, order: &Order, ends_unix_ms: u64, now_unix_ms: u64) -> Result<bool, BookFull> {
        if ends_unix_ms <= now_unix_ms {
            return Ok(false);
        }
        if self.orders.len() >= ORDERS_MAX {
            self.sweep(now_unix_ms);
        }
        let text = order.to_text();
        let is_new = !self.orders.contains_key(&text);
        if is_new && self.orders.len() >= ORDERS_MAX {
            return Err(BookFull);
        }
        let ends = self.orders.entry(text).or_default();
        *ends = (*ends).max(ends_unix_ms);
        match order {
            Order::Revoke { token_id } => drop(self.revoked.insert(token_id.clone())),
            Order::Block { room } => drop(self.blocked.insert(room.clone(), *ends)),
            Order::KickPublisher { .. } | Order::KickViewers { .. } => {}
        }
        Ok(is_new)
    }

    /// Forgets orders whose time is over.
    pub fn sweep(&mut self, now_unix_ms: u64) {
        let (revoked, blocked) = (&mut self.revoked, &mut self.blocked);
        self.orders.retain(|text, ends| {
            let is_in_force = *ends > now_unix_ms;
            if !is_in_force {
                match Order::parse(text) {
                    Some(Order::Revoke { token_id }) => drop(revoked.remove(&token_id)),
                    Some(Order::Block { room }) => drop(blocked.remove(&room)),
                    _ => {}
                }
            }
            is_in_force
        });
    }

    pub fn is_revoked(&self, token_id: &str) -> bool {
        !self.revoked.is_empty() && self.revoked.contains(token_id)
    }

    pub fn is_blocked(&self, room: &RoomName, now_unix_ms: u64) -> bool {
        self.blocked.get(room).is_some_and(|until| *until > now_unix_ms)
    }

    /// All orders in force.
    pub fn all(&self) -> Vec<(String, u64)> {
        self.orders.iter().map(|(text, ends)| (text.clone(), *ends)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::room;

    fn orders() -> [Order; 4] {
        [
            Order::Revoke { token_id: "a b".to_owned() },
            Order::Block { room: room("r") },
            Order::KickPublisher { room: room("r"), nonce: 7 },
            Order::KickViewers { room: room("r"), subject: "Ann B".to_owned(), nonce: 8 },
        ]
    }

    #[test]
    fn what_is_passed_on_is_what_was_ordered() {
        for order in orders() {
            assert_eq!(Order::parse(&order.to_text()), Some(order));
        }
        for text in
            ["", "revoke", "revoke ", "block a/b", "kick-publisher r", "kick-viewers r x s", "dance r"]
        {
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
    fn the_number_of_orders_is_bounded() {
        let mut book = OrderBook::default();
        for nonce in 0..ORDERS_MAX as u64 {
            assert_eq!(book.add(&Order::KickPublisher { room: room("r"), nonce }, 100, 0), Ok(true));
        }
        assert_eq!(book.add(&orders()[0], 100, 0), Err(BookFull));
        assert_eq!(book.add(&orders()[0], 200, 100), Ok(true));
    }
}
