//! The messages of the WebRTC port and of the viewers of a room.

use std::{net::SocketAddr, thread::ThreadId};

use actix::{Message, Recipient};
use bytes::Bytes;
use synctv_media::{
    stream::room::RoomName,
    webrtc::{
        offer::OfferError,
        packetizer::{MediaProfile, Unplayable},
    },
};
use thiserror::Error;
use tokio::sync::oneshot;

use super::{joining::JoiningViewer, session_id::SessionId, socket::Datagram};
use crate::{
    access::Session as AccessSession, events::StreamId, metrics::JoinOutcome, stream::StreamHandle,
    thread::ActorThread,
};

/// A viewer who wants to watch a stream.
#[derive(Debug)]
pub struct NewViewer {
    /// The address that the request came from.
    pub peer: SocketAddr,
    /// The offer, in SDP.
    pub offer: String,
    /// The cut-off of its access.
    pub access: Option<AccessSession>,
}

/// An offer that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watching {
    /// The session.
    pub id: SessionId,
    /// The answer, in SDP.
    pub answer: String,
}

/// The reason a viewer's offer is not answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WatchError {
    /// The offer cannot be answered.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// The stream cannot be sent over WebRTC.
    #[error(transparent)]
    Unplayable(#[from] Unplayable),
    /// There is no media yet from which the codecs would be known.
    #[error("the room has no media yet")]
    NoMedia,
    /// The node has as many viewers as it may.
    #[error("WebRTC viewer limit reached ({max})")]
    TooManyViewers {
        /// The limit.
        max: usize,
    },
    /// As many viewers as may are about to connect.
    #[error("limit of WebRTC viewers about to connect reached ({max})")]
    TooManyJoining {
        /// The limit.
        max: usize,
    },
    /// The stream is over.
    #[error("the stream has ended")]
    Ended,
    /// The port has ended, which only a panic causes, or the system has no random numbers.
    #[error("WebRTC has stopped on this node")]
    Stopped,
}

impl WatchError {
    /// The outcome of the request, as it is counted.
    pub fn outcome(&self) -> JoinOutcome {
        match self {
            Self::Unplayable(_) | Self::Offer(OfferError::NoCodec(_)) => JoinOutcome::Unplayable,
            Self::NoMedia => JoinOutcome::Origin,
            Self::TooManyViewers { .. } | Self::TooManyJoining { .. } => JoinOutcome::Limit,
            Self::Ended => JoinOutcome::NotLive,
            Self::Offer(_) | Self::Stopped => JoinOutcome::Error,
        }
    }
}

/// To the port: a viewer's request.
#[derive(Message)]
#[rtype(result = "Result<Watching, WatchError>")]
pub(super) struct Watch {
    pub stream: StreamHandle,
    pub viewer: NewViewer,
    /// The thread that the request came to, which may serve viewers.
    pub thread: ActorThread,
}

/// To the port: whether there is a session.
#[derive(Message)]
#[rtype(result = "bool")]
pub(super) struct FindSession {
    pub room: RoomName,
    pub id: SessionId,
}

/// To the port: the viewer wants no more.
#[derive(Message)]
#[rtype(result = "bool")]
pub(super) struct EndSession {
    pub room: RoomName,
    pub id: SessionId,
}

/// To the port: a session is over.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SessionEnded(pub SessionId);

/// To the port: the actor of a stream has had no viewers for a while. The port sends it no more, and lets it stop.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ViewersIdle {
    pub stream: StreamId,
    pub thread: ThreadId,
    pub viewers: Recipient<StopIfIdle>,
}

/// Asks the viewers of a room for the codecs of its stream, once they are known.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct GetProfile(pub oneshot::Sender<Result<MediaProfile, WatchError>>);

/// To the viewers of a room: another one, which has connected.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Admit(pub Box<JoiningViewer>);

/// To the viewers of a room: what some of them sent.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Datagrams(pub Vec<(SessionId, Datagram)>);

/// To the port: a TCP connection names the session that it is for. The answer is none if there is no such session, or it has enough
/// connections.
#[derive(Message)]
#[rtype(result = "Option<SessionId>")]
pub(super) struct AdmitConnection {
    /// Its first packet.
    pub first: Bytes,
}

/// To the port: a packet of a connection that was admitted. The answer is whether its session goes on.
#[derive(Message)]
#[rtype(result = "bool")]
pub(super) struct FromConnection {
    pub id: SessionId,
    pub datagram: Datagram,
}

/// To the port: a connection that was admitted is closed.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ConnectionClosed(pub SessionId);

/// To the viewers of a room: this one is to be closed.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct CloseSession(pub SessionId);

/// To the viewers of a room: no more will come.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct StopIfIdle;
