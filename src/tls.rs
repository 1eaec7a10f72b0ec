//! TLS: its settings, its certificate, and the port on which RTMPS and HTTPS share one address.

mod args;
mod certificate;
mod hls_port;
mod meters;
mod opening;
mod plain_port;
mod port;
mod reload;
mod server_config;
mod validity;

use std::{io, sync::Arc, time::Duration};

use synctv_actors::{rtmp::RtmpSettings, tls::Handshaker};
use synctv_media::rtmp::session::SessionConfig;
use thiserror::Error;

pub use self::{
    args::{TlsAddr, TlsArgs, TlsMin},
    certificate::{CertificateError, CertificateFiles},
    meters::TlsMeters,
};
use self::{
    certificate::CurrentCertificate,
    reload::Reload,
    server_config::{HTTP_1_1, HTTP_2, server_config},
};
pub(crate) use self::{
    hls_port::{HlsTlsPort, service as hls_service},
    plain_port::{TlsElsewhere, TlsOnPlainPort},
    port::{TlsPort, service},
};

/// Worker threads for which one more makes handshakes. An ECDSA handshake takes 0.1 ms of it, one with RSA 0.4.
const WORKERS_PER_HANDSHAKER: usize = 4;

/// The description of a refused connect.
const USE_RTMPS: &str = "This port speaks TLS: use rtmps://";

/// The reason the TLS port cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// TLS_CERT or TLS_KEY is not set.
    #[error("TLS needs TLS_CERT and TLS_KEY")]
    NoFiles,
    /// The files became useless since the settings were checked.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Signals cannot be heard.
    #[error("SIGHUP cannot be handled: {0}")]
    Signal(#[from] io::Error),
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

/// The handshakes of the ports, which share threads and a certificate.
pub(crate) struct Handshakers {
    /// Of the port for everything.
    pub everything: Handshaker,
    /// Of the port for HLS alone, which offers HTTP/2.
    pub hls: Handshaker,
}

/// Starts the threads that make handshakes, beside so many worker threads, and what keeps their certificate up to date.
pub(crate) fn handshakers(
    args: &TlsArgs,
    workers: usize,
    timeout: Duration,
    meters: &TlsMeters,
) -> Result<Handshakers, TlsError> {
    let files = args.files().ok_or(TlsError::NoFiles)?;
    let certificate = files.load()?;
    certificate.warn_of_validity();
    let current = Arc::new(CurrentCertificate::new(&certificate));
    actix_rt::spawn(Reload::new(files, &certificate, current.clone(), meters.clone())?.run());
    // Not HTTP/2 for everything: browsers would ask for live FLV over it as well.
    let everything = Arc::new(server_config(current.clone(), args.tls_min, &[HTTP_1_1])?);
    let hls = Arc::new(server_config(current, args.tls_min, &[HTTP_2, HTTP_1_1])?);
    let (threads, counts) = (workers / WORKERS_PER_HANDSHAKER, meters.handshakes.clone());
    let everything = Handshaker::start(threads, everything, timeout, counts);
    Ok(Handshakers { hls: everything.offering(hls), everything })
}

/// The settings of RTMP connections without TLS, which are refused before they send a stream key.
pub(crate) fn refusing(rtmp: &RtmpSettings) -> RtmpSettings {
    let refuses_connect = Some(USE_RTMPS.to_owned());
    let session = SessionConfig { refuses_connect, ..(*rtmp.session).clone() };
    RtmpSettings { session: Arc::new(session), ..rtmp.clone() }
}
