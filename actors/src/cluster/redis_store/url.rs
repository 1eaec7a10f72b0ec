//! The address of a Redis, which may hold a password.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use thiserror::Error;

/// A checked `redis://` or `rediss://` address. Shown, it is without user and password.
#[derive(Clone)]
pub struct RedisUrl {
    /// Large, and settings are moved around.
    info: Box<ConnectionInfo>,
    host: String,
    port: u16,
    is_tls: bool,
}

/// A text is no Redis address. The text is not shown, as it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("it is not of the form redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], or rediss:// for TLS")]
pub struct RedisUrlError;

impl RedisUrl {
    /// Checks `text`.
    pub fn parse(text: &str) -> Result<Self, RedisUrlError> {
        let has_scheme = text.starts_with("redis://") || text.starts_with("rediss://");
        // The client would read TLS without checks out of a fragment (#).
        if !has_scheme || text.contains('#') {
            return Err(RedisUrlError);
        }
        let info = text.into_connection_info().map_err(|_| RedisUrlError)?;
        let (host, port, is_tls) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => (host.clone(), *port, false),
            ConnectionAddr::TcpTls { host, port, .. } => (host.clone(), *port, true),
            _ => return Err(RedisUrlError),
        };
        if host.is_empty() {
            Err(RedisUrlError)
        } else {
            Ok(Self { info: Box::new(info), host, port, is_tls })
        }
    }

    /// The host's name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address for a client, password included.
    pub(super) fn connection_info(&self) -> ConnectionInfo {
        if self.is_tls {
            // Fails if there is one already, which will do.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        (*self.info).clone()
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "rediss" } else { "redis" };
        let (host, port, db) = (&self.host, self.port, self.info.redis_settings().db());
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}/{db}"),
            false => write!(f, "{scheme}://{host}:{port}/{db}"),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for RedisUrl {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for RedisUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_with_everything_but_its_user_and_password() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://:secret@h:7000/3", "redis://h:7000/3"),
            ("rediss://me:secret@h.example:7000", "rediss://h.example:7000/0"),
            ("redis://:secret@[::1]:7000/", "redis://[::1]:7000/0"),
        ] {
            let url = RedisUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn anything_else_is_refused_without_being_shown() {
        for text in [
            "",
            "localhost:6379",
            "http://h:1",
            "redis://",
            "unix:///tmp/redis",
            "redis://h:70000",
            "redis://:secret@h/x",
            "rediss://:secret@h/#insecure",
        ] {
            let error = RedisUrl::parse(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{text}");
        }
    }
}
