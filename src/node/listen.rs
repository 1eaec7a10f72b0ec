//! The node's ports: each with its listener, its limit of connections, and the actors behind it.

use std::{io, net::TcpListener, sync::Arc};

use actix_server::ServerBuilder;
use synctv_actors::{rtmp::RtmpServices, tls::Handshaker};

use super::Node;
use crate::{
    config::Config,
    http::{self, ConnectionGate, HttpSources, hls::HlsThreads},
    line_limit::LineLimit,
    refusal_log::RefusalLog,
    rtmp::{self, RtmpPort},
    run_error::RunError,
    tls::{self, Handshakers, HlsTlsPort, TlsElsewhere, TlsOnPlainPort, TlsPort},
};

impl Node {
    pub(super) fn listen_rtmp(
        &self,
        server: ServerBuilder,
        services: RtmpServices,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let (services, permits) = (Arc::new(services), self.ports.rtmp.clone());
        let worker_lag = self.worker_lag.clone();
        // Called on each thread that serves.
        server.listen("rtmp", listener, move || {
            worker_lag.watch_thread();
            rtmp::service(services.clone(), permits.clone())
        })
    }

    pub(super) fn listen_httpflv(
        &self,
        server: ServerBuilder,
        sources: HttpSources,
        tls: TlsElsewhere,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let (permits, tls) = (self.ports.httpflv.clone(), TlsOnPlainPort::new("httpflv", tls));
        server
            .listen("httpflv", listener, move || http::service(sources.clone(), permits.clone(), tls.clone()))
    }

    pub(super) fn listen_hls(
        &self,
        server: ServerBuilder,
        threads: HlsThreads,
        tls: TlsElsewhere,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let (permits, tls) = (self.ports.hls.clone(), TlsOnPlainPort::new("hls", tls));
        server.listen("hls", listener, move || {
            http::hls::service(threads.clone(), permits.clone(), tls.clone())
        })
    }

    /// The ports over TLS: one for what all others have, and one for HLS alone.
    pub(super) fn listen_tls(
        &self,
        server: ServerBuilder,
        config: &Config,
        rtmp: &RtmpServices,
        http: &HttpSources,
        hls_threads: Option<&HlsThreads>,
        listeners: (Option<TcpListener>, Option<TcpListener>),
    ) -> Result<ServerBuilder, RunError> {
        if let (None, None) = listeners {
            return Ok(server);
        }
        let (workers, begin_timeout) = (config.limits.workers, rtmp.settings.handshake_timeout);
        let handshakers = tls::handshakers(&config.tls, workers, begin_timeout, &self.tls)?;
        let Handshakers { everything, hls } = handshakers;
        let server = match listeners.0 {
            Some(listener) => {
                let http =
                    HttpSources { hls: hls_threads.cloned(), info: http.info.over_tls(), ..http.clone() };
                self.listen_everything_tls(server, rtmp, http, everything, listener)
            }
            None => Ok(server),
        };
        let server = server.map_err(RunError::Server)?;
        let listening = match hls_threads.cloned().zip(listeners.1) {
            Some((threads, listener)) => self.listen_hls_tls(server, config, threads, hls, listener),
            None => Ok(server),
        };
        listening.map_err(RunError::Server)
    }

    fn listen_hls_tls(
        &self,
        server: ServerBuilder,
        config: &Config,
        threads: HlsThreads,
        handshaker: Handshaker,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let (settings, failures) = (config.http_settings(), LineLimit::default());
        let gate = ConnectionGate::new("hls_tls", self.ports.hls_tls.clone());
        let port = HlsTlsPort { handshaker, threads, settings, gate, failures };
        server.listen("hls_tls", listener, move || tls::hls_service(port.clone()))
    }

    fn listen_everything_tls(
        &self,
        server: ServerBuilder,
        rtmp: &RtmpServices,
        http: HttpSources,
        handshaker: Handshaker,
        listener: TcpListener,
    ) -> io::Result<ServerBuilder> {
        let begin_timeout = rtmp.settings.handshake_timeout;
        let of_plain = Arc::new(tls::refusing(&rtmp.settings));
        let of_plain = Arc::new(RtmpServices { settings: of_plain, ..rtmp.clone() });
        let (rtmp, permits) = (Arc::new(rtmp.clone()), self.ports.tls.clone());
        let (refusals, failures) = (RefusalLog::default(), LineLimit::default());
        server.listen("tls", listener, move || {
            let rtmp_port = |services: &Arc<RtmpServices>| RtmpPort::new(services.clone(), permits.clone());
            tls::service(TlsPort {
                handshaker: handshaker.clone(),
                rtmp: rtmp_port(&rtmp),
                plain_rtmp: rtmp_port(&of_plain),
                http: http.clone(),
                begin_timeout,
                refusals: refusals.clone(),
                failures: failures.clone(),
            })
        })
    }
}
