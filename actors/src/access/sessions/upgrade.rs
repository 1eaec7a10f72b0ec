//! Sessions over an upgrade in place: neither their end nor their beginning is reported for it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use synctv_media::access::Action;

use super::{Session, Sessions, Shared};
use crate::{
    access::{about::About, request::Protocol},
    upgrade::states::AccessState,
};

impl Session {
    /// Ends the session for the node, and returns it as the next program goes on with it.
    pub(crate) fn park(self) -> AccessState {
        let Shared { about, cut, has_begun } = &*self.shared;
        AccessState {
            room: about.room.clone(),
            is_publisher: about.action == Action::Publish,
            is_rtmp: about.protocol == Protocol::Rtmp,
            peer: about.peer,
            subject: about.subject.clone(),
            token_id: about.token_id.clone(),
            ends_unix_s: about.ends_unix_s,
            limit: about.limit.clone(),
            cut: cut.load(Ordering::Relaxed),
            // An end is reported for what has begun.
            has_begun: has_begun.swap(false, Ordering::Relaxed),
        }
    }
}

impl Sessions {
    /// Goes on with a session. It is counted also if fewer are allowed by now.
    pub fn resume(&self, state: AccessState) -> Session {
        let about = About {
            action: if state.is_publisher { Action::Publish } else { Action::Play },
            room: state.room,
            protocol: if state.is_rtmp { Protocol::Rtmp } else { Protocol::HttpFlv },
            peer: state.peer,
            subject: state.subject,
            token_id: state.token_id,
            ends_unix_s: state.ends_unix_s,
            limit: state.limit,
        };
        let (cut, has_begun) = (AtomicU8::new(state.cut), AtomicBool::new(state.has_begun));
        let mut table = self.table();
        if let Some((name, _)) = &about.limit {
            table.counts.reopen(name);
        }
        let id = table.next_id;
        table.next_id += 1;
        let shared = Arc::new(Shared { about, cut, has_begun });
        table.running.insert(id, shared.clone());
        drop(table);
        Session { id, shared, sessions: self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{orders::Command, sessions::Cut},
        testing::room,
    };

    #[test]
    fn a_session_is_counted_and_cut_as_before() {
        let about = About {
            action: Action::Play,
            room: room("a"),
            protocol: Protocol::HttpFlv,
            peer: ([127, 0, 0, 1], 1).into(),
            subject: None,
            token_id: Some("j".to_owned()),
            ends_unix_s: Some(100),
            limit: Some(("j".to_owned(), 1)),
        };
        let (before, after) = (Sessions::new(None), Sessions::new(None));
        let session = before.open(about.clone(), 0).unwrap();
        session.begin();
        let state = session.park();
        assert!(state.has_begun);
        before.open(about.clone(), 0).expect("its place is free where it was");
        let resumed = after.resume(state);
        assert!(after.open(about, 0).is_err(), "its place is taken where it is");
        assert_eq!((resumed.cut_at(99), resumed.cut_at(100)), (None, Some(Cut::Over)));
        after.obey(&Command::Revoke { token_id: "j".to_owned() });
        assert_eq!(resumed.park().cut, super::super::REVOKED);
    }
}
