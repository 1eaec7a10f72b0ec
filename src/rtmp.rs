//! The RTMP port: every connection becomes an actor on the thread that accepted it.

use std::{net::SocketAddr, sync::Arc};

use actix_service::{ServiceFactory, fn_service};
use synctv_actors::{
    connection_limit::ConnectionLimit,
    rtmp::{Admission, NewConnection, RtmpConnectionActor, RtmpServices},
    wire::Wire,
};
use tokio::net::TcpStream;

use crate::refusal_log::RefusalLog;

/// Connections over the limit that are let in, on each worker thread: publishers that reconnect, and others for as long as
/// their refusal takes.
const RESERVE: usize = 16;

/// The service of RTMP connections on one thread.
#[derive(Clone)]
pub(crate) struct RtmpPort {
    services: Arc<RtmpServices>,
    permits: ConnectionLimit,
    reserve: ConnectionLimit,
}

/// The service of the port's connections.
pub fn service(
    services: Arc<RtmpServices>,
    permits: ConnectionLimit,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    let port = RtmpPort::new(services, permits);
    let refusals = RefusalLog::default();
    fn_service(move |socket: TcpStream| {
        port.accept(socket, &refusals);
        std::future::ready(Ok::<(), ()>(()))
    })
}

impl RtmpPort {
    /// Serves connections on the thread that accepted them.
    pub fn new(services: Arc<RtmpServices>, permits: ConnectionLimit) -> Self {
        Self { services, permits, reserve: ConnectionLimit::new(RESERVE) }
    }

    /// Counts and logs a connection for which there is no place.
    pub fn refuse(&self, port: &'static str, peer: SocketAddr, refusals: &RefusalLog) {
        self.permits.note_refused();
        refusals.note(port, peer, self.permits.max());
    }

    /// Counts a connection without TLS that is refused because of that.
    pub fn note_refused_plain(&self) {
        self.permits.note_refused_plain();
    }

    fn accept(&self, socket: TcpStream, refusals: &RefusalLog) {
        // A socket without a peer has disconnected already.
        let Ok(peer) = socket.peer_addr() else { return };
        match self.admit() {
            Some(admission) => self.serve(socket.into(), peer, admission),
            None => self.refuse("rtmp", peer, refusals),
        }
    }

    /// Serves a connection until it ends.
    pub fn serve(&self, wire: Wire, peer: SocketAddr, admission: Admission) {
        let (new, services) = (NewConnection { wire, peer, admission }, self.services.clone());
        if !services.directory.is_restoring() {
            return RtmpConnectionActor::serve(new, services);
        }
        actix_rt::spawn(async move {
            services.directory.wait_until_restored().await;
            RtmpConnectionActor::serve(new, services);
        });
    }

    /// Takes a place for a connection, if there is one.
    pub fn admit(&self) -> Option<Admission> {
        if let Some(permit) = self.permits.take() {
            return Some(Admission::Regular(permit));
        }
        Some(Admission::Reserve { place: self.reserve.take()?, regular: self.permits.clone() })
    }
}
