//! The decision.

mod upgrade;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use log::{info, warn};
use synctv_media::{
    access::{Action, AddressKey, Credential, FailureBuckets, NodeRequest, Openness, Policy, Refusal},
    stream::room::RoomName,
};
use tokio::time::{Instant, sleep};

use super::{
    about::About,
    agent::{AgentHandle, AgentSettings},
    callback::{Callback, counting_name, question_key},
    callback_message::Approval,
    grant::{Grant, ToPlay, ToPublish, ToPull},
    judge::{Administrator, Identity, Judge, hex},
    node_keys::NodeKeys,
    orders::{Command, Order},
    request::{AccessRequest, Protocol},
    sessions::{Session, Sessions},
    settings::AccessSettings,
    tokens::{KeySet, TokenHash, token_hash},
    visible::Visible,
};
use crate::{
    clock::{SteadyClock, unix_s},
    metrics::{AccessMetrics, DecisionOutcome},
};

/// The delay of a refusal to an address that has failed too often.
const SLOWED_BY: Duration = Duration::from_secs(1);

/// Decides who may publish, watch and administer. Clones share what they know.
#[derive(Clone)]
pub struct Gatekeeper(Arc<Inner>);

struct Inner {
    judge: Judge,
    callback: Option<Callback>,
    /// Talks to services, if any are set.
    agent: Option<AgentHandle>,
    has_administrators: bool,
    nodes: NodeKeys,
    failures: Mutex<FailureBuckets>,
    /// `None` if nothing can cut a connection, limit it or wants to know of it.
    sessions: Option<Sessions>,
    clock: SteadyClock,
    metrics: AccessMetrics,
}

impl Gatekeeper {
    /// A gatekeeper of the node that has `nodes` as its keys.
    pub fn new(settings: AccessSettings, nodes: NodeKeys) -> Self {
        let keys = settings.token_keys.as_ref().map(|_| Arc::new(KeySet::default()));
        let judge = Judge::new(&settings, keys.clone());
        let (has_callback, has_events) = (settings.callback.is_some(), settings.events.is_some());
        let has_administrators = settings.admin_token.is_some();
        let has_sessions = settings.policy != Policy::OPEN || has_events || has_administrators;
        let metrics = AccessMetrics::default();
        let agent = AgentSettings {
            keys: settings.token_keys.zip(keys),
            keys_age: metrics.keys.clone(),
            callback: settings.callback,
            events: settings.events,
            node: nodes.node().to_owned(),
        };
        let agent = agent.is_needed().then(|| AgentHandle::start(agent));
        let of_callback = agent.clone().filter(|_| has_callback);
        Self(Arc::new(Inner {
            judge,
            callback: of_callback.map(|agent| Callback::new(agent, nodes.node(), metrics.clone())),
            has_administrators,
            sessions: has_sessions.then(|| Sessions::new(agent.clone().filter(|_| has_events))),
            agent,
            nodes,
            failures: Mutex::default(),
            clock: SteadyClock::start(),
            metrics,
        }))
    }

    /// Returns the metrics of its decisions.
    pub fn metrics(&self) -> &AccessMetrics {
        &self.0.metrics
    }

    /// The keys that this node signs and verifies with.
    pub fn nodes(&self) -> &NodeKeys {
        &self.0.nodes
    }

    /// Returns whether watching needs a credential.
    pub fn is_play_closed(&self) -> bool {
        self.0.judge.policy.play == Openness::Closed
    }

    /// Returns whether anyone may list the rooms.
    fn is_list_open(&self) -> bool {
        self.0.judge.policy.is_open(Action::List)
    }

    /// Returns whether a callback decides where no token does.
    pub fn has_callback(&self) -> bool {
        self.0.callback.is_some()
    }

    /// Returns whether anything can be administered.
    pub fn has_administrators(&self) -> bool {
        self.0.has_administrators
    }

    /// Returns whether anyone may read reports of nodes. They are for administrators, unless anyone may list the rooms and
    /// there are no administrators; then they have nothing that identifies a person.
    pub fn are_reports_open(&self) -> bool {
        self.is_list_open() && !self.has_administrators()
    }

    /// Decides whether a client may publish.
    pub async fn admit_publisher(&self, request: &AccessRequest<'_>) -> Result<Grant<ToPublish>, Refusal> {
        self.admit(Action::Publish, request).await
    }

    /// Decides whether a client may watch.
    pub async fn admit_viewer(&self, request: &AccessRequest<'_>) -> Result<Grant<ToPlay>, Refusal> {
        self.admit(Action::Play, request).await
    }

