//! WebRTC: its settings.

use std::net::SocketAddr;

use clap::{Args, value_parser};
use synctv_actors::webrtc::{Hosts, WebRtcSettings};

/// WebRTC viewers.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "WebRTC")]
pub struct WebRtcArgs {
    /// UDP address for WebRTC viewers, or "off"
    #[arg(long, env, default_value = "0.0.0.0:8189", value_parser = parse_address)]
    pub rtc_addr: RtcAddr,

    /// Names and addresses at which WebRTC viewers reach this host, separated by commas
    /// [default: the addresses of its interfaces]
    #[arg(long, env)]
    pub rtc_hosts: Option<Hosts>,

    /// WebRTC viewers of this node; more are refused
    #[arg(long, env, default_value_t = 1000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub rtc_viewers_max: u32,

    /// WebRTC viewers that have an answer and have not connected yet; more are refused
    #[arg(long, env, default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub rtc_joining_max: u32,

    /// Packets of video that are kept for each WebRTC viewer, for retransmission
    #[arg(long, env, default_value_t = 256, value_parser = value_parser!(u16).range(16..=4096))]
    pub rtc_rtx_packets: u16,
}

/// The UDP address of WebRTC viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcAddr {
    /// There.
    At(SocketAddr),
    /// Nowhere: there is no WebRTC.
    Off,
}

impl WebRtcArgs {
    /// Returns the address of the UDP port, unless WebRTC is off.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.rtc_addr {
            RtcAddr::At(address) => Some(address),
            RtcAddr::Off => None,
        }
    }

    /// Returns the settings of the port.
    pub fn settings(&self) -> WebRtcSettings {
        WebRtcSettings {
            hosts: self.rtc_hosts.clone().unwrap_or(Hosts::Interfaces),
            viewers_max: self.rtc_viewers_max as usize,
            joining_max: self.rtc_joining_max as usize,
            rtx_packets: self.rtc_rtx_packets.into(),
        }
    }
}

fn parse_address(text: &str) -> Result<RtcAddr, String> {
    match text {
        "off" => Ok(RtcAddr::Off),
        _ => text.parse().map(RtcAddr::At).map_err(|_| "it is neither \"off\" nor ADDRESS:PORT".to_owned()),
    }
}
