//! The addresses that the server listens on, bound before anything else starts.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};
use synctv_actors::upgrade::lot::{DescriptorId, Parked, ParkingLot};
use synctv_media::upgrade::StateError;

use crate::{config::Config, ports::Ports, run_error::RunError};

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

/// The sockets over an upgrade in place.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListenersState {
    rtmp: DescriptorId,
    httpflv: DescriptorId,
    hls: Option<DescriptorId>,
    webrtc: Option<(DescriptorId, DescriptorId)>,
    metrics: Option<DescriptorId>,
    tls: Option<DescriptorId>,
    hls_tls: Option<DescriptorId>,
}

impl Listeners {
    /// Other handles to the same sockets. While they live, the ports stay open.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let clone =
            |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::try_clone).transpose();
        let webrtc = |(socket, listener): &(UdpSocket, TcpListener)| {
            io::Result::Ok((socket.try_clone()?, listener.try_clone()?))
        };
        Ok(Self {
            rtmp: self.rtmp.try_clone()?,
            httpflv: self.httpflv.try_clone()?,
            hls: clone(&self.hls)?,
            webrtc: self.webrtc.as_ref().map(webrtc).transpose()?,
            metrics: clone(&self.metrics)?,
            tls: clone(&self.tls)?,
            hls_tls: clone(&self.hls_tls)?,
        })
    }

    /// Parks other handles to the sockets.
    pub(crate) fn park(&self, lot: &ParkingLot) -> io::Result<ListenersState> {
        let Self { rtmp, httpflv, hls, webrtc, metrics, tls, hls_tls } = self.try_clone()?;
        let put = |listener: TcpListener| lot.put(listener.into());
        Ok(ListenersState {
            rtmp: put(rtmp),
            httpflv: put(httpflv),
            hls: hls.map(put),
            webrtc: webrtc.map(|(socket, listener)| (lot.put(socket.into()), put(listener))),
            metrics: metrics.map(put),
            tls: tls.map(put),
            hls_tls: hls_tls.map(put),
        })
    }

    fn restore(state: &ListenersState, parked: &Parked) -> Result<Self, StateError> {
        let take = |descriptor: DescriptorId| parked.take(descriptor).map(TcpListener::from);
        let webrtc = |(socket, listener)| {
            Ok::<_, StateError>((UdpSocket::from(parked.take(socket)?), take(listener)?))
        };
        Ok(Self {
            rtmp: take(state.rtmp)?,
            httpflv: take(state.httpflv)?,
            hls: state.hls.map(take).transpose()?,
            webrtc: state.webrtc.map(webrtc).transpose()?,
            metrics: state.metrics.map(take).transpose()?,
            tls: state.tls.map(take).transpose()?,
            hls_tls: state.hls_tls.map(take).transpose()?,
        })
    }

    /// Takes over the sockets of the program that ran in this process before. Connections that came meanwhile wait in them.
    /// A port that another version has turned on or off by default is bound or closed.
    pub(crate) fn take_over(
        config: &Config,
        state: &ListenersState,
        parked: &Parked,
    ) -> Result<Self, RunError> {
        let taken = Self::restore(state, parked).map_err(RunError::State)?;
        let keep = |taken: Option<TcpListener>, setting, wanted: Option<SocketAddr>| match (taken, wanted) {
            (taken, Some(wanted)) => taken.map_or_else(|| bind(setting, wanted), Ok).map(Some),
            (_, None) => Ok(None),
        };
        Ok(Self {
            hls: keep(taken.hls, "HLS_ADDR", config.hls_address())?,
            webrtc: config.webrtc.keep_or_bind(taken.webrtc)?,
            metrics: keep(taken.metrics, "METRICS_ADDR", config.metrics.address())?,
            tls: keep(taken.tls, "TLS_ADDR", config.tls.address())?,
            hls_tls: keep(taken.hls_tls, "HLS_TLS_ADDR", config.hls_tls_address())?,
            ..taken
        })
    }

    /// Binds the addresses of `config`.
    pub fn bind(config: &Config) -> Result<Self, RunError> {
        Ok(Self {
            rtmp: bind("RTMP_ADDR", config.addresses.rtmp_addr)?,
            httpflv: bind("HTTPFLV_ADDR", config.addresses.httpflv_addr)?,
            hls: config.hls_address().map(|addr| bind("HLS_ADDR", addr)).transpose()?,
            webrtc: config.webrtc.bind()?,
            metrics: config.metrics.address().map(|addr| bind("METRICS_ADDR", addr)).transpose()?,
            tls: config.tls.address().map(|address| bind("TLS_ADDR", address)).transpose()?,
            hls_tls: config.hls_tls_address().map(|addr| bind("HLS_TLS_ADDR", addr)).transpose()?,
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
