//! WebRTC viewers: the UDP port that all of them share, and the actors that send to them.

mod batch_sender;
mod joining;
mod joins;
mod link;
mod messages;
mod port;
mod rooms;
mod routes;
mod session_id;
mod settings;
mod socket;
mod tcp_port;
mod tcp_writer;
mod ticker;
mod viewer;
mod viewers;
mod warnings;

use std::{
    io,
    net::{TcpListener, UdpSocket},
};

use actix::Addr;
use synctv_media::stream::room::RoomName;

use self::{
    messages::{EndSession, FindSession, Watch},
    port::WebRtcPortActor,
    socket::WebRtcSocket,
};
pub use self::{
    messages::{NewViewer, WatchError, Watching},
    session_id::SessionId,
    settings::{Hosts, WebRtcSettings},
};
use crate::{stream::StreamHandle, thread::ActorThread};

/// Talks to the WebRTC port of this node.
#[derive(Debug, Clone)]
pub struct WebRtc(Addr<WebRtcPortActor>);

impl WebRtc {
    /// Starts the port on a thread of its own. The listener is at the socket's address, for viewers without UDP.
    pub fn start(settings: WebRtcSettings, socket: UdpSocket, listener: TcpListener) -> io::Result<Self> {
        let socket = WebRtcSocket::new(socket)?;
        listener.set_nonblocking(true)?;
        Ok(Self(WebRtcPortActor::start(settings, socket, listener)))
    }

    /// Answers a viewer's offer. The viewer connects to the addresses in the answer, or is forgotten. Panics on a thread that is
    /// none of the actor system's.
    pub async fn watch(&self, stream: &StreamHandle, viewer: NewViewer) -> Result<Watching, WatchError> {
        let watch = Watch { stream: stream.clone(), viewer, thread: ActorThread::current() };
        self.0.send(watch).await.unwrap_or(Err(WatchError::Stopped))
    }

    /// Returns whether there is a session of this room.
    pub async fn has(&self, room: &RoomName, id: SessionId) -> bool {
        self.0.send(FindSession { room: room.clone(), id }).await.unwrap_or(false)
    }

    /// Ends a session. Returns whether there was one of this room.
    pub async fn end(&self, room: &RoomName, id: SessionId) -> bool {
        self.0.send(EndSession { room: room.clone(), id }).await.unwrap_or(false)
    }
}
