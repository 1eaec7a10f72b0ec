//! The RTMP port: every connection becomes an actor on the thread that accepted it.

use std::sync::Arc;

use actix_service::{ServiceFactory, fn_service};
use synctv_actors::{
    access::Gatekeeper,
    connection_limit::ConnectionLimit,
    directory::StreamDirectory,
    rtmp::{NewConnection, RtmpConnectionActor, RtmpSettings},
};
use tokio::net::TcpStream;

use crate::refusal_log::RefusalLog;

/// What serves the port's connections.
pub fn service(
    directory: StreamDirectory,
    gatekeeper: Gatekeeper,
    settings: Arc<RtmpSettings>,
    permits: ConnectionLimit,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    let refusals = RefusalLog::default();
    fn_service(move |socket: TcpStream| {
        accept(socket, &directory, &gatekeeper, &settings, &permits, &refusals);
        std::future::ready(Ok::<(), ()>(()))
    })
}

fn accept(
    socket: TcpStream,
    directory: &StreamDirectory,
    gatekeeper: &Gatekeeper,
    settings: &Arc<RtmpSettings>,
    permits: &ConnectionLimit,
    refusals: &RefusalLog,
) {
    // Without a peer there is nobody left to serve.
    let Ok(peer) = socket.peer_addr() else { return };
    match permits.take() {
        Some(permit) => {
            RtmpConnectionActor::serve(
                NewConnection { wire: socket.into(), peer, permit },
                directory.clone(),
                gatekeeper.clone(),
                settings.clone(),
            );
        }
        None => refusals.note("rtmp", peer, permits.max()),
    }
}
