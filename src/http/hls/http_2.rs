//! HLS over HTTP/2: the requests of a connection, side by side.
//!
//! Browsers have six connections per host over HTTP/1.1, and each player of Low-Latency HLS occupies one nearly all the time.

use std::{future::poll_fn, io, net::SocketAddr, pin::pin, rc::Rc, sync::Arc, time::Duration};

use actix_http::Request;
use actix_web::{HttpResponse, body::MessageBody, http::Method};
use bytes::Bytes;
use futures::future::OptionFuture;
use h2::{
    Reason, SendStream,
    server::{self, SendResponse},
};
use log::debug;
use synctv_actors::{hls::ConnectionHolds, wire::Wire};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    super::{
        connection_gate::Connection, message, request_head::HEAD_MAX_BYTES, response, settings::IDLE_TIMEOUT,
        write_timeout::WriteTimeout,
    },
    connection::HlsWorker,
    site::answer,
};

/// Maximum requests of a connection that are answered at once: a browser's players hold one each, and fetch beside it. More
/// wait at the client.
const STREAMS_MAX: u32 = 100;

/// Maximum bytes of a response that wait for the socket. A response is sent in steps of this size.
const SEND_BUFFER_MAX_BYTES: usize = 128 * 1024;

/// Maximum bodies of a connection that are read at once. Each takes its step and a piece of its file, whether or not the client
/// takes what it asked for.
const BODIES_MAX: usize = 4;

/// The size of the largest body that waits for no other: all playlists are smaller, and must not wait behind segments.
const SMALL_BODY_MAX_BYTES: u64 = 16 * 1024;

/// Time limit for a client to close a connection whose end was announced, once nothing of it is under way.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(10);

type Http2 = server::Connection<WriteTimeout<Wire>, Bytes>;

impl HlsWorker {
    /// Serves a connection on which the client has agreed to HTTP/2, to its end.
    pub async fn serve_http_2(self: &Rc<Self>, connection: Connection) {
        let Connection { wire, peer, permit: _permit } = connection;
        let socket = WriteTimeout::new(wire, self.settings.stall_timeout);
        let mut builder = server::Builder::new();
        builder
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_MAX_BYTES as u32)
            .max_send_buffer_size(SEND_BUFFER_MAX_BYTES);
        let ended = match timeout(self.settings.head_timeout, builder.handshake(socket)).await {
            Ok(Ok(connection)) => Exchanges::new(self.clone(), peer).serve(connection).await,
            Ok(Err(error)) => Err(error),
            Err(_) => return debug!(peer:% = peer; "no HTTP/2 request received"),
        };
        if let Err(error) = ended {
            debug!(peer:% = peer, reason:% = error; "HLS connection ended");
        }
    }
}

/// The requests of a connection that are being answered. They end with it.
struct Exchanges {
    worker: Rc<HlsWorker>,
    peer: SocketAddr,
    running: JoinSet<()>,
    limits: Arc<ConnectionLimits>,
}

/// The limits that the requests of a connection share.
struct ConnectionLimits {
    bodies: Semaphore,
    /// None of a trusted proxy's connection: behind it are many viewers, each of whom may have a request held.
    holds: Option<ConnectionHolds>,
}

impl Exchanges {
    fn new(worker: Rc<HlsWorker>, peer: SocketAddr) -> Self {
        let is_of_one_client = !worker.settings.proxies.trusts(peer.ip());
        let limits = ConnectionLimits {
            bodies: Semaphore::new(BODIES_MAX),
            holds: is_of_one_client.then(ConnectionHolds::default),
        };
        Self { worker, peer, running: JoinSet::new(), limits: Arc::new(limits) }
    }

    /// Answers until the client has closed the connection. One that is idle for too long, or on a node that drains, is
    /// announced to end (GOAWAY): what is under way is answered, and the next request comes over another connection.
    async fn serve(mut self, mut connection: Http2) -> Result<(), h2::Error> {
        let worker = self.worker.clone();
        let mut quiet = pin!(sleep(IDLE_TIMEOUT));
        let mut is_ending = false;
        loop {
            tokio::select! {
                accepted = connection.accept() => match accepted.transpose()? {
                    Some((request, respond)) => self.begin(request, respond),
                    None => return Ok(()),
                },
                Some(_) = self.running.join_next() => {}
                () = worker.site.wait_for_closing(), if !is_ending => {
                    connection.graceful_shutdown();
                    is_ending = true;
                }
                () = &mut quiet, if self.running.is_empty() => {
                    if is_ending {
                        return Ok(());
                    }
                    connection.graceful_shutdown();
                    is_ending = true;
                }
            }
            let patience = if is_ending { GOODBYE_TIMEOUT } else { IDLE_TIMEOUT };
            quiet.as_mut().reset(Instant::now() + patience);
        }
    }

