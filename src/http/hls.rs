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
mod threads;
mod viewers;
mod window;

use std::rc::Rc;

use actix_service::{Service, ServiceFactory, fn_factory, fn_service};
use synctv_actors::connection_limit::ConnectionLimit;
use tokio::{net::TcpStream, time::timeout};

pub use self::args::{HlsArgs, HlsWhen};
pub(crate) use self::{connection::HlsWorker, threads::HlsThreads, viewers::HlsViewersState};
pub use self::{requests::HlsRequests, site::HlsSources, viewers::HlsViewers};
use super::connection_gate::{Connection, ConnectionGate};
use crate::tls::TlsOnPlainPort;

/// Returns the service of the port's connections, for each worker thread, which passes them to the threads of HLS. `tls` knows
/// connections that belong to another port.
pub(crate) fn service(
    threads: HlsThreads,
    permits: ConnectionLimit,
    tls: TlsOnPlainPort,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = (), InitError = ()> {
    let gate = ConnectionGate::new("hls", permits);
    fn_factory(move || worker(threads.clone(), gate.clone(), tls.clone()))
}

async fn worker(
    threads: HlsThreads,
    gate: ConnectionGate,
    tls: TlsOnPlainPort,
) -> Result<impl Service<TcpStream, Response = (), Error = ()>, ()> {
    Ok(fn_service(move |socket: TcpStream| {
        let (threads, gate, tls) = (threads.clone(), gate.clone(), tls.clone());
        async move {
            if let Some((permit, wire, peer)) = gate.admit(socket).await {
                let connection = Connection { wire, peer, permit };
                threads.run(connection, |worker, connection| serve(worker, connection, tls)).await;
            }
            Ok(())
        }
    }))
}

async fn serve(worker: Rc<HlsWorker>, mut connection: Connection, tls: TlsOnPlainPort) {
    let first = timeout(worker.settings.head_timeout, connection.wire.peek_byte()).await;
    if first.is_ok_and(|first| !first.is_ok_and(|first| tls.note(first, connection.peer))) {
        worker.serve(connection).await;
    }
}
