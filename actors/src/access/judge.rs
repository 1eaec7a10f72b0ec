//! Decisions that are made without asking anyone.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use synctv_media::{
    access::{Action, Claims, Confidential, Credential, Policy, Refusal, Secret, Secrets},
    stream::room::RoomName,
};
use tokio::time::Instant;

use super::{
    orders::OrderBook,
    request::AccessRequest,
    settings::AccessSettings,
    tokens::{KeySet, TokenHash, TokenVerifier, token_hash},
    visible::Visible,
};
use crate::clock::unix_s;

/// Judges credentials by what this node knows.
pub(super) struct Judge {
    pub policy: Policy,
    secrets: Option<Secrets>,
    tokens: TokenVerifier,
    admin_token: Option<Secret>,
    orders: RwLock<OrderBook>,
}

/// The one to whom access is granted, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub subject: Option<String>,
    pub token_id: Option<String>,
    pub ends_unix_s: Option<u64>,
    /// A name under which connections are counted, and how many there may be.
    pub limit: Option<(String, u32)>,
}

/// Proof that an administrator asks.
#[derive(Debug)]
pub struct Administrator(());

impl Judge {
    /// Judges by `settings`, and by the keys of an identity provider.
    pub fn new(settings: &AccessSettings, keys: Option<Arc<KeySet>>) -> Self {
        Self {
            policy: settings.policy,
            tokens: TokenVerifier::new(
                settings.token_secrets.as_ref(),
                keys,
                settings.token_issuer.as_deref(),
                settings.token_audience.as_deref(),
            ),
            secrets: settings.token_secrets.clone(),
            admin_token: settings.admin_token.clone(),
            orders: RwLock::default(),
        }
    }

    /// Judges a client's credential.
    pub fn identify(&self, action: Action, request: &AccessRequest<'_>) -> Result<Identity, Refusal> {
        match &request.credential {
            None => Err(Refusal::TokenMissing),
            Some(Credential::Key(key)) => {
                let secrets = self.secrets.iter().flat_map(Secrets::iter);
                key.verify(secrets, action, request.room, unix_s()).map(|()| Identity::default())
            }
            Some(Credential::Token(token)) => {
                let (claims, hash) = self.verify(token).map_err(|refusal| match refusal {
                    Refusal::TokenInvalid if request.may_be_cut => Refusal::TokenCut,
                    refusal => refusal,
                })?;
                claims.check(action, request.room, unix_s())?;
                Ok(Identity::of(&claims, &hash))
            }
        }
    }

    /// Judges whether a client may administer: `room`, or all that there is.
    pub fn administrator(
        &self,
        authorization: Option<&str>,
        room: Option<&RoomName>,
    ) -> Result<Administrator, Refusal> {
        let token = match authorization.and_then(Credential::in_authorization) {
            None => return Err(Refusal::TokenMissing),
            Some(Credential::Key(_)) => return Err(Refusal::TokenInvalid),
            Some(Credential::Token(token)) => token,
        };
        if self.is_admin_token(&token) {
            return Ok(Administrator(()));
        }
        let (claims, _) = self.verify(&token)?;
        match room {
            Some(room) => claims.check(Action::Admin, room, unix_s())?,
            None => claims.check_everywhere(Action::Admin, unix_s())?,
        }
        Ok(Administrator(()))
    }

    /// Judges which rooms a client sees in the list of rooms.
    pub fn visible_rooms(&self, authorization: Option<&str>, query: &str) -> Result<Visible, Refusal> {
        if self.policy.is_open(Action::List) {
            return Ok(Visible::all());
        }
        let credential =
            authorization.and_then(Credential::in_authorization).or_else(|| Credential::in_query(query));
        match credential {
            None => Ok(Visible::none()),
            Some(Credential::Token(token)) if self.is_admin_token(&token) => Ok(Visible::all()),
            Some(Credential::Token(token)) => {
                let (claims, _) = self.verify(&token)?;
                claims.check_time(unix_s())?;
                Ok(Visible::of(claims))
            }
            Some(Credential::Key(key)) => {
                let secrets = self.secrets.clone().ok_or(Refusal::TokenInvalid)?;
                Ok(Visible::of_key(key, secrets))
            }
        }
    }

    /// Returns whether publishing `room` is blocked.
    pub fn is_blocked(&self, room: &RoomName, now_unix_ms: u64) -> bool {
        self.read_orders().is_blocked(room, now_unix_ms)
    }

    /// The administrators' orders in force.
    pub fn orders(&self) -> RwLockWriteGuard<'_, OrderBook> {
        self.orders.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies a token that was not revoked.
    fn verify(&self, token: &str) -> Result<(Arc<Claims>, TokenHash), Refusal> {
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

    fn read_orders(&self) -> RwLockReadGuard<'_, OrderBook> {
        self.orders.read().unwrap_or_else(PoisonError::into_inner)
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

impl Identity {
    /// The most lasting thing that the client can be recognised by when it comes back, also on another node: its token's
    /// subject or id, else what it says in its stream name or address, such as a key, else where it comes from.
    pub fn recognised_by(&self, request: &AccessRequest<'_>) -> Confidential {
        let token = self.subject.as_deref().or(self.token_id.as_deref());
        match token.unwrap_or(request.query) {
            "" => Confidential::new(&request.peer.ip().to_string()),
            known => Confidential::new(known),
        }
    }
}

/// A hash as text.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