    /// Decides whether a client may have a segment: with the key that playlists name, or as a viewer.
    pub async fn admit_segment(&self, request: &AccessRequest<'_>) -> Result<Grant<ToPlay>, Refusal> {
        if let Some(Credential::Key(key)) = Credential::in_query(request.query)
            && self.is_play_closed()
        {
            match self.0.nodes.verify_segment(&key, request.room) {
                Ok(()) => return Ok(Grant::new(request.room, None, None)),
                // An expired key and an invalid one get different refusals.
                Err(Refusal::TokenExpired) if request.authorization.is_none() => {
                    let refusal = Refusal::TokenExpired;
                    self.0.metrics.decisions.get((Action::Segment, DecisionOutcome::Denied)).inc();
                    return Err(self.refused(Action::Segment, request, refusal).await);
                }
                Err(_) => {}
            }
        }
        self.admit_viewer(request).await
    }

    /// Decides whether a request for `room` comes from a node of the cluster, by its signature.
    pub fn admit_node(
        &self,
        room: &RoomName,
        request: &NodeRequest<'_>,
        signature: &str,
        peer: SocketAddr,
    ) -> Result<Grant<ToPull>, Refusal> {
        let verified = self.0.nodes.verify(request, signature);
        self.0.metrics.note(Action::Pull, &verified);
        if let Err(refusal) = &verified
            && !self.count_failure(peer)
        {
            let subject = RefusedSubject { room: room.as_str(), ..RefusedSubject::default() };
            log_refused(Action::Pull, peer, refusal, &subject);
        }
        verified.map(|()| Grant::new(room, None, None))
    }

    /// Decides whether a client may administer: `room`, or all that there is.
    pub async fn admit_administrator(
        &self,
        authorization: Option<&str>,
        room: Option<&RoomName>,
        peer: SocketAddr,
    ) -> Result<Administrator, Refusal> {
        let decided = self.0.judge.administrator(authorization, room);
        self.0.metrics.note(Action::Admin, &decided);
        if let Err(refusal) = &decided {
            self.refused_everywhere(Action::Admin, refusal, peer).await;
        }
        decided
    }

    /// Counts and logs a refusal that is not about one room.
    async fn refused_everywhere(&self, action: Action, refusal: &Refusal, peer: SocketAddr) {
        if self.count_failure(peer) {
            sleep(SLOWED_BY).await;
        } else {
            log_refused(action, peer, refusal, &RefusedSubject::default());
        }
    }

    /// Decides whether a client may read about a room: with what lets it list the room, or else watch it.
    pub async fn admit_reader(&self, request: &AccessRequest<'_>) -> Result<(), Refusal> {
        match self.0.judge.visible_rooms(request.authorization, request.query) {
            Ok(visible) if visible.sees(request.room) => Ok(()),
            _ => self.admit_viewer(request).await.map(drop),
        }
    }

    /// Decides which rooms a client sees in the list of rooms.
    pub async fn visible_rooms(
        &self,
        authorization: Option<&str>,
        query: &str,
        peer: SocketAddr,
    ) -> Result<Visible, Refusal> {
        let decided = match self.0.judge.visible_rooms(authorization, query) {
            // It may be one that the callback knows, which is asked about one room at a time.
            Err(Refusal::TokenInvalid) if self.0.callback.is_some() => Ok(Visible::none()),
            decided => decided,
        };
        self.0.metrics.note(Action::List, &decided);
        if let Err(refusal) = &decided {
            self.refused_everywhere(Action::List, refusal, peer).await;
        }
        decided
    }

    async fn admit<A>(&self, action: Action, request: &AccessRequest<'_>) -> Result<Grant<A>, Refusal> {
        let granted = match self.identify(action, request).await {
            Ok(identity) => {
                let who = (action == Action::Publish).then(|| identity.recognised_by(request));
                self.open_session(action, request, identity).map(|session| (session, who))
            }
            Err(refusal) => Err(refusal),
        };
        self.0.metrics.note(action, &granted);
        match granted {
            Ok((session, who)) => {
                let grant = Grant::new(request.room, Some(request.peer.ip().into()), session);
                Ok(grant.known_as(who).at_peer(request.peer))
            }
            Err(refusal) => Err(self.refused(action, request, refusal).await),
        }
    }

    async fn identify(&self, action: Action, request: &AccessRequest<'_>) -> Result<Identity, Refusal> {
        let inner = &self.0;
        if action == Action::Publish && inner.judge.is_blocked(request.room, inner.nodes.unix_ms()) {
            return Err(Refusal::Blocked);
        }
        if inner.judge.policy.is_open(action) {
            return Ok(Identity::default());
        }
        match (inner.judge.identify(action, request), &inner.callback) {
            (
                Err(refusal @ (Refusal::TokenMissing | Refusal::TokenInvalid | Refusal::TokenCut)),
                Some(callback),
            ) => self.ask(callback, action, request, refusal).await,
            (judged, _) => judged,
        }
    }

