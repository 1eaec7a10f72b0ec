//! Addresses of services that the server asks.

use std::fmt;

use awc::http::Uri;
use thiserror::Error;

/// An address with `http://` or `https://`. Its path and query may hold secrets, so `Debug` shows the host only.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceUrl {
    text: String,
    host: String,
    is_tls: bool,
}

/// An error of a text that is no such address. It does not show the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is not an address such as https://HOST/PATH, without a user")]
pub struct ServiceUrlError;

impl ServiceUrl {
    /// Checks an address.
    pub fn parse(text: &str) -> Result<Self, ServiceUrlError> {
        let uri: Uri = text.parse().map_err(|_| ServiceUrlError)?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(ServiceUrlError),
        };
        match uri.authority() {
            // A user would not be sent.
            Some(authority) if !authority.as_str().contains('@') && !authority.host().is_empty() => {
                Ok(Self { text: text.to_owned(), host: authority.to_string(), is_tls })
            }
            _ => Err(ServiceUrlError),
        }
    }

    /// The whole address.
    pub(super) fn expose(&self) -> &str {
        &self.text
    }

    pub(super) fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_tls { "https" } else { "http" }, self.host)
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_is_shown() {
        let url = ServiceUrl::parse("https://id.example:8443/secret?key=secret").unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://id.example:8443 https://id.example:8443");
        assert!(url.is_tls() && url.expose().ends_with("key=secret"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "id.example", "ftp://h/", "http://", "https://me:secret@h/", "/path", "http://a b/"]
        {
            assert_eq!(ServiceUrl::parse(text), Err(ServiceUrlError), "{text}");
        }
    }
}
