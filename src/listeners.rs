//! The addresses that the server listens on, bound before anything else starts.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use socket2::{Domain, Socket, Type};

use crate::{
    config::{Config, HlsWhen},
    ports::Ports,
    run_error::RunError,
};

/// Connections that may wait to be accepted: a room's viewers come all at once.
const BACKLOG: i32 = 4096;

/// The sockets, listening.
#[derive(Debug)]
pub struct Listeners {
    /// For RTMP.
    pub rtmp: TcpListener,
    /// For HTTP-FLV and everything else over HTTP but HLS.
    pub httpflv: TcpListener,
    /// For HLS, unless it is off.
    pub hls: Option<TcpListener>,
    /// For WebRTC viewers, unless it is off.
    pub webrtc: Option<(UdpSocket, TcpListener)>,
    /// For metrics, unless they are off.
    pub metrics: Option<TcpListener>,
    /// For all of these over TLS, unless it is off.
    pub tls: Option<TcpListener>,
    /// For HLS alone over TLS, unless it or HLS is off.
    pub hls_tls: Option<TcpListener>,
}

impl Listeners {
    /// Binds the addresses of `config`.
    pub fn bind(config: &Config) -> Result<Self, RunError> {
        Ok(Self {
            rtmp: bind("RTMP_ADDR", config.addresses.rtmp_addr)?,
            httpflv: bind("HTTPFLV_ADDR", config.addresses.httpflv_addr)?,
            hls: match config.hls.hls {
                HlsWhen::Always | HlsWhen::OnDemand => Some(bind("HLS_ADDR", config.addresses.hls_addr)?),
                HlsWhen::Off => None,
            },
            webrtc: config.webrtc.bind()?,
            metrics: config.metrics.address().map(|addr| bind("METRICS_ADDR", addr)).transpose()?,
            tls: config.tls.address().map(|address| bind("TLS_ADDR", address)).transpose()?,
            hls_tls: match (config.hls.hls, config.tls.hls_address()) {
                (HlsWhen::Off, _) | (_, None) => None,
                (_, Some(address)) => Some(bind("HLS_TLS_ADDR", address)?),
            },
        })
    }

    /// The ports that were bound.
    pub fn ports(&self) -> Ports {
        Ports {
            rtmp: port(&self.rtmp),
            httpflv: port(&self.httpflv),
            hls: self.hls.as_ref().map(port),
            tls: self.tls.as_ref().map(port),
            hls_tls: self.hls_tls.as_ref().map(port),
            has_webrtc: self.webrtc.is_some(),
        }
    }

    /// The address to push to, as a person would type it.
    pub fn rtmp_address(&self) -> String {
        display(&self.rtmp)
    }

    /// The address to watch at, as a person would type it.
    pub fn httpflv_address(&self) -> String {
        display(&self.httpflv)
    }

    /// The address of the metrics port, unless it is off.
    pub fn metrics_address(&self) -> Option<String> {
        self.metrics.as_ref().map(display)
    }

    /// The address to watch at over HLS, unless it is off.
    pub fn hls_address(&self) -> Option<String> {
        self.hls.as_ref().map(display)
    }

    /// The address of the TLS port, unless it is off.
    pub fn tls_address(&self) -> Option<String> {
        self.tls.as_ref().map(display)
    }

    /// The address of the TLS port for HLS alone, unless it is off.
    pub fn hls_tls_address(&self) -> Option<String> {
        self.hls_tls.as_ref().map(display)
    }
}

fn bind(setting: &'static str, addr: SocketAddr) -> Result<TcpListener, RunError> {
    listen(addr).map_err(|source| RunError::Listen { setting, addr, source })
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A listening socket has an address; 0 would stand for one that was taken away.
fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().map_or(0, |addr| addr.port())
}

fn display(listener: &TcpListener) -> String {
    match listener.local_addr() {
        Ok(addr) if addr.ip().is_unspecified() => format!("localhost:{}", addr.port()),
        Ok(addr) => addr.to_string(),
        Err(_) => "?".to_owned(),
    }
}
