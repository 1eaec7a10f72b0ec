//! The threads that serve HLS, apart from those of live media.
//!
//! The tasks of a thread take turns, and a frame needs three of them from its publisher to its viewers. If a thousand players
//! fetch a segment at once, each turn comes after a thousand writes. If HLS is on threads of a lower priority, the system interrupts
//! HLS for a frame.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_rt::Arbiter;
use log::debug;
use tokio::sync::{mpsc, oneshot};

use super::{
    super::{connection_gate::Connection, settings::HttpSettings},
    connection::HlsWorker,
    site::{HlsSources, Site},
};

/// Added to the niceness of the process. A thread of live media then has three times the weight of one of HLS where both want
/// a core, and HLS still gets its share.
const NICENESS: i32 = 5;

/// A connection with the function that serves it.
type Job = Box<dyn FnOnce(Rc<HlsWorker>) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The threads. They end with the last clone.
#[derive(Clone)]
pub(crate) struct HlsThreads {
    /// The queues have no limit of their own: each job in them holds a connection's permit.
    queues: Arc<[mpsc::UnboundedSender<Job>]>,
    next: Arc<AtomicUsize>,
    app: Arc<str>,
}

impl HlsThreads {
    /// Starts `count` threads, and calls `begin` on each. Fails if the system has no more threads.
    pub fn start(
        count: usize,
        sources: &HlsSources,
        settings: &HttpSettings,
        begin: impl Fn() + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let queues = (0..count.max(1)).map(|_| {
            let (queue, jobs) = mpsc::unbounded_channel();
            let (worker, begin) = (HlsWorker::new(sources.clone(), settings.clone()), begin.clone());
            Arbiter::try_new()?.spawn_fn(move || {
                begin();
                actix_rt::spawn(serve(worker, jobs));
            });
            Ok(queue)
        });
        let queues = queues.collect::<io::Result<_>>()?;
        Ok(Self { queues, next: Arc::default(), app: settings.app.as_str().into() })
    }

    /// Returns whether a path is one of HLS, even if there is nothing at it.
    pub fn has(&self, path: &str) -> bool {
        Site::is_path(path, &self.app)
    }

    /// Serves a connection on one of the threads, which take turns, once the streams of before an upgrade are there. `None` if
    /// the connection broke on the way there, or the server stops.
    pub async fn run<T, F>(
        &self,
        connection: Connection,
        serve: impl FnOnce(Rc<HlsWorker>, Connection) -> F + Send + 'static,
    ) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.queues.len();
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            Box::pin(async move {
                worker.wait_until_restored().await;
                let Connection { wire, peer, permit } = connection;
                match wire.into_current_thread() {
                    // The thread that waits for the result may have stopped.
                    Ok(wire) => drop(done.send(serve(worker, Connection { wire, peer, permit }).await)),
                    Err(error) => debug!(peer:% = peer, reason:% = error; "HLS connection ended"),
                }
            })
        });
        self.queues.get(next)?.send(job).ok()?;
        result.await.ok()
    }
}

/// Runs a thread: serves connections until the queue is closed.
async fn serve(worker: HlsWorker, mut jobs: mpsc::UnboundedReceiver<Job>) {
    if let Err(error) = rustix::process::nice(NICENESS) {
        debug!(reason:% = error; "threads of HLS have the priority of all others");
    }
    let worker = Rc::new(worker);
    while let Some(job) = jobs.recv().await {
        actix_rt::spawn(job(worker.clone()));
    }
    Arbiter::current().stop();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use synctv_actors::{
        access::{AccessSettings, Gatekeeper, NodeKeys},
        connection_limit::ConnectionLimit,
        hls::{HlsSessions, proxy::HlsProxy},
    };
    use tokio::{
        net::{TcpListener, TcpStream},
        time::timeout,
    };

    use super::*;
    use crate::{config::Config, http::health::tests::actors};

    fn sources() -> HlsSources {
        let (config, nodes) = (Config::parse_from(["synctv-stream"]), NodeKeys::random("n1").unwrap());
        let (directory, registry) = actors(None);
        let hls = HlsSessions::start(config.hls.settings(false).unwrap());
        let proxy = HlsProxy::start(registry, config.hls_proxy_settings(&nodes), hls.fetched_memory());
        let gatekeeper = Gatekeeper::new(AccessSettings::OPEN, nodes);
        let (viewers, requests) = Default::default();
        HlsSources { hls, directory, proxy, gatekeeper, viewers, requests }
    }

    async fn connection() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, peer) = listener.accept().await.unwrap();
        let permit = ConnectionLimit::new(1).take().unwrap();
        (Connection { wire: socket.into(), peer, permit }, client)
    }

    /// Of whatever protocol: none is served elsewhere.
    #[actix_rt::test]
    async fn connections_wait_for_the_streams_of_before_an_upgrade() {
        let (sources, settings) = (sources(), Config::parse_from(["synctv-stream"]).http_settings());
        let threads = HlsThreads::start(1, &sources, &settings, || {}).unwrap();
        let (connection, _client) = connection().await;
        sources.directory.begin_restoring();
        let directory = sources.directory.clone();
        let is_late = |_, _| async move { directory.is_restoring() };
        let mut served = std::pin::pin!(threads.run(connection, is_late));
        assert!(timeout(Duration::from_millis(100), &mut served).await.is_err());
        sources.directory.end_restoring();
        assert_eq!(served.await, Some(false));
    }
}
