//! HLS: playlists and segments, on ports of its own and on those that have everything.

mod admission;
mod args;
mod body;
mod connection;
mod forward;
mod http_2;
mod playlist;
mod requests;
mod segment;
mod site;
pub(super) mod target;
mod viewers;
mod window;

use std::rc::Rc;

use actix_service::{Service, ServiceFactory, fn_factory, fn_service};
use synctv_actors::connection_limit::ConnectionLimit;
use tokio::{net::TcpStream, time::timeout};

pub use self::args::{HlsArgs, HlsWhen};
pub(crate) use self::connection::HlsWorker;
pub(crate) use self::viewers::HlsViewersState;
pub use self::{requests::HlsRequests, site::HlsSources, viewers::HlsViewers};
use super::{
    connection_gate::{Connection, ConnectionGate},
    settings::HttpSettings,
};
use crate::tls::TlsOnPlainPort;

/// Returns the service of the port's connections, for each worker thread. `tls` knows connections that belong to
/// another port.
pub(crate) fn service(
    sources: HlsSources,
    port: HttpSettings,
    permits: ConnectionLimit,
    tls: TlsOnPlainPort,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    let gate = ConnectionGate::new("hls", permits);
    fn_factory(move || worker(sources.clone(), port.clone(), gate.clone(), tls.clone()))
}

async fn worker(
    sources: HlsSources,
    port: HttpSettings,
    gate: ConnectionGate,
    tls: TlsOnPlainPort,
) -> Result<impl Service<TcpStream, Response = (), Error = ()>, ()> {
    let head_timeout = port.head_timeout;
    let worker = Rc::new(HlsWorker::new(sources, port));
    Ok(fn_service(move |socket: TcpStream| {
        let (worker, gate, tls) = (worker.clone(), gate.clone(), tls.clone());
        async move {
            let Some((permit, mut wire, peer)) = gate.admit(socket).await else { return Ok(()) };
            let first = timeout(head_timeout, wire.peek_byte()).await;
            if first.is_ok_and(|first| !first.is_ok_and(|first| tls.note(first, peer))) {
                worker.serve(Connection { wire, peer, permit }).await;
            }
            Ok(())
        }
    }))
}
