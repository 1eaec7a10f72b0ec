//! WebRTC: its settings.

mod ice_servers;

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket},
};

use clap::{Args, value_parser};
use log::warn;
use synctv_actors::webrtc::{Hosts, WebRtcSettings};

pub use self::ice_servers::IceServers;
use crate::{
    access::{Checked, complain, good},
    run_error::RunError,
};

/// The address if none is set.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 8189));

/// WebRTC viewers.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "WebRTC")]
pub struct WebRtcArgs {
    /// UDP and TCP address for WebRTC viewers, or "off"
    /// [default: 0.0.0.0:8189 if that is free, else "off"]
    #[arg(long, env, value_parser = parse_address)]
    pub rtc_addr: Option<RtcAddr>,

    /// Names and addresses at which WebRTC viewers reach this host, separated by commas
    /// [default: the addresses of its interfaces]
    #[arg(long, env)]
    pub rtc_hosts: Option<Hosts>,

    /// WebRTC viewers of this node; more are refused
    #[arg(long, env, default_value_t = 1000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub rtc_viewers_max: u32,

    /// WebRTC viewers that have an answer and have not connected yet; more are refused, or replace those of addresses that have more
    #[arg(long, env, default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub rtc_joining_max: u32,

    /// Packets of video that are kept for each WebRTC viewer, for retransmission
    #[arg(long, env, default_value_t = 256, value_parser = value_parser!(u16).range(16..=4096))]
    pub rtc_rtx_packets: u16,

    /// STUN and TURN servers for WebRTC viewers, separated by commas: stun:HOST:PORT, turn:USER:PASSWORD@HOST:PORT
    /// [default: none]
    #[arg(long, env, hide_env_values = true, value_parser = parse_ice_servers)]
    pub rtc_ice_servers: Option<Checked<IceServers>>,

    /// Rate of AAC in stereo that becomes Opus for WebRTC viewers, in kbit/s; mono gets two thirds
    #[arg(long, env, default_value_t = 96, value_parser = value_parser!(u16).range(24..=256))]
    pub rtc_audio_kbps: u16,
}

/// The address for WebRTC viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcAddr {
    /// There.
    At(SocketAddr),
    /// Nowhere: there is no WebRTC.
    Off,
}

impl WebRtcArgs {
    /// Refuses bad servers here: an error of the parser would repeat the value, which may hold a password.
    pub fn checked(self) -> Result<Self, String> {
        complain("RTC_ICE_SERVERS", self.rtc_ice_servers.as_ref())?;
        Ok(self)
    }

    /// Returns the servers that answers to offers name.
    pub(crate) fn ice_servers(&self) -> IceServers {
        good(self.rtc_ice_servers.as_ref()).unwrap_or_default()
    }

    /// Returns the sockets of before an upgrade, unless WebRTC is off by now; without any, those of a new port.
    pub(crate) fn keep_or_bind(
        &self,
        taken: Option<(UdpSocket, TcpListener)>,
    ) -> Result<Option<(UdpSocket, TcpListener)>, RunError> {
        match taken {
            None => self.bind(),
            taken => Ok(taken.filter(|_| self.rtc_addr != Some(RtcAddr::Off))),
        }
    }

    /// Opens the port for UDP and TCP, unless WebRTC is off. Several nodes on one host are no reason not to start: the default
    /// address is for the first of them.
    pub(crate) fn bind(&self) -> Result<Option<(UdpSocket, TcpListener)>, RunError> {
        let address = match self.rtc_addr {
            Some(RtcAddr::Off) => return Ok(None),
            Some(RtcAddr::At(address)) => address,
            None => DEFAULT_ADDRESS,
        };
        match bind_both(address) {
            Ok(sockets) => Ok(Some(sockets)),
            Err(source) if self.rtc_addr.is_some() => {
                Err(RunError::Listen { setting: "RTC_ADDR", addr: address, source })
            }
            Err(reason) => {
                warn!(address:% = address, reason:% = reason;
                    "WebRTC is off: RTC_ADDR is not set, and its default address cannot be used");
                Ok(None)
            }
        }
    }

    /// Returns the settings of the port.
    pub fn settings(&self) -> WebRtcSettings {
        WebRtcSettings {
            hosts: self.rtc_hosts.clone().unwrap_or(Hosts::Interfaces),
            viewers_max: self.rtc_viewers_max as usize,
            joining_max: self.rtc_joining_max as usize,
            rtx_packets: self.rtc_rtx_packets.into(),
            audio_kbps: self.rtc_audio_kbps,
        }
    }
}

fn parse_ice_servers(text: &str) -> Result<Checked<IceServers>, Infallible> {
    Ok(text.parse())
}

/// Binds one port for both. If the system chooses it, it chooses one that UDP has free, which TCP may not have.
fn bind_both(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    const ATTEMPTS_MAX: usize = 10;
    let bind = || {
        let socket = UdpSocket::bind(address)?;
        let listener = TcpListener::bind(socket.local_addr()?)?;
        Ok((socket, listener))
    };
    let attempts = if address.port() == 0 { ATTEMPTS_MAX } else { 1 };
    (1..attempts).find_map(|_| bind().ok()).map_or_else(bind, Ok)
}

fn parse_address(text: &str) -> Result<RtcAddr, String> {
    match text {
        "off" => Ok(RtcAddr::Off),
        _ => text.parse().map(RtcAddr::At).map_err(|_| "it is neither \"off\" nor ADDRESS:PORT".to_owned()),
    }
}
