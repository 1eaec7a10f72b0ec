//! Connections that were granted access and still run, so that they can be counted, named and cut.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use synctv_media::access::{Action, Refusal};

use super::{
    about::About,
    agent::AgentHandle,
    events::{Event, EventKind},
    orders::Order,
};
use crate::clock::unix_s;

/// What runs with access, on this node.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    table: Arc<Mutex<Table>>,
    /// Where the beginnings and ends are reported, if anywhere.
    events: Option<AgentHandle>,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    running: HashMap<u64, Arc<Shared>>,
    /// How many sessions each limited credential has.
    counts: HashMap<String, u32>,
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

/// Why a session is no longer allowed to run.
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

    /// Counts a session, unless its credential has as many as it may.
    pub fn open(&self, about: About) -> Result<Session, Refusal> {
        let mut table = self.table();
        if let Some((name, max)) = &about.limit {
            match table.counts.entry(name.clone()) {
                Entry::Occupied(count) if count.get() >= max => {
                    return Err(Refusal::TooManyConnections(*max));
                }
                Entry::Vacant(_) if *max == 0 => return Err(Refusal::TooManyConnections(0)),
                entry => *entry.or_default() += 1,
            }
        }
        let id = table.next_id;
        table.next_id += 1;
        let shared = Arc::new(Shared { about, cut: AtomicU8::new(RUNS), has_begun: AtomicBool::new(false) });
        table.running.insert(id, shared.clone());
        Ok(Session { id, shared, sessions: self.clone() })
    }

    /// Marks the sessions that `order` is about; each is cut by its owner at its next look.
    pub fn obey(&self, order: &Order) {
        for shared in self.table().running.values() {
            let about = &shared.about;
            let is_meant = match order {
                Order::Revoke { token_id } => about.token_id.as_ref() == Some(token_id),
                Order::Block { .. } => false,
                Order::KickPublisher { room, .. } => about.action == Action::Publish && about.room == *room,
                Order::KickViewers { room, subject, .. } => {
                    about.action == Action::Play
                        && about.room == *room
                        && about.subject.as_ref() == Some(subject)
                }
            };
            if is_meant {
                let cut = if matches!(order, Order::Revoke { .. }) { REVOKED } else { KICKED };
                shared.cut.store(cut, Ordering::Relaxed);
            }
        }
    }

    fn close(&self, id: u64, shared: &Shared) {
        let mut table = self.table();
        table.running.remove(&id);
        if let Some((name, _)) = &shared.about.limit
            && let Entry::Occupied(mut count) = table.counts.entry(name.clone())
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
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
        let open = |action, room| sessions.open(about(action, room)).unwrap();
        let (publisher, viewer) = (open(Action::Publish, "a"), open(Action::Play, "a"));
        let elsewhere = open(Action::Play, "b");
        let cuts = || (publisher.cut_at(0), viewer.cut_at(0), elsewhere.cut_at(0));
        sessions.obey(&Order::KickPublisher { room: room("a"), nonce: 1 });
        assert_eq!(cuts(), (Some(Cut::Kicked), None, None));
        sessions.obey(&Order::KickViewers { room: room("a"), subject: "t".to_owned(), nonce: 1 });
        assert_eq!(cuts(), (Some(Cut::Kicked), None, None));
        sessions.obey(&Order::KickViewers { room: room("a"), subject: "s".to_owned(), nonce: 1 });
        assert_eq!(cuts(), (Some(Cut::Kicked), Some(Cut::Kicked), None));
        sessions.obey(&Order::Revoke { token_id: "j".to_owned() });
        assert_eq!(elsewhere.cut_at(0), Some(Cut::Revoked));
    }

    #[test]
    fn a_session_ends_when_its_time_is_over() {
        let ends = About { ends_unix_s: Some(100), ..about(Action::Play, "a") };
        let session = Sessions::new(None).open(ends).unwrap();
        assert_eq!((session.cut_at(99), session.cut_at(100)), (None, Some(Cut::Over)));
    }

    #[test]
    fn a_limit_counts_what_runs() {
        let sessions = Sessions::new(None);
        let open =
            |max| sessions.open(About { limit: Some(("j".to_owned(), max)), ..about(Action::Play, "a") });
        assert_eq!(open(0).unwrap_err(), Refusal::TooManyConnections(0));
        let first = open(2).unwrap();
        let _second = open(2).unwrap();
        assert_eq!(open(2).unwrap_err(), Refusal::TooManyConnections(2));
        drop(first);
        drop(open(2).unwrap());
        assert_eq!(sessions.table().counts.len(), 1);
        assert_eq!(sessions.table().running.len(), 1);
    }
}
