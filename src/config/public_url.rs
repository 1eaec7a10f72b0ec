//! Addresses at which clients reach the server from outside, where those are not the ones that it listens on.

use std::fmt;

use serde::Serialize;

/// The longest address, in bytes.
const URL_MAX_BYTES: usize = 512;

/// A scheme, a host, perhaps a port and a path, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Reads the address of RTMP.
    pub fn rtmp(text: &str) -> Result<Self, String> {
        Self::parse(text, &["rtmp", "rtmps"])
    }

    /// Reads an address of HTTP.
    pub fn http(text: &str) -> Result<Self, String> {
        Self::parse(text, &["http", "https"])
    }

    fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]%".contains(&byte);
        let shape = || format!("it is not {}://HOST[:PORT][/PATH]", schemes.join(":// or "));
        let (scheme, rest) = text.split_once("://").ok_or_else(shape)?;
        let host = rest.split('/').next().unwrap_or_default();
        match () {
            () if !schemes.contains(&scheme) || host.is_empty() || !text.bytes().all(allowed) => Err(shape()),
            () if text.len() > URL_MAX_BYTES => Err(format!("it has more than {URL_MAX_BYTES} characters")),
            () => Ok(Self(text.trim_end_matches('/').to_owned())),
        }
    }

    /// Returns scheme, host and port.
    pub fn origin(&self) -> &str {
        let host_at = self.0.find("://").map_or(0, |at| at + 3);
        let end =
            self.0.get(host_at..).and_then(|rest| rest.find('/')).map_or(self.0.len(), |at| host_at + at);
        self.0.get(..end).unwrap_or(&self.0)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_port_and_a_path() {
        for (text, url, origin) in [
            ("https://tv.example", "https://tv.example", "https://tv.example"),
            ("https://tv.example:8443/", "https://tv.example:8443", "https://tv.example:8443"),
            ("http://[::1]:80/live/hls/", "http://[::1]:80/live/hls", "http://[::1]:80"),
        ] {
            let parsed = PublicUrl::http(text).unwrap();
            assert_eq!((parsed.to_string().as_str(), parsed.origin()), (url, origin));
        }
        assert!(PublicUrl::rtmp("rtmps://tv.example").is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["tv.example", "rtmp://tv", "https://", "https:///x", "https://a b", "https://a?x", "https://a;b"]
        {
            assert!(PublicUrl::http(text).is_err(), "{text}");
        }
        assert!(PublicUrl::rtmp("http://tv.example").is_err());
        assert!(PublicUrl::http(&format!("http://{}", "a".repeat(600))).is_err());
    }
}
