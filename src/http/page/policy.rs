//! The page's Content-Security-Policy: nothing but its own files, its own media, and no script of anybody else.

/// The sites that may have the page in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Frames {
    None,
    Any,
}

/// The policy of a page. Media over HLS come from another port of the host in the browser's address bar, which is not known
/// here: a proxy in front may pass another name, or none. So the policy names the port of any host. `blob:` is what
/// players feed a video element through.
pub(in crate::http) fn of(hls_port: Option<u16>, frames: Frames) -> String {
    let hls = hls_port.map_or_else(String::new, |port| format!(" *:{port}"));
    let ancestors = match frames {
        Frames::None => "'none'",
        Frames::Any => "*",
    };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{hls}; \
         media-src 'self' blob:{hls}; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(hls_port: Option<u16>) -> String {
        let policy = of(hls_port, Frames::None);
        policy.split("; ").find(|rule| rule.starts_with("connect-src")).unwrap().to_owned()
    }

    #[test]
    fn media_come_from_here_and_from_the_port_of_hls() {
        assert_eq!(connect(Some(81)), "connect-src 'self' *:81");
        assert_eq!(connect(None), "connect-src 'self'");
    }

    #[test]
    fn only_where_it_is_meant_to_is_the_page_framed() {
        assert!(of(None, Frames::None).ends_with("frame-ancestors 'none'"));
        assert!(of(None, Frames::Any).ends_with("frame-ancestors *"));
        assert!(!of(None, Frames::Any).contains("unsafe"));
    }
}
