//! The viewers that are about to connect.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use synctv_media::{access::AddressKey, stream::room::RoomName};

use super::{batch_sender::BatchSender, joining::JoiningViewer, session_id::SessionId, socket::Datagram};
use crate::{
    connection_limit::ConnectionPermit, events::EndReason, stream::StreamHandle, viewer_session::LeaveReason,
};

/// Minimum time that a viewer has for its first connectivity check. After that, a silent viewer loses its place to a new one if no
/// place is free: otherwise, clients that send offers and no checks could keep all others out.
const FIRST_CHECK_TIME: Duration = Duration::from_secs(1);

/// The reason that is logged of a viewer whose place another one needed.
const CROWDED: &str =
    "its address had the most joining viewers when a viewer of another address needed a place";

/// The joining viewers, and the socket on which they are answered.
pub(super) struct Joins {
    sender: BatchSender,
    viewers: HashMap<SessionId, Join>,
}

/// A viewer, and the stream that it is going to watch.
pub(super) struct Join {
    pub viewer: JoiningViewer,
    pub stream: StreamHandle,
}

/// The result of a viewer's turn.
pub(super) enum Turn {
    /// It goes on.
    Joining,
    /// It has connected, and was removed.
    Connected(Box<Join>),
    /// It has left.
    Left,
}

/// A place for a viewer that is about to join.
pub(super) enum FoundPlace {
    /// It is free.
    Free(ConnectionPermit),
    /// Another join has it, and would end for this reason.
    Taken(SessionId, LeaveReason),
}

impl Joins {
    pub fn new(sender: BatchSender) -> Self {
        Self { sender, viewers: HashMap::new() }
    }

    pub fn add(&mut self, viewer: JoiningViewer, stream: StreamHandle) {
        self.viewers.insert(viewer.id, Join { viewer, stream });
    }

    pub fn is_empty(&self) -> bool {
        self.viewers.is_empty()
    }

    /// Returns the number of viewers.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.viewers.len()
    }

    /// Returns whether a viewer of a room is one of these.
    pub fn has(&self, room: &RoomName, id: SessionId) -> bool {
        self.viewers.get(&id).is_some_and(|join| join.stream.room() == room)
    }

    /// Takes a viewer's datagram. `None` if the viewer is none of these.
    pub fn receive(
        &mut self,
        id: SessionId,
        datagram: &Datagram,
        offered: &[SocketAddr],
        now: Instant,
    ) -> Option<Turn> {
        let Self { sender, viewers } = self;
        let turned = viewers.get_mut(&id)?.viewer.receive(datagram, sender, now);
        Some(self.finish(id, turned, offered, now))
    }

    /// Runs the timers of all joining viewers. Passes each that has connected or failed to `put`.
    pub fn tick(&mut self, offered: &[SocketAddr], now: Instant, mut put: impl FnMut(SessionId, Turn)) {
        let ids: Vec<_> = self.viewers.keys().copied().collect();
        for id in ids {
            let Some(join) = self.viewers.get_mut(&id) else { continue };
            let turned = if join.stream.is_alive() {
                join.viewer.tick(&self.sender, now)
            } else {
                Err(LeaveReason::Ended(EndReason::PublisherLeft))
            };
            match self.finish(id, turned, offered, now) {
                Turn::Joining => {}
                turn => put(id, turn),
            }
        }
    }

    /// Ends a viewer's attempt.
    pub fn end(&mut self, id: SessionId, reason: &LeaveReason, offered: &[SocketAddr], now: Instant) {
        if let Some(Join { viewer, stream }) = self.viewers.remove(&id) {
            viewer.leave(reason, stream.room(), offered, &self.sender, now);
        }
    }

    /// Returns the attempt that may be ended so that a newcomer from `newcomer` can have its place, and the reason for its
    /// viewer. `None` if the newcomer has to be refused.
    ///
    /// A viewer that has been silent for [`FIRST_CHECK_TIME`] goes first, unless its address holds fewer places than the
    /// newcomer's. Then comes the oldest one of the address that holds the most places, if that holds more than the newcomer's
    /// does with the new one. Each step of that second kind makes the distribution more even, so that their number is limited: a
    /// rush of viewers from many addresses does not displace those whose handshakes are under way.
    pub fn displaceable(&self, newcomer: SocketAddr, now: Instant) -> Option<(SessionId, LeaveReason)> {
        let mut places: HashMap<AddressKey, usize> = HashMap::new();
        self.viewers.values().for_each(|join| *places.entry(join.viewer.address_key()).or_default() += 1);
        let held = |viewer: &JoiningViewer| places.get(&viewer.address_key()).copied().unwrap_or_default();
        let own = places.get(&AddressKey::from(newcomer.ip())).copied().unwrap_or_default();
        let age = |viewer: &JoiningViewer| now.duration_since(viewer.since);
        let is_silent = |viewer: &JoiningViewer| viewer.is_silent() && age(viewer) >= FIRST_CHECK_TIME;
        if let Some(silent) = self.oldest(|viewer| is_silent(viewer) && held(viewer) >= own) {
            return Some((silent.id, LeaveReason::Stalled(age(silent))));
        }
        let most = places.values().copied().max().filter(|most| *most > own + 1)?;
        let crowded = self.oldest(|viewer| held(viewer) == most)?;
        Some((crowded.id, LeaveReason::Closed(CROWDED.to_owned())))
    }

    fn oldest(&self, is_meant: impl Fn(&JoiningViewer) -> bool) -> Option<&JoiningViewer> {
        let viewers = self.viewers.values().map(|join| &join.viewer);
        viewers.filter(|viewer| is_meant(viewer)).min_by_key(|viewer| viewer.since)
    }

    fn finish(
        &mut self,
        id: SessionId,
        turned: Result<bool, LeaveReason>,
        offered: &[SocketAddr],
        now: Instant,
    ) -> Turn {
        match turned {
            Ok(false) => Turn::Joining,
            Ok(true) => self.viewers.remove(&id).map_or(Turn::Left, |join| Turn::Connected(Box::new(join))),
            Err(reason) => {
                self.end(id, &reason, offered, now);
                Turn::Left
            }
        }
    }
}
