//! STUN and TURN servers that answers to offers name.

use std::str::FromStr;

use actix_web::http::header::HeaderValue;

/// The most servers. Browsers warn about five or more, because each slows their start.
const SERVERS_MAX: usize = 8;

/// Servers by which players find a way to this host, each as a `Link` header (draft-ietf-wish-whep, section 4.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IceServers(Vec<HeaderValue>);

impl IceServers {
    /// Returns the values of the `Link` headers.
    pub(crate) fn links(&self) -> &[HeaderValue] {
        &self.0
    }
}

impl FromStr for IceServers {
    type Err = String;

    /// Reads servers, separated by commas: `stun:HOST:PORT`, `turn:USER:PASSWORD@HOST:PORT?transport=udp`.
    fn from_str(text: &str) -> Result<Self, String> {
        let links: Result<Vec<_>, _> = text.split(',').map(|server| link(server.trim())).collect();
        let links = links?;
        if links.len() > SERVERS_MAX {
            return Err(format!("there are more than {SERVERS_MAX}"));
        }
        Ok(Self(links))
    }
}

/// The `Link` of one server. The text in a quoted string of the header needs no escapes: it has no quotes.
fn link(server: &str) -> Result<HeaderValue, String> {
    // The text may hold a password, and is not repeated.
    let bad = || {
        "a server is none of stun:HOST, stuns:HOST, turn:USER:PASSWORD@HOST, turns:USER:PASSWORD@HOST"
            .to_owned()
    };
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b';');
    let (scheme, rest) = server.split_once(':').filter(|_| server.bytes().all(is_allowed)).ok_or_else(bad)?;
    let credentials = rest.rsplit_once('@');
    let text = match (scheme, credentials) {
        ("stun" | "stuns", None) if !rest.is_empty() => format!("<{scheme}:{rest}>; rel=\"ice-server\""),
        ("turn" | "turns", Some((credentials, host))) if !host.is_empty() => {
            let (user, password) = credentials.split_once(':').ok_or_else(bad)?;
            format!(
                "<{scheme}:{host}>; rel=\"ice-server\"; username=\"{user}\"; credential=\"{password}\"; credential-type=\"password\""
            )
        }
        _ => return Err(bad()),
    };
    HeaderValue::try_from(text).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_become_links() {
        let servers: IceServers =
            "stun:stun.example:3478, turns:me:p:w@t.example:443?transport=tcp".parse().unwrap();
        assert_eq!(
            servers.links(),
            [
                "<stun:stun.example:3478>; rel=\"ice-server\"",
                "<turns:t.example:443?transport=tcp>; rel=\"ice-server\"; username=\"me\"; credential=\"p:w\"; credential-type=\"password\"",
            ]
        );
    }

    #[test]
    fn other_text_is_refused_without_a_password_in_the_reason() {
        for bad in [
            "",
            "stun:",
            "http://a",
            "turn:t.example",
            "turn:user@t.example",
            "stun:a@b",
            "turn:u:secret\"@t",
        ] {
            let reason = bad.parse::<IceServers>().unwrap_err();
            assert!(!reason.contains("secret"), "{reason}");
        }
        assert!(["stun:a"; SERVERS_MAX + 1].join(",").parse::<IceServers>().is_err());
    }
}
