//! The TLS port for HLS alone. It offers HTTP/2, which the port for everything cannot: browsers would ask for live FLV over
//! it as well, past the direct writes.

use std::rc::Rc;

use actix_service::{Service, ServiceFactory, fn_factory, fn_service};
use log::debug;
use synctv_actors::{
    tls::{Handshaker, TLS_FIRST_BYTE},
    wire::Wire,
};
use tokio::{net::TcpStream, time::timeout};

use super::opening;
use crate::{
    http::{
        self, Arrival, Connection, ConnectionGate, HttpSettings,
        hls::{HlsThreads, HlsWorker},
    },
    line_limit::LineLimit,
};

/// The service of the port, on all threads.
#[derive(Clone)]
pub(crate) struct HlsTlsPort {
    /// Makes the handshakes.
    pub handshaker: Handshaker,
    /// Answer.
    pub threads: HlsThreads,
    /// Limits of time, and the app.
    pub settings: HttpSettings,
    /// The limit of connections.
    pub gate: ConnectionGate,
    /// Logs handshakes that fail.
    pub failures: LineLimit,
}

/// The service of the port's connections, on each worker thread.
pub(crate) fn service(
    port: HlsTlsPort,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    fn_factory(move || worker(port.clone()))
}

async fn worker(port: HlsTlsPort) -> Result<impl Service<TcpStream, Response = (), Error = ()>, ()> {
    let port = Rc::new(port);
    Ok(fn_service(move |socket: TcpStream| {
        let port = port.clone();
        async move {
            port.serve(socket).await;
            Ok(())
        }
    }))
}

impl HlsTlsPort {
    async fn serve(&self, socket: TcpStream) {
        // There is no answer to a connection over the limit: it would need a handshake.
        let Some(Arrival::In(permit, mut wire, peer)) = self.gate.look_at(socket) else { return };
        let first = timeout(self.settings.head_timeout, wire.peek_byte()).await;
        let socket = match (first, wire) {
            (Ok(Ok(Some(TLS_FIRST_BYTE))), Wire::Plain(socket)) => socket,
            (Ok(Ok(Some(_))), wire) => {
                self.gate.note_refused_plain();
                return http::refuse_plain(wire, self.settings.head_timeout).await;
            }
            _ => return debug!(peer:% = peer; "no TLS handshake received"),
        };
        let Some(tls) = opening::shake_hands(&self.handshaker, &self.failures, socket, peer).await else {
            return;
        };
        let is_http_2 = tls.is_http_2();
        let connection = Connection { wire: tls.into(), peer, permit };
        let serve = move |hls: Rc<HlsWorker>, connection| async move {
            if is_http_2 { hls.serve_http_2(connection).await } else { hls.serve(connection).await }
        };
        self.threads.run(connection, serve).await;
    }
}
