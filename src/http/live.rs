//! Requests for live media: whether they are granted, and the stream that they get.

use std::{error::Error, net::SocketAddr};

use log::info;
use synctv_actors::{
    access::{AccessRequest, Gatekeeper, Protocol, Session},
    directory::{DirectoryEnded, OpenError, StreamDirectory},
    metrics::{JoinOutcome, ViewerProtocol},
    stream::StreamHandle,
};
use synctv_media::{
    access::{Confidential, NodeRequest, Refusal},
    stream::room::RoomName,
};

use super::request_head::{Method, Request};

/// A stream to watch, with what may cut its viewer; none for a request that asks only whether there is one.
pub(super) type Found = Option<(StreamHandle, Option<Session>)>;

/// A reason for which a request for a room's media is not served.
pub(super) enum NotServed {
    /// The client may not. The gatekeeper has logged it.
    Access(Refusal),
    /// There is nothing to serve.
    Room(OpenError),
}

impl NotServed {
    /// The outcome of the request, as it is counted.
    pub fn outcome(&self) -> JoinOutcome {
        match self {
            Self::Access(_) => JoinOutcome::Denied,
            Self::Room(error) => error.outcome(),
        }
    }
}

/// Logs a viewer that access was granted to, but no media. The source of the error is for the log alone: it may name addresses.
pub(super) fn log_viewer_refused(
    room: &RoomName,
    peer: SocketAddr,
    protocol: ViewerProtocol,
    error: &dyn Error,
) {
    let reason = error.source().map(ToString::to_string).unwrap_or_default();
    info!(
        room = room.as_str(), peer:% = peer, protocol = protocol.as_str(), why:% = error, reason = reason.as_str();
        "viewer refused");
}

/// Decides on a request, and only then looks for the room.
pub(super) async fn find(
    directory: &StreamDirectory,
    gatekeeper: &Gatekeeper,
    request: &Request,
    room: &RoomName,
    peer: SocketAddr,
) -> Result<Found, NotServed> {
    if let Some(signature) = &request.pull {
        return find_local(directory, gatekeeper, request, room, peer, signature.expose()).await;
    }
    let access = AccessRequest::http(
        Protocol::HttpFlv,
        peer,
        room,
        request.query.expose(),
        request.authorization.as_ref().map(Confidential::expose),
        request.user_agent.as_deref(),
    );
    let grant = gatekeeper.admit_viewer(&access).await?;
    match request.method {
        Method::Get => {
            let stream = directory.open(&grant).await?;
            Ok(Some((stream, grant.begin())))
        }
        // A pull would have no viewer.
        _ => Ok(directory.look(&grant).await.map(|()| None)?),
    }
}

/// The stream for another node. It would be pulled from one node after the other, and in the end from itself, if it were
/// not published here.
async fn find_local(
    directory: &StreamDirectory,
    gatekeeper: &Gatekeeper,
    request: &Request,
    room: &RoomName,
    peer: SocketAddr,
    signature: &str,
) -> Result<Found, NotServed> {
    let method = if request.method == Method::Get { "GET" } else { "HEAD" };
    let signed = NodeRequest { method, host: &request.host, path: &request.path };
    let grant = gatekeeper.admit_node(room, &signed, signature, peer)?;
    let found = directory.open_local(&grant).await?.ok_or_else(|| OpenError::NotLive(room.clone()))?;
    Ok((request.method == Method::Get).then_some((found, None)))
}

impl From<Refusal> for NotServed {
    fn from(refusal: Refusal) -> Self {
        Self::Access(refusal)
    }
}

impl From<OpenError> for NotServed {
    fn from(error: OpenError) -> Self {
        Self::Room(error)
    }
}

impl From<DirectoryEnded> for NotServed {
    fn from(ended: DirectoryEnded) -> Self {
        Self::Room(ended.into())
    }
}
