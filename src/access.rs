//! Access: its settings, and the command that makes tokens and keys.

mod token_command;

use std::{convert::Infallible, fs, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, value_parser};
use log::warn;
use synctv_actors::access::{AccessSettings, NodeKeys, RandomError, ServiceUrl};
use synctv_media::access::{Openness, Policy, Secret, Secrets};

pub use self::token_command::{Addresses, TokenCommand};

/// A value that was checked. A bad one is not kept, as it may be a secret.
pub type Checked<T> = Result<T, String>;

/// The settings of access: publishing, watching and administering.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessArgs {
    /// Secret of HS256 tokens and signed keys, 32 to 256 bytes; with commas several, of which the first signs
    /// [default: none]
    #[arg(long, env, hide_env_values = true, value_parser = parse_secrets)]
    pub token_secret: Option<Checked<Secrets>>,

    /// File with the value of TOKEN_SECRET [default: none]
    #[arg(long, env)]
    pub token_secret_file: Option<PathBuf>,

    /// Address of an identity provider's key set (JWKS), for ES256, ES384, RS256, PS256 and EdDSA tokens
    /// [default: none]
    #[arg(long, env, hide_env_values = true, value_parser = parse_url)]
    pub token_jwks_url: Option<Checked<ServiceUrl>>,

    /// The only issuer (iss) whose tokens count [default: any]
    #[arg(long, env)]
    pub token_issuer: Option<String>,

    /// The audience (aud) that tokens must have [default: any]
    #[arg(long, env)]
    pub token_audience: Option<String>,

    /// Address that is asked, by POST, about clients without a valid token [default: none]
    #[arg(long, env, hide_env_values = true, value_parser = parse_url)]
    pub auth_url: Option<Checked<ServiceUrl>>,

    /// Time that AUTH_URL has to answer, in milliseconds
    #[arg(long, env, default_value_t = 2000, value_parser = value_parser!(u32).range(100..=10_000))]
    pub auth_timeout_ms: u32,

    /// Address that gets a POST for each publish, unpublish, play and stop [default: none]
    #[arg(long, env, hide_env_values = true, value_parser = parse_url)]
    pub events_url: Option<Checked<ServiceUrl>>,

    /// Publishing without a token: "open" or "closed"
    /// [default: closed with TOKEN_SECRET, TOKEN_JWKS_URL or AUTH_URL, else open]
    #[arg(long, env)]
    pub publish_access: Option<Access>,

    /// Watching without a token: "open" or "closed"
    /// [default: closed with TOKEN_SECRET, TOKEN_JWKS_URL or AUTH_URL, else open]
    #[arg(long, env)]
    pub play_access: Option<Access>,

    /// Bearer token of administrators, 32 to 256 bytes; without it, nothing can be administered [default: none]
    #[arg(long, env, hide_env_values = true, value_parser = parse_secret)]
    pub admin_token: Option<Checked<Secret>>,

    /// File with the value of ADMIN_TOKEN [default: none]
    #[arg(long, env)]
    pub admin_token_file: Option<PathBuf>,

    /// Secret of the nodes of a cluster, 32 to 256 bytes, the same on all of them
    /// [default: one that the first node puts into Redis]
    #[arg(long, env, hide_env_values = true, value_parser = parse_secrets)]
    pub cluster_secret: Option<Checked<Secrets>>,
}

/// A setting of one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Access {
    /// Anyone may.
    Open,
    /// Only with a valid token.
    Closed,
}

impl AccessArgs {
    /// Reads the files, and names what is wrong.
    pub fn checked(mut self) -> Result<Self, String> {
        if let Some(text) =
            read("TOKEN_SECRET", self.token_secret.is_some(), self.token_secret_file.as_ref())?
        {
            self.token_secret = Some(Secrets::parse(&text).map_err(|error| error.to_string()));
        }
        if let Some(text) = read("ADMIN_TOKEN", self.admin_token.is_some(), self.admin_token_file.as_ref())? {
            self.admin_token = Some(Secret::new(text.as_bytes()).map_err(|error| error.to_string()));
        }
        complain("TOKEN_SECRET", self.token_secret.as_ref())?;
        complain("TOKEN_JWKS_URL", self.token_jwks_url.as_ref())?;
        complain("AUTH_URL", self.auth_url.as_ref())?;
        complain("EVENTS_URL", self.events_url.as_ref())?;
        complain("ADMIN_TOKEN", self.admin_token.as_ref())?;
        complain("CLUSTER_SECRET", self.cluster_secret.as_ref())?;
        let closed = [("PUBLISH_ACCESS", self.publish_access), ("PLAY_ACCESS", self.play_access)];
        match closed.into_iter().find(|(_, access)| *access == Some(Access::Closed)) {
            Some((name, _)) if !self.has_method() => {
                Err(format!("{name}=closed needs TOKEN_SECRET, TOKEN_JWKS_URL or AUTH_URL"))
            }
            _ => Ok(self),
        }
    }

