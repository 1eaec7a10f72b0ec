//! The decision.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use log::{info, warn};
use synctv_media::{
    access::{
        Action, AddressKey, Claims, Credential, FailureBuckets, NodeRequest, Openness, Policy, Refusal,
        Secret, Secrets, SignedKey,
    },
    stream::room::RoomName,
};
use tokio::time::{Instant, sleep};

use super::{
    about::About,
    agent::{AgentHandle, AgentSettings},
    callback::{Callback, question_key},
    callback_message::Approval,
    grant::{Grant, ToPlay, ToPublish, ToPull},
    node_keys::NodeKeys,
    orders::{Order, OrderBook},
    request::AccessRequest,
    service_url::ServiceUrl,
    sessions::{Session, Sessions},
    tokens::{KeySet, TokenHash, TokenVerifier, token_hash},
};
use crate::clock::unix_ms;

/// How late a refusal comes to an address that has failed too often.
const SLOWED_BY: Duration = Duration::from_secs(1);

/// What access depends on.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// Which actions need no credential.
    pub policy: Policy,
    /// Sign and verify HS256 tokens and signed keys.
    pub token_secrets: Option<Secrets>,
    /// The key set of an identity provider.
    pub token_keys: Option<ServiceUrl>,
    /// The only issuer of tokens, if there is one.
    pub token_issuer: Option<String>,
    /// The audience that tokens must have, if they must.
    pub token_audience: Option<String>,
    /// The callback that decides where no valid token does, and how long it may take.
    pub callback: Option<(ServiceUrl, Duration)>,
    /// The receiver of events.
    pub events: Option<ServiceUrl>,
    /// The bearer token of administrators. Without it, nothing can be administered.
    pub admin_token: Option<Secret>,
}

impl AccessSettings {
    /// Settings with which anyone may publish and watch.
    pub const OPEN: Self = Self {
        policy: Policy::OPEN,
        token_secrets: None,
        token_keys: None,
        token_issuer: None,
        token_audience: None,
        callback: None,
        events: None,
        admin_token: None,
    };
}

/// Decides who may publish, watch and administer. Clones share what they know.
#[derive(Clone)]
pub struct Gatekeeper(Arc<Inner>);

struct Inner {
    policy: Policy,
    secrets: Option<Secrets>,
    tokens: TokenVerifier,
    callback: Option<Callback>,
    admin_token: Option<Secret>,
    nodes: NodeKeys,
    failures: Mutex<FailureBuckets>,
    orders: RwLock<OrderBook>,
    /// `None` if nothing can cut a connection, limit it or wants to know of it.
    sessions: Option<Sessions>,
    since: Instant,
}

/// The one to whom access is granted, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Identity {
    subject: Option<String>,
    token_id: Option<String>,
    ends_unix_s: Option<u64>,
    limit: Option<(String, u32)>,
}

/// Proof that an administrator asks.
#[derive(Debug)]
pub struct Administrator(());

/// The rooms that one may see in the list of rooms.
#[derive(Debug, Clone)]
pub struct Visible(Seen);

#[derive(Debug, Clone)]
enum Seen {
    All,
    None,
    Of(Arc<Claims>),
    OfKey(SignedKey, Secrets),
}

impl Gatekeeper {
    /// A gatekeeper of the node that has `nodes` as its keys.
    pub fn new(settings: AccessSettings, nodes: NodeKeys) -> Self {
        let keys = settings.token_keys.map(|url| (url, Arc::new(KeySet::default())));
        let key_set = keys.as_ref().map(|(_, keys)| keys.clone());
        let has_callback = settings.callback.is_some();
        let is_closed = settings.policy != Policy::OPEN;
        let has_events = settings.events.is_some();
        let agent = AgentSettings {
            keys,
            callback: settings.callback,
            events: settings.events,
            node: nodes.node().to_owned(),
        };
        let agent = agent.is_needed().then(|| AgentHandle::start(agent));
        let has_sessions = is_closed || has_events || settings.admin_token.is_some();
        Self(Arc::new(Inner {
            policy: settings.policy,
            tokens: TokenVerifier::new(
                settings.token_secrets.as_ref(),
                key_set,
                settings.token_issuer.as_deref(),
                settings.token_audience.as_deref(),
            ),
            secrets: settings.token_secrets,
            callback: agent.clone().filter(|_| has_callback).map(|agent| Callback::new(agent, nodes.node())),
            admin_token: settings.admin_token,
            sessions: has_sessions.then(|| Sessions::new(agent.filter(|_| has_events))),
            nodes,
            failures: Mutex::default(),
            orders: RwLock::default(),
            since: Instant::now(),
        }))
    }

    /// The keys that this node signs and verifies with.
    pub fn nodes(&self) -> &NodeKeys {
        &self.0.nodes
    }

    /// Reports whether watching needs a credential.
    pub fn is_play_closed(&self) -> bool {
        self.0.policy.play == Openness::Closed
    }

