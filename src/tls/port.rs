//! The TLS port. The first byte distinguishes TLS from mistakes, the first decrypted byte RTMP from HTTP, and the path
//! the rest: everything that the plain ports have is at one address.

use std::{io, net::SocketAddr, rc::Rc, time::Duration};

use actix_service::{Service, ServiceFactory, fn_factory, fn_service};
use log::debug;
use synctv_actors::{
    connection_limit::ConnectionPermit,
    rtmp::Admission,
    tls::{Handshaker, TLS_FIRST_BYTE},
    wire::Wire,
};
use tokio::{net::TcpStream, time::timeout};

use super::opening;
use crate::{
    http::{self, Connection, Framework, HttpSources, HttpWorker},
    line_limit::LineLimit,
    refusal_log::RefusalLog,
    rtmp::RtmpPort,
};

/// The version of RTMP, which a connection begins with.
const RTMP_FIRST_BYTE: u8 = 3;

/// The service of the port, on all threads.
#[derive(Clone)]
pub(crate) struct TlsPort {
    /// Makes the handshakes.
    pub handshaker: Handshaker,
    /// Serves RTMPS.
    pub rtmp: RtmpPort,
    /// Refuses RTMP without TLS.
    pub plain_rtmp: RtmpPort,
    /// Serves HTTPS.
    pub http: HttpSources,
    /// Time limit for a connection's first byte.
    pub begin_timeout: Duration,
    /// Logs what is over the limit of connections.
    pub refusals: RefusalLog,
    /// Logs handshakes that fail.
    pub failures: LineLimit,
}

/// The service of the port's connections, on each worker thread.
pub(crate) fn service(
    port: TlsPort,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    fn_factory(move || worker(port.clone()))
}

async fn worker(port: TlsPort) -> Result<impl Service<TcpStream, Response = (), Error = ()>, ()> {
    let http = http::worker(port.http.clone()).await?;
    let worker = Rc::new(TlsWorker { port, http });
    Ok(fn_service(move |socket: TcpStream| {
        let worker = worker.clone();
        async move {
            worker.accept(socket).await;
            Ok(())
        }
    }))
}

/// One thread's share of the port.
struct TlsWorker<F> {
    port: TlsPort,
    http: HttpWorker<F>,
}

impl<F: Framework> TlsWorker<F> {
    async fn accept(&self, socket: TcpStream) {
        // A socket without a peer has disconnected already.
        let Ok(peer) = socket.peer_addr() else { return };
        let Some(admission) = self.port.rtmp.admit() else {
            return self.port.rtmp.refuse("tls", peer, &self.port.refusals);
        };
        let mut wire = Wire::from(socket);
        wire.set_nodelay(peer);
        match (self.first_byte(&mut wire).await, wire) {
            (Ok(Some(TLS_FIRST_BYTE)), Wire::Plain(socket)) => {
                self.accept_tls(socket, peer, admission).await;
            }
            (Ok(Some(RTMP_FIRST_BYTE)), wire) => {
                self.port.rtmp.note_refused_plain();
                self.port.plain_rtmp.serve(wire, peer, admission);
            }
            (Ok(Some(_)), wire) => {
                self.port.rtmp.note_refused_plain();
                http::refuse_plain(wire, self.port.begin_timeout).await;
            }
            (Ok(None), _) => {}
            (Err(error), _) => debug!(peer:% = peer, reason:% = error; "no TLS handshake received"),
        }
    }

    async fn accept_tls(&self, socket: TcpStream, peer: SocketAddr, admission: Admission) {
        let TlsPort { handshaker, failures, .. } = &self.port;
        let Some(wire) = opening::shake_hands(handshaker, failures, socket, peer).await else { return };
        let mut wire = Wire::from(wire);
        match self.first_byte(&mut wire).await {
            Ok(Some(RTMP_FIRST_BYTE)) => self.port.rtmp.serve(wire, peer, admission),
            Ok(Some(_)) => self.serve_http(wire, peer, admission).await,
            Ok(None) => {}
            Err(error) => debug!(peer:% = peer, reason:% = error; "no request received over TLS"),
        }
    }

    async fn serve_http(&self, wire: Wire, peer: SocketAddr, admission: Admission) {
        let connection = |permit: ConnectionPermit| Connection { wire, peer, permit };
        match admission {
            Admission::Regular(permit) => self.http.serve(connection(permit), |_| false).await,
            Admission::Reserve { place, .. } => self.http.probe(connection(place)).await,
        }
    }

    async fn first_byte(&self, wire: &mut Wire) -> io::Result<Option<u8>> {
        timeout(self.port.begin_timeout, wire.peek_byte()).await.map_err(io::Error::from)?
    }
}
