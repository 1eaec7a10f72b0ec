//! The seam between a room's viewers and an RTMP player: its protocol is spoken elsewhere.

use std::{fmt, time::Instant};

use synctv_media::cluster::standing::NodeUrl;

use crate::{
    upgrade::{lot::ParkingLot, states::ConversationState},
    viewer_session::LeaveReason,
    viewer_socket::ViewerSocket,
};

/// The protocol's side of a player. While it plays, its socket is with the room's viewers: media is written to
/// it without a message to each player.
pub(crate) trait Player: fmt::Debug + Send {
    /// Reads once from a socket that may have something to read, and answers. An error is why the player cannot stay.
    fn receive(&mut self, socket: &mut ViewerSocket, now: Instant) -> Result<(), LeaveReason>;

    /// Returns what the player asks for next. To be drained after each [`receive`](Self::receive), and once before.
    fn next_request(&mut self) -> Option<PlayerRequest>;

    /// Asks the player to play on another connection, to that node if one is given. Returns whether it takes such requests.
    fn request_reconnect(&mut self, socket: &mut ViewerSocket, to: Option<&NodeUrl>, now: Instant) -> bool;

    /// The protocol's side of it, for the next program of this process.
    fn park(self: Box<Self>, lot: &ParkingLot) -> ConversationState;

    /// Gives the connection back, with what waits for the socket. The play has ended for `reason`.
    fn release(self: Box<Self>, socket: ViewerSocket, reason: &LeaveReason);
}

/// A player's request to its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlayerRequest {
    /// No media for now.
    Pause,
    /// Media again, from where the stream is.
    Resume,
    /// The end of the play. Its connection goes on.
    Stop,
}