    /// Asks the callback, unless its answer is known or the address has failed too often to be worth a question. Then an earlier
    /// permission stands in: others behind the same address may have failed.
    async fn ask(
        &self,
        callback: &Callback,
        action: Action,
        request: &AccessRequest<'_>,
        without: Refusal,
    ) -> Result<Identity, Refusal> {
        let key = question_key(action, request);
        let now = Instant::now();
        let answer = match callback.fresh(&key, now) {
            Some(known) => known,
            None if self.has_failed_too_often(request.peer) => callback.stand_in(&key, now).ok_or(without),
            None => callback.ask(key, action, request).await,
        };
        let Approval { until_unix_s, subject, connections_max, .. } = answer?;
        if until_unix_s.is_some_and(|until| until <= unix_s()) {
            return Err(Refusal::TokenExpired);
        }
        let counted_as = || match &subject {
            Some(subject) => format!("sub {subject}"),
            None => counting_name(action, request),
        };
        let limit = connections_max.map(|max| (counted_as(), max));
        Ok(Identity { subject, ends_unix_s: until_unix_s, limit, ..Identity::default() })
    }

    fn open_session(
        &self,
        action: Action,
        request: &AccessRequest<'_>,
        identity: Identity,
    ) -> Result<Option<Session>, Refusal> {
        let Some(sessions) = &self.0.sessions else { return Ok(None) };
        let Identity { subject, token_id, ends_unix_s, limit } = identity;
        let (room, protocol, peer) = (request.room.clone(), request.protocol, request.peer);
        match protocol {
            Protocol::Rtmp | Protocol::HttpFlv | Protocol::WebRtc => {
                let about = About { action, room, protocol, peer, subject, token_id, ends_unix_s, limit };
                sessions.open(about, self.0.clock.now_ms()).map(Some)
            }
            Protocol::Hls => {
                let counted = limit.map(|limit| sessions.see(&limit, peer.ip(), self.0.clock.now_ms()));
                counted.transpose().map(|_| None)
            }
            Protocol::Api => Ok(None),
        }
    }

    /// Counts and logs a refusal. One of an address that has failed too often comes late, and is not logged.
    async fn refused(&self, action: Action, request: &AccessRequest<'_>, refusal: Refusal) -> Refusal {
        if refusal.is_clients_fault() && self.count_failure(request.peer) {
            sleep(SLOWED_BY).await;
            return refusal;
        }
        let token = match &request.credential {
            Some(Credential::Token(token)) => short(&token_hash(token)),
            _ => String::new(),
        };
        let (room, protocol) = (request.room.as_str(), request.protocol.as_str());
        log_refused(action, request.peer, &refusal, &RefusedSubject { room, protocol, token: &token });
        refusal
    }

    fn has_failed_too_often(&self, peer: SocketAddr) -> bool {
        self.0.failures().is_empty(AddressKey::from(peer.ip()), self.0.clock.now_ms())
    }

    /// Returns whether the address had failed too often already.
    fn count_failure(&self, peer: SocketAddr) -> bool {
        let (address, now_ms) = (AddressKey::from(peer.ip()), self.0.clock.now_ms());
        let mut failures = self.0.failures();
        let is_slowed = failures.is_empty(address, now_ms);
        failures.fail(address, now_ms);
        is_slowed
    }

    /// Gives an order, on this node. Returns whether there was room for it.
    pub(super) fn obey(&self, order: &Order, ends_unix_ms: u64) -> bool {
        let added = self.0.judge.orders().add(order, ends_unix_ms, self.0.nodes.unix_ms());
        if added == Ok(true) {
            info!(order = order.to_text().as_str(); "administrator's order");
            if let Some(sessions) = &self.0.sessions {
                sessions.obey(&order.command);
            }
        }
        added.is_ok()
    }

    /// An order of this moment.
    pub(super) fn date(&self, command: Command) -> Order {
        self.0.judge.orders().date(command, self.0.nodes.unix_ms())
    }

    /// The end of the last order in force that `lifting` would lift.
    pub(super) fn end_of_lifted(&self, lifting: &Command) -> Option<u64> {
        self.0.judge.orders().end_of_lifted(lifting, self.0.nodes.unix_ms())
    }
}

impl Inner {
    fn failures(&self) -> MutexGuard<'_, FailureBuckets> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The subject of a refusal, as it is logged. A field that a request does not have is empty.
#[derive(Default)]
struct RefusedSubject<'a> {
    room: &'a str,
    protocol: &'a str,
    /// The beginning of its token's hash.
    token: &'a str,
}

fn log_refused(action: Action, peer: SocketAddr, refusal: &Refusal, subject: &RefusedSubject<'_>) {
    let RefusedSubject { room, protocol, token } = *subject;
    warn!(
        room = room, peer:% = peer, protocol = protocol, action = action.as_str(), code = refusal.code(), token = token;
        "access refused");
}

/// Enough of a hash to find a token in two logs, and too little to find the token by.
fn short(hash: &TokenHash) -> String {
    hex(&hash[..4])
}

impl fmt::Debug for Gatekeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatekeeper").field("policy", &self.0.judge.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
