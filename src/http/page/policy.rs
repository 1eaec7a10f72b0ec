//! The page's Content-Security-Policy: nothing but its own files, its own media, and no foreign script.

use super::super::api::ServerInfo;
use crate::config::public_url::PublicUrl;

/// The sites that may have the page in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Frames {
    None,
    Any,
}

/// The origin of the page's HLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) enum HlsOrigin {
    /// The page's own address, or nowhere.
    Same,
    /// Another port of the host in the browser's address bar, which is not known here: a proxy in front may pass another
    /// name, or none.
    Port(u16),
    /// Another site.
    At(PublicUrl),
}

impl HlsOrigin {
    /// Returns the one that a page finds in the server's description.
    pub fn of(info: &ServerInfo) -> Self {
        match (&info.hls_url, info.hls_port) {
            (_, None) => Self::Same,
            (Some(url), Some(_)) => Self::At(url.clone()),
            (None, Some(port)) => Self::Port(port),
        }
    }
}

/// The policy of a page. Of HLS at another port, it names the port of any host. `blob:` is what players feed a video
/// element through.
pub(in crate::http) fn of(hls: &HlsOrigin, frames: Frames) -> String {
    let hls = match hls {
        HlsOrigin::Same => String::new(),
        HlsOrigin::Port(port) => format!(" *:{port}"),
        HlsOrigin::At(url) => format!(" {}", url.origin()),
    };
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

    fn connect(hls: &HlsOrigin) -> String {
        let policy = of(hls, Frames::None);
        policy.split("; ").find(|rule| rule.starts_with("connect-src")).unwrap().to_owned()
    }

    #[test]
    fn media_come_from_here_and_from_the_port_of_hls() {
        assert_eq!(connect(&HlsOrigin::Port(81)), "connect-src 'self' *:81");
        assert_eq!(connect(&HlsOrigin::Same), "connect-src 'self'");
        let url = PublicUrl::http("https://hls.example/a").unwrap();
        assert_eq!(connect(&HlsOrigin::At(url)), "connect-src 'self' https://hls.example");
    }

    #[test]
    fn only_where_it_is_meant_to_is_the_page_framed() {
        assert!(of(&HlsOrigin::Same, Frames::None).ends_with("frame-ancestors 'none'"));
        assert!(of(&HlsOrigin::Same, Frames::Any).ends_with("frame-ancestors *"));
        assert!(!of(&HlsOrigin::Same, Frames::Any).contains("unsafe"));
    }
}
