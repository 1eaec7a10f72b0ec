//! Proxies in front of the HTTP ports, and their word for whom they forward.
//!
//! Anyone can send `X-Forwarded-For`. It counts from the addresses of TRUST_PROXY only, and of its list only the part that
//! such addresses have added.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use actix_web::HttpRequest;
use synctv_media::digits;

use crate::config::public_url::PublicUrl;

/// The header with the addresses of the clients that proxies had, the last proxy's at its end.
pub(super) const FORWARDED_FOR: &str = "x-forwarded-for";

const FORWARDED_PROTO: &str = "x-forwarded-proto";
const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED_PREFIX: &str = "x-forwarded-prefix";

/// The proxies that are believed. Clones share the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[Network]>);

/// Addresses with the same beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    /// In the form of IPv6, those of IPv4 mapped (RFC 4291, section 2.5.5.2).
    address: u128,
    /// The bits that an address has to share.
    mask: u128,
}

impl TrustedProxies {
    /// Reads "off", or addresses and networks (RFC 4632, section 3.1) with commas between them.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::default());
        }
        let networks = text.split(',').map(|network| {
            let network = network.trim();
            Network::parse(network).ok_or_else(|| {
                format!(
                    "{network:?} is neither an address nor a network such as 10.0.0.0/8, nor is it \"off\""
                )
            })
        });
        networks.collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether any proxy is believed.
    pub fn is_on(&self) -> bool {
        !self.0.is_empty()
    }

    /// Returns the client's address: the last one in `forwarded_for` that is no trusted proxy, if the connection comes
    /// from such a proxy. The client may have made up the addresses in front of it. The port is 0 where the proxy names
    /// none.
    pub fn client<'h>(
        &self,
        peer: SocketAddr,
        forwarded_for: impl IntoIterator<Item = &'h str>,
    ) -> SocketAddr {
        if !self.trusts(peer.ip()) {
            return peer;
        }
        let forwarded = forwarded_for.into_iter().flat_map(|value| value.split(','));
        let client = forwarded.map(address).fold(None, |client, next| match next {
            // Behind what cannot be read, nothing in front of it counts.
            None => None,
            Some(next) if self.trusts(next.ip()) => client.or(Some(next)),
            Some(next) => Some(next),
        });
        client.unwrap_or(peer)
    }

    /// Returns the address by which the client reaches this port, if a trusted proxy gives it.
    fn public_url(&self, request: &HttpRequest) -> Option<PublicUrl> {
        let is_trusted = request.peer_addr().is_some_and(|peer| self.trusts(peer.ip()));
        let [scheme, host, prefix] =
            [FORWARDED_PROTO, FORWARDED_HOST, FORWARDED_PREFIX].map(|name| last(request, name));
        if !is_trusted || scheme.or(host).is_none() {
            return None;
        }
        let host = host.or_else(|| last(request, "host"))?;
        let prefix = prefix.filter(|prefix| prefix.starts_with('/')).unwrap_or_default();
        let url = PublicUrl::http(&format!("{}://{host}{prefix}", scheme.unwrap_or("http")));
        url.ok().filter(|_| !host.contains('/'))
    }

    /// Returns `true` if what comes from an address is forwarded by a proxy that is believed.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(ip))
    }
}

/// The address of the client, seen through trusted proxies.
pub(super) fn client(request: &HttpRequest, peer: SocketAddr) -> SocketAddr {
    match request.app_data::<TrustedProxies>() {
        Some(proxies) => proxies.client(peer, values(request, FORWARDED_FOR)),
        None => peer,
    }
}

/// The address by which the client reaches this port, if a trusted proxy gives it.
pub(super) fn public_url(request: &HttpRequest) -> Option<PublicUrl> {
    request.app_data::<TrustedProxies>()?.public_url(request)
}

fn values<'r>(request: &'r HttpRequest, name: &'static str) -> impl Iterator<Item = &'r str> {
    request.headers().get_all(name).map(|value| value.to_str().unwrap_or_default())
}

/// The last value of a header: that of the nearest proxy, if others have set one too.
fn last<'r>(request: &'r HttpRequest, name: &'static str) -> Option<&'r str> {
    values(request, name)
        .flat_map(|value| value.split(','))
        .last()
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// An address with or without a port.
fn address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let without_port = || text.parse().ok().or_else(in_brackets).map(|ip: IpAddr| SocketAddr::new(ip, 0));
    let found: SocketAddr = text.parse().ok().or_else(without_port)?;
    Some(SocketAddr::new(found.ip().to_canonical(), found.port()))
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits_max: u8 = if address.is_ipv4() { 32 } else { 128 };
        let bits = match prefix {
            Some(prefix) => digits::parse(prefix).filter(|bits| *bits <= bits_max)?,
            None => bits_max,
        };
        let mask = u128::MAX.checked_shl(u32::from(bits_max - bits)).unwrap_or(0);
        // Of an address of IPv4, all bits in front of it count.
        let mask = if address.is_ipv4() { mask | !u128::from(u32::MAX) } else { mask };
        Some(Self { address: mapped(address) & mask, mask })
    }

    fn has(self, ip: IpAddr) -> bool {
        mapped(ip) & self.mask == self.address
    }
}