    /// Returns the settings of the gatekeeper.
    pub fn settings(&self) -> AccessSettings {
        let timeout = Duration::from_millis(self.auth_timeout_ms.into());
        AccessSettings {
            policy: Policy {
                publish: self.openness(self.publish_access),
                play: self.openness(self.play_access),
            },
            token_secrets: good(self.token_secret.as_ref()),
            token_keys: good(self.token_jwks_url.as_ref()),
            token_issuer: self.token_issuer.clone(),
            token_audience: self.token_audience.clone(),
            callback: good(self.auth_url.as_ref()).map(|url| (url, timeout)),
            events: good(self.events_url.as_ref()),
            admin_token: good(self.admin_token.as_ref()),
        }
    }

    /// The keys of the node `node`: with the secret that is set, or else one of its own until it learns the cluster's.
    /// `before` is the one that it had before an upgrade.
    pub fn node_keys(&self, node: &str, before: Option<&str>) -> Result<NodeKeys, RandomError> {
        let before = || Secrets::parse(before?).ok();
        match good(self.cluster_secret.as_ref()).or_else(before) {
            Some(secrets) => Ok(NodeKeys::new(node, secrets)),
            None => NodeKeys::random(node),
        }
    }

    /// Logs what anyone may do, unless that was asked for.
    pub fn warn_of_openness(&self) {
        let Policy { publish, play } = self.settings().policy;
        let is_by_default = |set: Option<Access>, openness| set.is_none() && openness == Openness::Open;
        let publish = is_by_default(self.publish_access, publish);
        let play = is_by_default(self.play_access, play);
        match (publish, play) {
            (true, true) => warn!("anyone may publish and watch: set TOKEN_SECRET to close both"),
            (true, false) => warn!("anyone may publish: set TOKEN_SECRET to close it"),
            (false, true) => warn!("anyone may watch: set TOKEN_SECRET to close it"),
            (false, false) => {}
        }
    }

    fn openness(&self, set: Option<Access>) -> Openness {
        match set {
            Some(Access::Open) => Openness::Open,
            Some(Access::Closed) => Openness::Closed,
            None if self.has_method() => Openness::Closed,
            None => Openness::Open,
        }
    }

    fn has_method(&self) -> bool {
        self.token_secret.is_some() || self.token_jwks_url.is_some() || self.auth_url.is_some()
    }
}

/// The text of a file, without the line break that editors leave at its end.
pub(crate) fn read(setting: &str, is_set: bool, file: Option<&PathBuf>) -> Result<Option<String>, String> {
    let Some(path) = file else { return Ok(None) };
    if is_set {
        return Err(format!("{setting} and {setting}_FILE are both set"));
    }
    let text =
        fs::read_to_string(path).map_err(|error| format!("{setting}_FILE={}: {error}", path.display()))?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Refuses a value that is wrong, by the name of its setting.
pub(crate) fn complain<T>(setting: &str, value: Option<&Checked<T>>) -> Result<(), String> {
    match value {
        Some(Err(error)) => Err(format!("{setting}: {error}")),
        _ => Ok(()),
    }
}

/// Returns a value, unless it is wrong.
pub(crate) fn good<T: Clone>(value: Option<&Checked<T>>) -> Option<T> {
    value?.as_ref().ok().cloned()
}

/// Never fails, as the error would be shown with the value; so do the following.
fn parse_secrets(text: &str) -> Result<Checked<Secrets>, Infallible> {
    Ok(Secrets::parse(text).map_err(|error| error.to_string()))
}

/// Checks a secret.
pub(crate) fn parse_secret(text: &str) -> Result<Checked<Secret>, Infallible> {
    Ok(Secret::new(text.as_bytes()).map_err(|error| error.to_string()))
}

fn parse_url(text: &str) -> Result<Checked<ServiceUrl>, Infallible> {
    Ok(ServiceUrl::parse(text).map_err(|error| error.to_string()))
}