    fn begin(&mut self, request: http::Request<h2::RecvStream>, respond: SendResponse<Bytes>) {
        let (worker, peer, limits) = (self.worker.clone(), self.peer, self.limits.clone());
        // No request has a body that is read: what comes of one is dropped from here on.
        let (head, _) = request.into_parts();
        self.running.spawn_local(async move {
            let request = message::of_parts(head, &worker.settings.proxies, peer);
            if let Err(error) = worker.exchange_http_2(request, respond, &limits).await {
                debug!(peer:% = peer, reason:% = error; "HLS response broken off");
            }
        });
    }
}

impl HlsWorker {
    /// Answers a request, unless the client takes it back.
    async fn exchange_http_2(
        &self,
        request: Request,
        mut respond: SendResponse<Bytes>,
        limits: &ConnectionLimits,
    ) -> io::Result<()> {
        let is_head = request.method() == Method::HEAD;
        let response = tokio::select! {
            biased;
            response = answer(&request, &self.site, limits.holds.as_ref()) => response,
            _ = poll_fn(|task| respond.poll_reset(task)) => return Ok(()),
        };
        drop(request);
        self.send(response, is_head, respond, &limits.bodies).await
    }

    async fn send(
        &self,
        response: HttpResponse,
        is_head: bool,
        mut respond: SendResponse<Bytes>,
        bodies: &Semaphore,
    ) -> io::Result<()> {
        let (head, size_bytes) = head(&response)?;
        let is_whole = is_head || size_bytes == 0;
        let mut stream = respond.send_response(head, is_whole).map_err(io::Error::other)?;
        if is_whole {
            return Ok(());
        }
        let turn = (size_bytes > SMALL_BODY_MAX_BYTES).then(|| bodies.acquire());
        let _turn = OptionFuture::from(turn).await.transpose().map_err(io::Error::other)?;
        let mut body = pin!(response.into_body());
        let mut left_bytes = size_bytes;
        while let Some(piece) = poll_fn(|task| body.as_mut().poll_next(task)).await {
            let piece = piece.map_err(|error| io::Error::other(error.to_string()));
            let piece = piece.inspect_err(|_| stream.send_reset(Reason::INTERNAL_ERROR))?;
            left_bytes = left_bytes.saturating_sub(piece.len() as u64);
            self.send_piece(&mut stream, piece, left_bytes == 0).await?;
        }
        Ok(())
    }

    /// Sends a piece of a body as the client makes room for it. One that makes none for too long gets no more.
    async fn send_piece(
        &self,
        stream: &mut SendStream<Bytes>,
        mut piece: Bytes,
        is_last: bool,
    ) -> io::Result<()> {
        while !piece.is_empty() {
            stream.reserve_capacity(piece.len().min(SEND_BUFFER_MAX_BYTES));
            let capacity = timeout(self.settings.stall_timeout, poll_fn(|task| stream.poll_capacity(task)));
            let capacity = match capacity.await {
                Ok(Some(capacity)) => capacity.map_err(io::Error::other)?,
                Ok(None) => return Err(io::ErrorKind::ConnectionReset.into()),
                Err(stalled) => {
                    stream.send_reset(Reason::CANCEL);
                    return Err(stalled.into());
                }
            };
            let sent = piece.split_to(capacity.min(piece.len()));
            stream.send_data(sent, is_last && piece.is_empty()).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// The head, and the size of the body behind it.
fn head(response: &HttpResponse) -> io::Result<(http::Response<()>, u64)> {
    let mut head = http::Response::new(());
    *head.status_mut() = response.status();
    let headers = head.headers_mut();
    let size_bytes = response::announced_bytes(response)?;
    if let Some(size_bytes) = size_bytes {
        headers.insert(http::header::CONTENT_LENGTH, size_bytes.into());
    }
    for (name, value) in response.headers() {
        headers.append(name, value.clone());
    }
    headers.insert(http::header::DATE, response::with_date(|date| date.parse()).map_err(io::Error::other)?);
    Ok((head, size_bytes.unwrap_or_default()))
}