fn mapped(ip: IpAddr) -> u128 {
    let ip: Ipv6Addr = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    ip.to_bits()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn proxies(text: &str) -> TrustedProxies {
        TrustedProxies::parse(text).unwrap()
    }

    fn peer(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 4711)
    }

    #[test]
    fn networks_are_of_either_version_and_of_any_size() {
        let trusted = proxies("10.1.0.0/16, 192.0.2.7,2001:db8::/32,::1");
        for ip in ["10.1.2.3", "::ffff:10.1.0.1", "192.0.2.7", "2001:db8:ffff::1", "::1"] {
            assert!(trusted.trusts(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["10.2.0.1", "192.0.2.8", "2001:db9::1", "::2", "::10.1.2.3", "::ffff:10.2.0.1"] {
            assert!(!trusted.trusts(ip.parse().unwrap()), "{ip}");
        }
        assert!(proxies("0.0.0.0/0").trusts("203.0.113.9".parse().unwrap()));
        assert!(!proxies("0.0.0.0/0").trusts("2001:db8::1".parse().unwrap()));
        assert!(proxies("::/0").trusts("2001:db8::1".parse().unwrap()));
        assert!(!proxies("off").is_on() && !proxies("off").trusts("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_named() {
        for text in [
            "",
            "on",
            "10.0.0.0/33",
            "::1/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "proxy.example",
            "10.0.0.1,",
        ] {
            let error = TrustedProxies::parse(text).unwrap_err();
            assert!(error.contains("is neither an address nor a network"), "{text}: {error}");
        }
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_trusted_proxy() {
        let trusted = proxies("10.0.0.0/8");
        for (from, forwarded, client) in [
            ("10.0.0.1", &["203.0.113.9"][..], "203.0.113.9:0"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9:0"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.9,10.0.0.2"], "203.0.113.9:0"),
            ("10.0.0.1", &["203.0.113.9:81"], "203.0.113.9:81"),
            ("10.0.0.1", &["[2001:db8::1]:81"], "[2001:db8::1]:81"),
            ("10.0.0.1", &["[2001:db8::1]"], "[2001:db8::1]:0"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9:0"),
            ("::ffff:10.0.0.1", &["2001:db8::1"], "[2001:db8::1]:0"),
            // Trusted proxies alone, such as a probe of the balancer's.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3:0"),
            // An address that cannot be read, and everything in front of it.
            ("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2:0"),
            ("10.0.0.1", &["1.1.1.1, "], "10.0.0.1:4711"),
            ("10.0.0.1", &[], "10.0.0.1:4711"),
            // Not from a proxy.
            ("203.0.113.1", &["1.1.1.1"], "203.0.113.1:4711"),
        ] {
            let found = trusted.client(peer(from), forwarded.iter().copied());
            assert_eq!(found.to_string(), client, "{forwarded:?}");
        }
        assert_eq!(proxies("off").client(peer("10.0.0.1"), ["1.1.1.1"]), peer("10.0.0.1"));
    }

    fn url(from: &str, headers: &[(&'static str, &str)]) -> Option<String> {
        let mut request = TestRequest::default().peer_addr(peer(from)).app_data(proxies("10.0.0.0/8"));
        for header in headers {
            request = request.append_header(*header);
        }
        public_url(&request.to_http_request()).map(|url| url.to_string())
    }

    #[test]
    fn the_address_is_what_a_trusted_proxy_says() {
        let https = ("X-Forwarded-Proto", "https");
        for (headers, expected) in [
            (&[https, ("X-Forwarded-Host", "tv.example")][..], "https://tv.example"),
            (&[https, ("Host", "tv.example:8443")], "https://tv.example:8443"),
            (&[("X-Forwarded-Host", "tv.example")], "http://tv.example"),
            (&[https, ("Host", "a"), ("X-Forwarded-Prefix", "/tv/")], "https://a/tv"),
            (&[("X-Forwarded-Proto", "http, https"), ("Host", "[::1]:80")], "https://[::1]:80"),
            (&[("X-Forwarded-Proto", "http"), https, ("Host", "a")], "https://a"),
        ] {
            assert_eq!(url("10.0.0.1", headers).as_deref(), Some(expected), "{headers:?}");
            assert_eq!(url("203.0.113.9", headers), None);
        }
    }

    #[test]
    fn what_is_no_address_is_left_out() {
        let https = ("X-Forwarded-Proto", "https");
        for headers in [
            &[("Host", "a")][..],
            &[https],
            &[("X-Forwarded-Proto", "gopher"), ("Host", "a")],
            &[https, ("X-Forwarded-Host", "a;script-src *")],
            &[https, ("X-Forwarded-Host", "a/b")],
            &[https, ("Host", "a"), ("X-Forwarded-Prefix", "/\"")],
        ] {
            assert_eq!(url("10.0.0.1", headers), None, "{headers:?}");
        }
    }
}
