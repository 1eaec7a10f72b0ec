//! The receiving side of a viewer's connection over an upgrade in place.

use std::time::Instant;

use synctv_media::{
    flv::websocket::ClientReader,
    upgrade::{StateError, age_ms, instant_of_age},
};

use super::{Inbox, Open};
use crate::{
    upgrade::{
        lot::{Parked, ParkingLot},
        states::{ConversationState, InboxState},
    },
    viewers::player::Player,
};

impl Inbox {
    /// The state for the next program.
    pub fn park(self, lot: &ParkingLot, now: Instant) -> InboxState {
        match self {
            Self::Http(Open::Both) => InboxState::Http { reading_only: None },
            Self::Http(Open::ReadingOnly { since, sent_bytes }) => {
                InboxState::Http { reading_only: Some((age_ms(since, now), sent_bytes)) }
            }
            Self::Node => InboxState::Node,
            Self::WebSocket(reader) => InboxState::WebSocket(lot.with_blobs(|blobs| reader.state(blobs))),
            Self::Player(player) => InboxState::Player(Box::new(player.park(lot))),
        }
    }

    /// Goes on where another program stopped. `player` restores the protocol's side of an RTMP player.
    pub fn restore<E: From<StateError>>(
        state: InboxState,
        parked: &Parked,
        now: Instant,
        player: impl FnOnce(ConversationState) -> Result<Box<dyn Player>, E>,
    ) -> Result<Self, E> {
        Ok(match state {
            InboxState::Http { reading_only: None } => Self::Http(Open::Both),
            InboxState::Http { reading_only: Some((since_ago_ms, sent_bytes)) } => {
                Self::Http(Open::ReadingOnly { since: instant_of_age(since_ago_ms, now), sent_bytes })
            }
            InboxState::Node => Self::Node,
            InboxState::WebSocket(reader) => Self::WebSocket(ClientReader::restore(reader, parked.blobs())?),
            InboxState::Player(conversation) => Self::Player(player(*conversation)?),
        })
    }
}
