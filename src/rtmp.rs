//! The RTMP port: every connection becomes an actor on the thread that accepted it.

use std::sync::Arc;

use actix_service::{ServiceFactory, fn_service};
use synctv_actors::{
    permit::Permits,
    router::RouterHandle,
    rtmp_connection::{NewConnection, RtmpConnection, RtmpSettings},
};
use tokio::net::TcpStream;

use crate::refusals::Refusals;

/// What serves the port's connections.
pub fn service(
    router: RouterHandle,
    settings: Arc<RtmpSettings>,
    permits: Permits,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    let refusals = Refusals::default();
    fn_service(move |socket: TcpStream| {
        accept(socket, &router, &settings, &permits, &refusals);
        std::future::ready(Ok::<(), ()>(()))
    })
}

fn accept(
    socket: TcpStream,
    router: &RouterHandle,
    settings: &Arc<RtmpSettings>,
    permits: &Permits,
    refusals: &Refusals,
) {
    // Without a peer there is nobody left to serve.
    let Ok(peer) = socket.peer_addr() else { return };
    match permits.take() {
        Some(permit) => {
            RtmpConnection::serve(NewConnection { socket, peer, permit }, router.clone(), settings.clone());
        }
        None => refusals.note("rtmp", peer, permits.max()),
    }
}
