//! Connections that were granted access and still run, so that they can be counted, named and cut.

mod upgrade;

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use synctv_media::access::{Action, Refusal};

use super::{
    about::About,
    agent::AgentHandle,
    connection_counts::ConnectionCounts,
    events::{Event, EventKind},
    orders::Command,
};
use crate::clock::unix_s;

/// The connections of this node that run with access.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    table: Arc<Mutex<Table>>,
    /// The receiver of their beginnings and ends, if there is one.
    events: Option<AgentHandle>,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    running: HashMap<u64, Arc<Shared>>,
    counts: ConnectionCounts,
}

/// A connection's access. Dropping it ends it.
#[derive(Debug)]
pub struct Session {
    id: u64,
    shared: Arc<Shared>,
    sessions: Sessions,
}

#[derive(Debug)]
struct Shared {
    about: About,
    cut: AtomicU8,
    has_begun: AtomicBool,
}

/// A reason for which a session is no longer allowed to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The time that the credential gave it is over.
    Over,
    /// Its token was revoked.
    Revoked,
    /// An administrator disconnected it.
    Kicked,
}

const RUNS: u8 = 0;
const REVOKED: u8 = 1;
const KICKED: u8 = 2;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Over => "the time that its token allows is over",
            Self::Revoked => "its token has been revoked",
            Self::Kicked => "an administrator disconnected it",
        })
    }
}

impl Sessions {
    pub fn new(events: Option<AgentHandle>) -> Self {
        Self { table: Arc::default(), events }
    }

    /// Counts a session, unless its credential has as many connections as it may.
    pub fn open(&self, about: About, now_ms: u64) -> Result<Session, Refusal> {
        let mut table = self.table();
        if let Some((name, max)) = &about.limit {
            table.counts.open(name, *max, about.peer.ip(), now_ms)?;
        }
        let id = table.next_id;
        table.next_id += 1;
        let shared = Arc::new(Shared { about, cut: AtomicU8::new(RUNS), has_begun: AtomicBool::new(false) });
        table.running.insert(id, shared.clone());
        Ok(Session { id, shared, sessions: self.clone() })
    }

    /// Counts an HLS viewer, which has no session, unless its credential has as many connections as it may.
    pub fn see(&self, (name, max): &(String, u32), address: IpAddr, now_ms: u64) -> Result<(), Refusal> {
        self.table().counts.see(name, *max, address, now_ms)
    }

    /// Marks the sessions that `command` is about; each is cut by its owner at its next look.
    pub fn obey(&self, command: &Command) {
        for shared in self.table().running.values() {
            let about = &shared.about;
            let (is_meant, cut) = match command {
                Command::Revoke { token_id } => (about.token_id.as_ref() == Some(token_id), REVOKED),
                Command::KickPublisher { room } => {
                    (about.action == Action::Publish && about.room == *room, KICKED)
                }
                Command::KickViewers { room, subject } => {
                    let is_viewer = about.action == Action::Play && about.room == *room;
                    (is_viewer && about.subject.as_ref() == Some(subject), KICKED)
                }
                Command::Block { .. } | Command::Unblock { .. } | Command::Reinstate { .. } => return,
            };
            if is_meant {
                shared.cut.store(cut, Ordering::Relaxed);
            }
        }
    }

    fn close(&self, id: u64, shared: &Shared) {
        let mut table = self.table();
        table.running.remove(&id);
        if let Some((name, _)) = &shared.about.limit {
            table.counts.close(name);
        }
    }

    fn report(&self, kind: EventKind, about: &About) {
        if let Some(events) = &self.events {
            events.report(Event::new(kind, about));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Reports that it has begun.
    pub(super) fn begin(&self) {
        if !self.shared.has_begun.swap(true, Ordering::Relaxed) {
            self.sessions.report(EventKind::begun(self.shared.about.action), &self.shared.about);
        }
    }

    /// Returns why the session is not to run any longer, if it is not. To be asked about once a second.
    pub fn cut(&self) -> Option<Cut> {
        self.cut_at(unix_s())
    }

    /// The same, at a time in seconds since 1970.
    pub(crate) fn cut_at(&self, now_unix_s: u64) -> Option<Cut> {
        match self.shared.cut.load(Ordering::Relaxed) {
            REVOKED => Some(Cut::Revoked),
            KICKED => Some(Cut::Kicked),
            _ => self.shared.about.ends_unix_s.filter(|ends| *ends <= now_unix_s).map(|_| Cut::Over),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.close(self.id, &self.shared);
        if self.shared.has_begun.load(Ordering::Relaxed) {
            self.sessions.report(EventKind::ended(self.shared.about.action), &self.shared.about);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{access::request::Protocol, testing::room};

    fn about(action: Action, name: &str) -> About {
        About {
            action,
            room: room(name),
            protocol: Protocol::Rtmp,
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            subject: Some("s".to_owned()),
            token_id: Some("j".to_owned()),
            ends_unix_s: None,
            limit: None,
        }
    }

    #[test]
    fn an_order_cuts_those_it_is_about() {
        let sessions = Sessions::new(None);
        let open = |action, room| sessions.open(about(action, room), 0).unwrap();
        let (publisher, viewer) = (open(Action::Publish, "a"), open(Action::Play, "a"));
        let elsewhere = open(Action::Play, "b");
        let cuts = || (publisher.cut_at(0), viewer.cut_at(0), elsewhere.cut_at(0));
        sessions.obey(&Command::KickPublisher { room: room("a") });
        assert_eq!(cuts(), (Some(Cut::Kicked), None, None));
        sessions.obey(&Command::KickViewers { room: room("a"), subject: "t".to_owned() });
        assert_eq!(cuts(), (Some(Cut::Kicked), None, None));
        sessions.obey(&Command::KickViewers { room: room("a"), subject: "s".to_owned() });
        assert_eq!(cuts(), (Some(Cut::Kicked), Some(Cut::Kicked), None));
        sessions.obey(&Command::Revoke { token_id: "j".to_owned() });
        assert_eq!(elsewhere.cut_at(0), Some(Cut::Revoked));
    }

    #[test]
    fn a_session_ends_when_its_time_is_over() {
        let ends = About { ends_unix_s: Some(100), ..about(Action::Play, "a") };
        let session = Sessions::new(None).open(ends, 0).unwrap();
        assert_eq!((session.cut_at(99), session.cut_at(100)), (None, Some(Cut::Over)));
    }

    #[test]
    fn a_limit_counts_what_runs() {
        let sessions = Sessions::new(None);
        let limit = Some(("j".to_owned(), 1));
        let open = || sessions.open(About { limit: limit.clone(), ..about(Action::Play, "a") }, 0);
        let first = open().unwrap();
        assert_eq!(open().unwrap_err(), Refusal::TooManyConnections(1));
        drop(first);
        open().unwrap();
    }
}
