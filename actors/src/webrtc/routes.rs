//! Routing of datagrams to sessions.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
};

use synctv_media::webrtc::peer::{CheckKey, ufrag};

use super::session_id::SessionId;

/// Maximum addresses by which one viewer's datagrams are recognised; a new one takes the place of the oldest. Browsers check
/// from each of their interfaces. Fewer than the link admits in a session, as addresses of earlier networks need no route.
const ROUTED_MAX: usize = 8;

/// The most TCP connections of one viewer. Browsers make one from each of their interfaces to each address.
const CONNECTIONS_MAX: usize = 4;

/// The addresses and names of all sessions.
#[derive(Debug, Default)]
pub(super) struct Routes {
    by_ufrag: HashMap<String, SessionId>,
    by_remote: HashMap<SocketAddr, SessionId>,
    sessions: HashMap<SessionId, Names>,
}

#[derive(Debug)]
struct Names {
    key: CheckKey,
    /// Its addresses; the oldest is in front.
    remotes: VecDeque<SocketAddr>,
    connections: usize,
}

impl Routes {
    /// Adds a session under the credentials of its viewer's checks.
    pub fn add(&mut self, id: SessionId, key: CheckKey) {
        self.by_ufrag.insert(key.ufrag().to_owned(), id);
        self.sessions.insert(id, Names { key, remotes: VecDeque::new(), connections: 0 });
    }

    /// Removes a session.
    pub fn remove(&mut self, id: SessionId) {
        let Some(names) = self.sessions.remove(&id) else { return };
        self.by_ufrag.remove(names.key.ufrag());
        for remote in names.remotes {
            self.forget(remote, id);
        }
    }

    /// Returns the number of sessions.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Returns the session of a viewer's address.
    pub fn of_remote(&self, remote: SocketAddr) -> Option<SessionId> {
        self.by_remote.get(&remote).copied()
    }

    /// Returns the session of a check, and remembers the address it came from.
    pub fn of_check(&mut self, check: &[u8], remote: SocketAddr) -> Option<SessionId> {
        let (id, names) = self.named(check)?;
        if !names.remotes.contains(&remote) {
            names.remotes.push_back(remote);
        }
        let oldest = (names.remotes.len() > ROUTED_MAX).then(|| names.remotes.pop_front()).flatten();
        self.by_remote.insert(remote, id);
        if let Some(oldest) = oldest {
            self.forget(oldest, id);
        }
        Some(id)
    }

    /// Returns the session of a TCP connection, which begins with a check, unless the session has reached its limit.
    pub fn admit_connection(&mut self, check: &[u8]) -> Option<SessionId> {
        let (id, names) = self.named(check)?;
        if names.connections >= CONNECTIONS_MAX {
            return None;
        }
        names.connections += 1;
        Some(id)
    }

    /// Finds the session whose credentials a check was made with.
    fn named(&mut self, check: &[u8]) -> Option<(SessionId, &mut Names)> {
        let id = *self.by_ufrag.get(&ufrag(check)?)?;
        let names = self.sessions.get_mut(&id)?;
        names.key.verifies(check).then_some((id, names))
    }

    /// Notes that a connection of a session is closed.
    pub fn connection_closed(&mut self, id: SessionId) {
        if let Some(names) = self.sessions.get_mut(&id) {
            names.connections = names.connections.saturating_sub(1);
        }
    }

    /// An address may be another session's by now.
    fn forget(&mut self, remote: SocketAddr, id: SessionId) {
        if self.by_remote.get(&remote) == Some(&id) {
            self.by_remote.remove(&remote);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        SessionId::random().unwrap()
    }

    fn key(ufrag: &str) -> CheckKey {
        CheckKey::of(ufrag, "password")
    }

    fn check(ufrag: &str) -> Vec<u8> {
        key(ufrag).check()
    }

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_viewer_is_known_by_its_check_and_then_by_its_address() {
        let (mut routes, one, other) = (Routes::default(), id(), id());
        routes.add(one, key("one"));
        routes.add(other, key("other"));
        assert_eq!(routes.of_remote(at(1)), None);
        assert_eq!(routes.of_check(&check("none"), at(1)), None);
        assert_eq!(routes.of_check(&check("one"), at(1)), Some(one));
        assert_eq!(routes.of_remote(at(1)), Some(one));
        assert_eq!(routes.of_check(&check("other"), at(1)), Some(other), "the address is used again");
        routes.remove(one);
        assert_eq!(routes.of_remote(at(1)), Some(other));
        assert_eq!(routes.of_check(&check("one"), at(2)), None);
        routes.remove(other);
        assert!(routes.by_remote.is_empty() && routes.by_ufrag.is_empty() && routes.sessions.is_empty());
    }

    #[test]
    fn a_check_without_the_password_moves_nothing() {
        let (mut routes, one) = (Routes::default(), id());
        routes.add(one, key("one"));
        let forged = CheckKey::of("one", "guessed").check();
        assert_eq!((routes.of_check(&forged, at(1)), routes.of_remote(at(1))), (None, None));
        assert_eq!(routes.admit_connection(&forged), None);
    }

    #[test]
    fn an_address_that_two_sessions_name_in_turn_stays_with_the_last() {
        let (mut routes, one, other) = (Routes::default(), id(), id());
        routes.add(one, key("one"));
        routes.add(other, key("other"));
        for _ in 0..=ROUTED_MAX {
            assert_eq!(routes.of_check(&check("one"), at(1)), Some(one));
            assert_eq!(routes.of_check(&check("other"), at(1)), Some(other));
        }
        assert_eq!(routes.of_remote(at(1)), Some(other));
    }

    #[test]
    fn a_session_has_so_many_connections_at_once() {
        let (mut routes, one) = (Routes::default(), id());
        routes.add(one, key("one"));
        assert_eq!(routes.admit_connection(&check("other")), None);
        for _ in 0..CONNECTIONS_MAX {
            assert_eq!(routes.admit_connection(&check("one")), Some(one));
        }
        assert_eq!(routes.admit_connection(&check("one")), None);
        routes.connection_closed(one);
        assert_eq!(routes.admit_connection(&check("one")), Some(one));
        routes.remove(one);
        routes.connection_closed(one);
        assert_eq!(routes.admit_connection(&check("one")), None);
    }

    #[test]
    fn the_oldest_address_of_a_viewer_is_forgotten_at_the_limit() {
        let (mut routes, one) = (Routes::default(), id());
        routes.add(one, key("one"));
        for port in 0..=ROUTED_MAX as u16 {
            routes.of_check(&check("one"), at(port));
            routes.of_check(&check("one"), at(port));
        }
        assert_eq!((routes.of_remote(at(0)), routes.of_remote(at(1))), (None, Some(one)));
        assert_eq!(routes.by_remote.len(), ROUTED_MAX);
    }
}
