//! An RTMP player, whose socket the viewers of a room have.

use std::{sync::Arc, time::Instant};

use log::debug;
use synctv_media::{cluster::standing::NodeUrl, rtmp::session::Event};

use super::{
    connection::{AfterPlay, RtmpConnectionActor},
    conversation::Conversation,
    read_coalescing::Readiness,
    settings::RtmpServices,
};
use crate::{
    connection_limit::ConnectionLimit,
    upgrade::{
        error::RestoreError,
        lot::{Parked, ParkingLot},
        states::ConversationState,
    },
    viewer_session::LeaveReason,
    viewer_socket::ViewerSocket,
    viewers::{Player, PlayerRequest},
};

/// The protocol's side of a player.
#[derive(Debug)]
pub(crate) struct RtmpPlayer {
    pub(super) conversation: Conversation,
}

impl RtmpPlayer {
    /// Goes on with a player of before an upgrade.
    pub(crate) fn restore(
        state: ConversationState,
        parked: &Parked,
        permits: &ConnectionLimit,
        services: Arc<RtmpServices>,
    ) -> Result<Self, RestoreError> {
        Ok(Self { conversation: Conversation::restore(state, parked, permits, services)? })
    }
}

impl Player for RtmpPlayer {
    fn receive(&mut self, socket: &mut ViewerSocket, _: Instant) -> Result<(), LeaveReason> {
        let fed = match self.conversation.receive(socket.read_announced(), Readiness::Announced) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            received => received?,
        };
        self.conversation.send_replies(socket)?;
        self.conversation.violation(fed, socket).map_or(Ok(()), Err)
    }

    fn next_request(&mut self) -> Option<PlayerRequest> {
        loop {
            match self.conversation.next_event()? {
                Event::Pause => return Some(PlayerRequest::Pause),
                Event::Resume => return Some(PlayerRequest::Resume),
                // Another play comes as a stop and a play, which the connection takes up again.
                Event::Stop => return Some(PlayerRequest::Stop),
                // A session that plays has no other events.
                _ => {}
            }
        }
    }

    fn request_reconnect(&mut self, socket: &mut ViewerSocket, to: Option<&NodeUrl>, _: Instant) -> bool {
        let takes_requests = self.conversation.request_reconnect(socket.wire(), to);
        // An error shows at the next write.
        takes_requests && self.conversation.send_replies(socket).is_ok()
    }

    fn park(self: Box<Self>, lot: &ParkingLot) -> ConversationState {
        self.conversation.park(lot)
    }

    fn release(self: Box<Self>, mut socket: ViewerSocket, reason: &LeaveReason) {
        let mut conversation = self.conversation;
        let after = match reason {
            LeaveReason::Disconnected(error) => {
                return debug!(peer:% = conversation.peer, reason:% = error; "RTMP connection lost");
            }
            LeaveReason::Stopped => {
                socket.restart();
                socket.forget_counts();
                AfterPlay::GoesOn
            }
            LeaveReason::Ended(_) | LeaveReason::Cut(_) => {
                conversation.session.end_play(&reason.to_string());
                AfterPlay::Closes
            }
            _ => AfterPlay::Closes,
        };
        RtmpConnectionActor::take_back(conversation, socket, after);
    }
}
