//! Proofs that access was decided.

use std::{fmt, marker::PhantomData, net::SocketAddr};

use synctv_media::{
    access::{AddressKey, Confidential},
    stream::room::RoomName,
};

use super::sessions::Session;

/// The right to publish a room.
#[derive(Debug, Clone, Copy)]
pub enum ToPublish {}

/// The right to watch a room.
#[derive(Debug, Clone, Copy)]
pub enum ToPlay {}

/// The right to fetch, as another node, what is published on this one.
#[derive(Debug, Clone, Copy)]
pub enum ToPull {}

/// A decision that allows one action in one room. Only the [`Gatekeeper`](super::Gatekeeper) makes it, so that whatever
/// needs one cannot be reached without a decision.
pub struct Grant<Action> {
    room: RoomName,
    address: Option<AddressKey>,
    session: Option<Session>,
    /// A publisher, recognisable when it comes back.
    who: Option<Confidential>,
    /// A publisher's address.
    peer: Option<SocketAddr>,
    action: PhantomData<fn() -> Action>,
}

impl<Action> Grant<Action> {
    pub(super) fn new(room: &RoomName, address: Option<AddressKey>, session: Option<Session>) -> Self {
        Self { room: room.clone(), address, session, who: None, peer: None, action: PhantomData }
    }

    /// The grant, with what its publisher is recognised by.
    pub(crate) fn known_as(self, who: Option<Confidential>) -> Self {
        Self { who, ..self }
    }

    /// The grant, with the address that its publisher connects from.
    pub(crate) fn at_peer(self, peer: SocketAddr) -> Self {
        Self { peer: Some(peer), ..self }
    }

    /// A grant that was not decided on.
    #[cfg(test)]
    pub(crate) fn of(room: RoomName) -> Self {
        Self::new(&room, None, None)
    }

    /// The grant, for a client at an address.
    #[cfg(test)]
    pub(crate) fn at_address(self, address: AddressKey) -> Self {
        Self { address: Some(address), ..self }
    }

    /// The room.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// The part of the client's address that distinguishes it from others.
    pub(crate) fn address(&self) -> Option<AddressKey> {
        self.address
    }

    /// The value by which its publisher is recognised, also on another node. It may be a credential.
    pub(crate) fn who(&self) -> Option<&Confidential> {
        self.who.as_ref()
    }

    /// The address that its publisher connects from, if it is known.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Begins what was granted. The session is to be kept for as long as that lasts, and asked whether it was cut; there
    /// is none if nothing can cut it.
    pub fn begin(self) -> Option<Session> {
        self.session.inspect(Session::begin)
    }
}

/// A node watches what it pulls.
impl From<Grant<ToPull>> for Grant<ToPlay> {
    fn from(pull: Grant<ToPull>) -> Self {
        let Grant { room, address, session, .. } = pull;
        Self { room, address, session, who: None, peer: None, action: PhantomData }
    }
}

impl<Action> fmt::Debug for Grant<Action> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("room", &self.room)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
