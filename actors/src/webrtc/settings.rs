//! Settings of WebRTC, and the addresses that answers offer.

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use log::{info, warn};
use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};
use synctv_media::webrtc::peer::PeerSettings;

/// The most addresses that an answer offers. Each costs the viewer a check.
const ADDRESSES_MAX: usize = 16;

/// Settings that all WebRTC viewers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRtcSettings {
    /// The addresses that answers offer.
    pub hosts: Hosts,
    /// The most viewers.
    pub viewers_max: usize,
    /// The most viewers that have not connected yet.
    pub joining_max: usize,
    /// Packets of video that are kept for each viewer, for retransmission.
    pub rtx_packets: usize,
    /// The rate of stereo that is transcoded, in kbit/s.
    pub audio_kbps: u16,
}

/// The addresses at which viewers reach this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// At the addresses of its interfaces, except for those of the loopback.
    Interfaces,
    /// At these names and addresses.
    Named(Vec<String>),
}

impl FromStr for Hosts {
    type Err = String;

    /// Reads names and addresses, separated by commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let hosts: Vec<String> = text.split(',').map(|host| host.trim().to_owned()).collect();
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        match hosts.iter().find(|host| host.parse::<IpAddr>().is_err() && !host.chars().all(is_allowed)) {
            Some(bad) => Err(format!("{bad:?} is neither an address nor the name of a host")),
            None if hosts.iter().any(String::is_empty) => Err("there is an empty name".to_owned()),
            None if hosts.len() > ADDRESSES_MAX => Err(format!("there are more than {ADDRESSES_MAX}")),
            None => Ok(Self::Named(hosts)),
        }
    }
}

impl Hosts {
    /// Returns the addresses that a socket at `bound` can be reached at. Names are resolved, which may take a while.
    pub(super) fn addresses(&self, bound: SocketAddr) -> Vec<SocketAddr> {
        let mut addresses: Vec<SocketAddr> = match self {
            Self::Named(names) => names.iter().flat_map(|name| resolve(name, bound.port())).collect(),
            Self::Interfaces if !bound.ip().is_unspecified() => vec![bound],
            Self::Interfaces => {
                interfaces().into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect()
            }
        };
        addresses.retain(|address| bound.is_ipv6() || address.is_ipv4());
        addresses.sort();
        addresses.dedup();
        addresses.truncate(ADDRESSES_MAX);
        addresses
    }
}

fn resolve(name: &str, port: u16) -> Vec<SocketAddr> {
    match (name, port).to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(error) => {
            log::warn!(host = name, reason:% = error; "a host of RTC_HOSTS could not be resolved");
            Vec::new()
        }
    }
}

fn interfaces() -> Vec<IpAddr> {
    let found = match getifaddrs() {
        Ok(found) => found,
        Err(error) => {
            log::warn!(reason:% = error; "the interfaces' addresses could not be read: set RTC_HOSTS");
            return Vec::new();
        }
    };
    let usable = found.filter(|interface| {
        interface.flags.contains(InterfaceFlags::IFF_UP)
            && !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK)
    });
    let addresses = usable.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    });
    addresses.filter(|address| !is_link_local(*address)).collect()
}

/// An address of one link is of no use without its interface's number, which only this host knows.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Logs the addresses that are offered, and warns of those that keep viewers from connecting.
pub(super) fn log_addresses(peers: &PeerSettings) {
    info!(addresses:? = peers.udp; "WebRTC addresses");
    if peers.udp.is_empty() {
        warn!("no viewer can connect over WebRTC: this host has no address, set RTC_HOSTS");
    } else if peers.udp.iter().all(|address| is_private(address.ip())) {
        warn!(addresses:? = peers.udp; "WebRTC offers private addresses only: set RTC_HOSTS to those that viewers reach");
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn hosts_are_names_and_addresses() {
        let hosts: Hosts = "203.0.113.7, ::1,tv.example".parse().unwrap();
        assert_eq!(hosts, Hosts::Named(["203.0.113.7", "::1", "tv.example"].map(str::to_owned).to_vec()));
        for bad in ["", "a,,b", "http://a", "a:1", "[::1]"] {
            assert!(bad.parse::<Hosts>().is_err(), "{bad}");
        }
    }

    #[test]
    fn named_hosts_are_offered_with_the_ports_number_in_the_sockets_family() {
        let hosts: Hosts = "203.0.113.7,2001:db8::1,203.0.113.7".parse().unwrap();
        assert_eq!(hosts.addresses(at("0.0.0.0:8189")), [at("203.0.113.7:8189")]);
        let both = [at("203.0.113.7:8189"), at("[2001:db8::1]:8189")];
        assert_eq!(hosts.addresses(at("[::]:8189")), both);
    }

    #[test]
    fn an_address_that_was_bound_is_the_only_one() {
        assert_eq!(Hosts::Interfaces.addresses(at("127.0.0.1:5")), [at("127.0.0.1:5")]);
        let found = Hosts::Interfaces.addresses(at("0.0.0.0:5"));
        assert!(found.iter().all(|address| !address.ip().is_loopback() && address.is_ipv4()));
    }
}
