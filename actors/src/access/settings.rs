//! Settings of access.

use std::time::Duration;

use synctv_media::access::{Policy, Secret, Secrets};

use super::service_url::ServiceUrl;

/// The settings that decisions depend on.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// The actions that need no credential.
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
