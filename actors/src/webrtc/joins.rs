//! The viewers that are about to connect.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use synctv_media::stream::room::RoomName;

use super::{batch_sender::BatchSender, joining::JoiningViewer, session_id::SessionId, socket::Datagram};
use crate::{events::EndReason, stream::StreamHandle, viewer_session::LeaveReason};

/// Minimum time that a viewer has for its first connectivity check. After that, a silent viewer loses its place to a new one if no
/// place is free: otherwise, clients that send offers and no checks could keep all others out.
const FIRST_CHECK_TIME: Duration = Duration::from_secs(1);

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

    /// Ends the oldest attempt whose viewer has sent nothing yet, and returns it. `None` if there is none, or all of them are
    /// younger than [`FIRST_CHECK_TIME`].
    pub fn displace(&mut self, offered: &[SocketAddr], now: Instant) -> Option<SessionId> {
        let silent = self.viewers.values().map(|join| &join.viewer).filter(|viewer| viewer.is_silent());
        let oldest = silent.min_by_key(|viewer| viewer.since)?;
        let (id, age) = (oldest.id, now.duration_since(oldest.since));
        (age >= FIRST_CHECK_TIME).then(|| self.end(id, &LeaveReason::Stalled(age), offered, now))?;
        Some(id)
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
