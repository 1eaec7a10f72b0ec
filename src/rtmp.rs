//! The RTMP port: every connection becomes an actor on the thread that accepted it.

use std::sync::Arc;

use actix_service::{ServiceFactory, fn_service};
use synctv_actors::{
    access::Gatekeeper,
    connection_limit::ConnectionLimit,
    directory::StreamDirectory,
    rtmp::{Admission, NewConnection, RtmpConnectionActor, RtmpSettings},
};
use tokio::net::TcpStream;

use crate::refusal_log::RefusalLog;

/// Connections over the limit that are let in, on each worker thread: publishers that reconnect, and others for as long as
/// their refusal takes.
const RESERVE: usize = 16;

/// One thread's share of the port.
#[derive(Clone)]
struct Port {
    directory: StreamDirectory,
    gatekeeper: Gatekeeper,
    settings: Arc<RtmpSettings>,
    permits: ConnectionLimit,
    reserve: ConnectionLimit,
    refusals: RefusalLog,
}

/// The service of the port's connections.
pub fn service(
    directory: StreamDirectory,
    gatekeeper: Gatekeeper,
    settings: Arc<RtmpSettings>,
    permits: ConnectionLimit,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    let (reserve, refusals) = (ConnectionLimit::new(RESERVE), RefusalLog::default());
    let port = Port { directory, gatekeeper, settings, permits, reserve, refusals };
    fn_service(move |socket: TcpStream| {
        port.accept(socket);
        std::future::ready(Ok::<(), ()>(()))
    })
}

impl Port {
    fn accept(&self, socket: TcpStream) {
        // A socket without a peer has disconnected already.
        let Ok(peer) = socket.peer_addr() else { return };
        match self.admit() {
            Some(admission) => {
                let new = NewConnection { wire: socket.into(), peer, admission };
                let (directory, gatekeeper) = (self.directory.clone(), self.gatekeeper.clone());
                RtmpConnectionActor::serve(new, directory, gatekeeper, self.settings.clone());
            }
            None => {
                self.permits.note_refused();
                self.refusals.note("rtmp", peer, self.permits.max());
            }
        }
    }

    fn admit(&self) -> Option<Admission> {
        if let Some(permit) = self.permits.take() {
            return Some(Admission::Regular(permit));
        }
        Some(Admission::Reserve { place: self.reserve.take()?, regular: self.permits.clone() })
    }
}
