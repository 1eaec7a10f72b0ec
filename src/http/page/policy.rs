//! The page's Content-Security-Policy: nothing but its own files, its own media, and no script of anybody else.

/// Longer than any name of a host.
const HOST_MAX_BYTES: usize = 253;

/// Who may have the page in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Frames {
    None,
    Any,
}

/// The policy of a page that was asked for at `host`, the request's Host header. Media over HLS come from another port
/// of the same host. `blob:` is what players feed a video element through.
pub(in crate::http) fn of(host: Option<&str>, hls_port: Option<u16>, frames: Frames) -> String {
    let hls = hls_port.map_or_else(String::new, |port| format!(" {}:{port}", host_source(host)));
    let ancestors = match frames {
        Frames::None => "'none'",
        Frames::Any => "*",
    };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{hls}; \
         media-src 'self' blob:{hls}; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
    )
}

/// The host as a policy can name it. It comes from the peer, so only what a name or an IPv4 address can have gets
/// through; a policy cannot name an IPv6 address at all.
fn host_source(host: Option<&str>) -> &str {
    let name = host.unwrap_or_default();
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if !name.is_empty() && name.len() <= HOST_MAX_BYTES && name.bytes().all(is_allowed) { name } else { "*" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(host: Option<&str>, hls_port: Option<u16>) -> String {
        let policy = of(host, hls_port, Frames::None);
        policy.split("; ").find(|rule| rule.starts_with("connect-src")).unwrap().to_owned()
    }

    #[test]
    fn media_come_from_this_host_at_the_port_of_hls() {
        assert_eq!(connect(Some("tv.example:8080"), Some(81)), "connect-src 'self' tv.example:81");
        assert_eq!(connect(Some("10.0.0.1"), Some(81)), "connect-src 'self' 10.0.0.1:81");
        assert_eq!(connect(Some("tv.example"), None), "connect-src 'self'");
    }

    #[test]
    fn what_is_no_name_does_not_get_into_the_policy() {
        for host in ["[::1]:8080", "a; script-src *", "a b", "'self'", "ä", "", &"a".repeat(254)] {
            assert_eq!(connect(Some(host), Some(81)), "connect-src 'self' *:81", "{host}");
        }
        assert_eq!(connect(None, Some(81)), "connect-src 'self' *:81");
    }

    #[test]
    fn only_where_it_is_meant_to_is_the_page_framed() {
        assert!(of(None, None, Frames::None).ends_with("frame-ancestors 'none'"));
        assert!(of(None, None, Frames::Any).ends_with("frame-ancestors *"));
        assert!(!of(None, None, Frames::Any).contains("unsafe"));
    }
}