    /// Reports whether anything can be administered.
    pub fn has_administrators(&self) -> bool {
        self.0.admin_token.is_some()
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
                // A key of an older playlist is told from one that never was.
                Err(Refusal::TokenExpired) if request.authorization.is_none() => {
                    return Err(self.refused(Action::Segment, request, Refusal::TokenExpired).await);
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
        if let Err(refusal) = &verified
            && !self.count_failure(peer)
        {
            warn!(room = room.as_str(), peer:% = peer, action = Action::Pull.as_str(), code = refusal.code();
                "access refused");
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
        let decided = self.judge_administrator(authorization, room);
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
            warn!(peer:% = peer, action = action.as_str(), code = refusal.code(); "access refused");
        }
    }

    /// Decides whether a client may read about a room: with what lets it list the room, or else watch it.
    pub async fn admit_reader(&self, request: &AccessRequest<'_>) -> Result<(), Refusal> {
        match self.see(request.authorization, request.query) {
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
        let decided = self.see(authorization, query);
        if let Err(refusal) = &decided {
            self.refused_everywhere(Action::List, refusal, peer).await;
        }
        decided
    }

    fn see(&self, authorization: Option<&str>, query: &str) -> Result<Visible, Refusal> {
        let inner = &self.0;
        if inner.policy.is_open(Action::List) {
            return Ok(Visible(Seen::All));
        }
        let credential =
            authorization.and_then(Credential::in_authorization).or_else(|| Credential::in_query(query));
        match credential {
            None => Ok(Visible(Seen::None)),
            Some(Credential::Token(token)) if inner.is_admin_token(&token) => Ok(Visible(Seen::All)),
            Some(Credential::Token(token)) => {
                let (claims, _) = inner.verify_token(&token)?;
                claims.check_time(unix_s())?;
                Ok(Visible(Seen::Of(claims)))
            }
            Some(Credential::Key(key)) => match &inner.secrets {
                Some(secrets) => Ok(Visible(Seen::OfKey(key, secrets.clone()))),
                None => Err(Refusal::TokenInvalid),
            },
        }
    }

    async fn admit<A>(&self, action: Action, request: &AccessRequest<'_>) -> Result<Grant<A>, Refusal> {
        let granted = match self.identify(action, request).await {
            Ok(identity) => self.open_session(action, request, identity),
            Err(refusal) => Err(refusal),
        };
        match granted {
            Ok(session) => Ok(Grant::new(request.room, Some(request.peer.ip().into()), session)),
            Err(refusal) => Err(self.refused(action, request, refusal).await),
        }
    }

    async fn identify(&self, action: Action, request: &AccessRequest<'_>) -> Result<Identity, Refusal> {
        let inner = &self.0;
        if action == Action::Publish && inner.is_blocked(request.room) {
            return Err(Refusal::Blocked);
        }
        if inner.policy.is_open(action) {
            return Ok(Identity::default());
        }
        match (inner.judge(action, request), &inner.callback) {
            (
                Err(refusal @ (Refusal::TokenMissing | Refusal::TokenInvalid | Refusal::TokenCut)),
                Some(callback),
            ) => self.ask(callback, action, request, refusal).await,
            (judged, _) => judged,
        }
    }

    /// Asks the callback, unless its answer is known or the address has failed too often to be worth a question.
    async fn ask(
        &self,
        callback: &Callback,
        action: Action,
        request: &AccessRequest<'_>,
        without: Refusal,
    ) -> Result<Identity, Refusal> {
        let key = question_key(action, request);
        let answer = match callback.fresh(&key, Instant::now()) {
            Some(known) => known,
            None if self.has_failed_too_often(request.peer) => Err(without),
            None => callback.ask(key, action, request).await,
        };
        let Approval { until_unix_s, connections_max, .. } = answer?;
        if until_unix_s.is_some_and(|until| until <= unix_s()) {
            return Err(Refusal::TokenExpired);
        }
        let limit = connections_max.map(|max| (hex(&key), max));
        Ok(Identity { ends_unix_s: until_unix_s, limit, ..Identity::default() })
    }

    fn open_session(
        &self,
        action: Action,
        request: &AccessRequest<'_>,
        identity: Identity,
    ) -> Result<Option<Session>, Refusal> {
        let Some(sessions) = self.0.sessions.as_ref().filter(|_| request.protocol.has_sessions()) else {
            return Ok(None);
        };
        let Identity { subject, token_id, ends_unix_s, limit } = identity;
        let (room, protocol, peer) = (request.room.clone(), request.protocol, request.peer);
        sessions.open(About { action, room, protocol, peer, subject, token_id, ends_unix_s, limit }).map(Some)
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
        warn!(
            room = request.room.as_str(), peer:% = request.peer, protocol = request.protocol.as_str(),
            action = action.as_str(), code = refusal.code(), token = token.as_str();
            "access refused");
        refusal
    }

    fn has_failed_too_often(&self, peer: SocketAddr) -> bool {
        self.0.failures().is_empty(AddressKey::from(peer.ip()), self.0.now_ms())
    }

    /// Returns whether the address had failed too often already.
    fn count_failure(&self, peer: SocketAddr) -> bool {
        let (address, now_ms) = (AddressKey::from(peer.ip()), self.0.now_ms());
        let mut failures = self.0.failures();
        let is_slowed = failures.is_empty(address, now_ms);
        failures.fail(address, now_ms);
        is_slowed
    }

    fn judge_administrator(
        &self,
        authorization: Option<&str>,
        room: Option<&RoomName>,
    ) -> Result<Administrator, Refusal> {
        let inner = &self.0;
        let token = match authorization.and_then(Credential::in_authorization) {
            None => return Err(Refusal::TokenMissing),
            Some(Credential::Key(_)) => return Err(Refusal::TokenInvalid),
            Some(Credential::Token(token)) => token,
        };
        if inner.is_admin_token(&token) {
            return Ok(Administrator(()));
        }
        let (claims, _) = inner.verify_token(&token)?;
        match room {
            Some(room) => claims.check(Action::Admin, room, unix_s())?,
            None => claims.check_everywhere(Action::Admin, unix_s())?,
        }
        Ok(Administrator(()))
    }

    /// Gives an order, on this node. Returns whether there was room for it.
    pub(super) fn obey(&self, order: &Order, ends_unix_ms: u64) -> bool {
        let added = self.0.orders_mut().add(order, ends_unix_ms, unix_ms());
        if added == Ok(true) {
            info!(order = order.to_text().as_str(); "administrator's order");
            if let Some(sessions) = &self.0.sessions {
                sessions.obey(order);
            }
        }
        added.is_ok()
    }

    /// The orders in force.
    pub(super) fn orders(&self) -> Vec<(String, u64)> {
        let mut orders = self.0.orders_mut();
        orders.sweep(unix_ms());
        orders.all()
    }
}

impl Inner {
    /// Judges a credential, without asking anyone.
    fn judge(&self, action: Action, request: &AccessRequest<'_>) -> Result<Identity, Refusal> {
        match &request.credential {
            None => Err(Refusal::TokenMissing),
            Some(Credential::Key(key)) => {
                let secrets = self.secrets.iter().flat_map(Secrets::iter);
                key.verify(secrets, action, request.room, unix_s()).map(|()| Identity::default())
            }
            Some(Credential::Token(token)) => {
                let (claims, hash) = self.verify_token(token).map_err(|refusal| match refusal {
                    Refusal::TokenInvalid if request.may_be_cut => Refusal::TokenCut,
                    refusal => refusal,
                })?;
                claims.check(action, request.room, unix_s())?;
                Ok(Identity::of(&claims, &hash))
            }
        }
    }

    /// Verifies a token that was not revoked.
    fn verify_token(&self, token: &str) -> Result<(Arc<Claims>, TokenHash), Refusal> {
        let hash = token_hash(token);
        let claims = self.tokens.verify(token, &hash, Instant::now())?;
        match &claims.token_id {
            Some(token_id) if self.read_orders().is_revoked(token_id) => Err(Refusal::Revoked),
            _ => Ok((claims, hash)),
        }
    }

    fn is_admin_token(&self, token: &str) -> bool {
        self.admin_token.as_ref().is_some_and(|admin| admin.is(token.as_bytes()))
    }

    fn is_blocked(&self, room: &RoomName) -> bool {
        self.read_orders().is_blocked(room, unix_ms())
    }

    /// Milliseconds of a clock that does not go back.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, FailureBuckets> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_orders(&self) -> std::sync::RwLockReadGuard<'_, OrderBook> {
        self.orders.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn orders_mut(&self) -> std::sync::RwLockWriteGuard<'_, OrderBook> {
        self.orders.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    fn of(claims: &Claims, hash: &TokenHash) -> Self {
        let counted_as = || claims.token_id.clone().unwrap_or_else(|| hex(hash));
        Self {
            subject: claims.subject.clone(),
            token_id: claims.token_id.clone(),
            ends_unix_s: claims.ends_unix_s,
            limit: claims.connections_max.map(|max| (counted_as(), max)),
        }
    }
}

impl Visible {
    /// Reports whether all rooms are seen, whatever their names.
    pub fn is_all(&self) -> bool {
        matches!(self.0, Seen::All)
    }

    /// Reports whether `room` is seen.
    pub fn sees(&self, room: &RoomName) -> bool {
        match &self.0 {
            Seen::All => true,
            Seen::None => false,
            Seen::Of(claims) => [Action::List, Action::Play]
                .into_iter()
                .any(|action| claims.check(action, room, unix_s()).is_ok()),
            Seen::OfKey(key, secrets) => [Action::List, Action::Play]
                .into_iter()
                .any(|action| key.verify(secrets.iter(), action, room, unix_s()).is_ok()),
        }
    }
}

fn unix_s() -> u64 {
    unix_ms() / 1000
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Enough of a hash to find a token in two logs, and too little to find the token by.
fn short(hash: &TokenHash) -> String {
    hex(&hash[..4])
}

impl fmt::Debug for Gatekeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatekeeper").field("policy", &self.0.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
