//! HLS over HTTP/1: the requests of a connection, one after the other.
//!
//! The web framework is passed by. It would copy each body into a buffer of the connection, four fifths of what a viewer
//! costs beside the system, and keep buffers for each request that is held.

use std::{future::poll_fn, io, task::Poll};

use actix_web::{HttpResponse, http::StatusCode};
use bytes::BytesMut;
use log::debug;
use synctv_actors::{directory::StreamDirectory, wire::Wire};
use tokio::time::timeout;

use super::{
    super::{
        api_error::ApiError,
        connection_gate::Connection,
        refusal::{close_behind_answer, refuse},
        request_head::{HeadError, Method, RequestHead},
        response::{self, Framing},
        settings::{HttpSettings, IDLE_TIMEOUT},
    },
    site::{HlsSources, Site, answer},
};

/// One thread's share of HLS, for all of its ports.
pub(crate) struct HlsWorker {
    pub(super) site: Site,
    pub(super) settings: HttpSettings,
}

impl HlsWorker {
    /// Answers from `sources`.
    pub fn new(sources: HlsSources, settings: HttpSettings) -> Self {
        Self { site: Site::new(sources, settings.app.clone()), settings }
    }

    /// Waits for the streams of before an upgrade, if there was one.
    pub(super) async fn wait_until_restored(&self) {
        let directory = self.site.directory();
        if directory.is_restoring() {
            directory.wait_until_restored().await;
        }
    }

    /// Serves a connection to its end.
    pub async fn serve(&self, connection: Connection) {
        let mut request = self.read_head(connection, BytesMut::new()).await;
        while let Some((head, connection)) = request {
            request = self.respond_and_read_on(head, connection).await;
        }
    }

    /// Serves a connection up to its first request that is not for HLS, and returns both.
    pub(in crate::http) async fn serve_hls_only(
        &self,
        mut head: RequestHead,
        mut connection: Connection,
    ) -> Option<(RequestHead, Connection)> {
        while head.request().is_some_and(|request| self.site.has(&request.path)) {
            (head, connection) = self.respond_and_read_on(head, connection).await?;
        }
        Some((head, connection))
    }

    /// Answers a request. Returns the next one, unless the connection ends.
    async fn respond_and_read_on(
        &self,
        head: RequestHead,
        connection: Connection,
    ) -> Option<(RequestHead, Connection)> {
        let (connection, behind) = self.respond(head, connection).await?;
        if behind.is_empty() && !is_continued(&connection.wire, self.site.directory()).await {
            return None;
        }
        self.read_head(connection, behind).await
    }

    /// Reads the head of a request whose first bytes are in `read`.
    async fn read_head(
        &self,
        mut connection: Connection,
        read: BytesMut,
    ) -> Option<(RequestHead, Connection)> {
        let reading = RequestHead::read(&mut connection.wire, read);
        let head = timeout(self.settings.head_timeout, reading).await;
        match head.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) {
            Ok(head) => Some((head, connection)),
            Err(error) => {
                no_request(connection, &error).await;
                None
            }
        }
    }

    /// Answers a request. Returns the connection, with the bytes that were read after the request, if another one may follow.
    async fn respond(&self, head: RequestHead, mut connection: Connection) -> Option<(Connection, BytesMut)> {
        let Some(Exchange { request, mut framing, behind }) = self.exchange(head, &connection) else {
            refuse(connection.wire, &not_http()).await;
            return None;
        };
        let response = unless_broken(&connection.wire, Box::pin(answer(&request, &self.site, None))).await?;
        drop(request);
        // The player's next request goes to another node.
        framing.is_last |= self.site.directory().is_closing_connections();
        let stall_timeout = self.settings.stall_timeout;
        if let Err(error) = response::write(&mut connection.wire, response, framing, stall_timeout).await {
            debug!(peer:% = connection.peer, reason:% = error; "HLS connection ended");
            return None;
        }
        if framing.is_last {
            close_behind_answer(connection.wire).await;
            return None;
        }
        if !behind.is_empty() {
            // Requests that come together leave turns to others.
            tokio::task::yield_now().await;
        }
        Some((connection, behind))
    }

    /// Takes a head apart. Its buffer is let go: the request may be held for a long time.
    fn exchange(&self, head: RequestHead, connection: &Connection) -> Option<Exchange> {
        let request = head.request()?;
        let client = self.settings.proxies.client(connection.peer, request.forwarded_for.as_deref());
        let framing = Framing {
            is_head: request.method == Method::Head,
            is_http_1_1: request.is_http_1_1,
            is_last: !request.is_persistent,
        };
        let request = head.message(client)?;
        let (_, behind) = head.split();
        // An empty one would keep what it was split from.
        let behind = if behind.is_empty() { BytesMut::new() } else { behind };
        Some(Exchange { request, framing, behind })
    }
}

/// A request that is being answered.
struct Exchange {
    request: actix_http::Request,
    framing: Framing,
    /// Read behind it.
    behind: BytesMut,
}

/// Waits for a further request. Returns whether there may be one: not once connections are to be closed.
async fn is_continued(wire: &Wire, directory: &StreamDirectory) -> bool {
    tokio::select! {
        biased;
        came = timeout(IDLE_TIMEOUT, wire.readable()) => matches!(came, Ok(Ok(()))),
        () = directory.wait_for_closing() => false,
    }
}

/// Returns the answer, unless the connection breaks before. A client that says nothing more may still read: its end is no
/// break.
async fn unless_broken(
    wire: &Wire,
    mut answer: impl Future<Output = HttpResponse> + Unpin,
) -> Option<HttpResponse> {
    // Most answers are there at once, and cost no look at the socket.
    let at_once = poll_fn(|task| Poll::Ready(std::pin::Pin::new(&mut answer).poll(task))).await;
    if let Poll::Ready(response) = at_once {
        return Some(response);
    }
    let broken = async {
        if wire.readable().await.and_then(|()| wire.take_error()).is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        response = answer => Some(response),
        () = broken => None,
    }
}

/// A connection ends without a request that can be answered.
async fn no_request(connection: Connection, error: &HeadError) {
    debug!(peer:% = connection.peer, reason:% = error; "no HTTP request received");
    match error {
        HeadError::TooLarge => refuse(connection.wire, &ApiError::head_too_large(error.to_string())).await,
        HeadError::Host => {
            refuse(connection.wire, &ApiError::bad_request("bad_request", error.to_string())).await
        }
        HeadError::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
            refuse(connection.wire, &too_slow()).await;
        }
        HeadError::Io(_) => {}
    }
}

fn not_http() -> ApiError {
    ApiError::bad_request("bad_request", "this is no request of HTTP/1")
}

fn too_slow() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "request_timeout",
        "the request did not come to its end in time",
    )
}
