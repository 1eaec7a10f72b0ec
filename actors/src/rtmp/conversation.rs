//! The protocol's side of a connection, which stays the same whichever actor owns the socket.

mod upgrade;

use std::{fmt, io, net::SocketAddr, sync::Arc};

use log::warn;
use synctv_media::{
    cluster::standing::NodeUrl,
    rtmp::{
        handshake::HandshakeError,
        session::{Event, Session, SessionError},
    },
};
use tokio::time::Instant;

use super::{
    admission::Admission, read_coalescing::Readiness, read_loop, round_trip::RoundTrip,
    settings::RtmpServices,
};
use crate::{viewer_session::LeaveReason, viewer_socket::ViewerSocket, wire::Wire};

/// Maximum bytes queued for a peer that asks for answers and does not read them.
const CONTROL_MAX_BYTES: usize = 256 * 1024;

/// A peer's session, with what is known of the peer. It goes with the socket to the viewers of a room while the peer plays,
/// and comes back.
pub(super) struct Conversation {
    pub peer: SocketAddr,
    pub services: Arc<RtmpServices>,
    pub session: Session,
    pub received_bytes: u64,
    pub last_received: Instant,
    pub round_trip: RoundTrip,
    pub admission: Admission,
}

impl Conversation {
    pub fn new(peer: SocketAddr, admission: Admission, services: Arc<RtmpServices>) -> Self {
        Self {
            peer,
            session: Session::new(services.settings.session.clone()),
            received_bytes: 0,
            last_received: Instant::now(),
            round_trip: RoundTrip::Unasked,
            admission,
            services,
        }
    }

    /// Reads once what the peer has sent. An error in it is the peer's violation of the protocol, and inside.
    pub fn receive(&mut self, wire: &mut Wire, readiness: Readiness) -> io::Result<Result<(), SessionError>> {
        let (session, received_bytes) = (&mut self.session, &mut self.received_bytes);
        let fed = read_loop::receive(wire, readiness, |bytes| {
            *received_bytes += bytes.len() as u64;
            session.feed(bytes)
        })?;
        self.last_received = Instant::now();
        self.round_trip.note(self.session.phase(), self.received_bytes, self.last_received);
        Ok(fed)
    }

    /// Sends the replies that the session has for its peer. Returns whether there were any.
    pub fn send_replies(&mut self, socket: &mut ViewerSocket) -> io::Result<bool> {
        let output = self.session.take_output();
        if output.is_empty() {
            return Ok(false);
        }
        socket.send_control(output, Instant::now().into_std())?;
        Ok(true)
    }

    /// Returns the session's next event. Commands that cannot be read are logged and passed over.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            match self.session.poll_event()? {
                Event::Unreadable(error) => {
                    warn!(peer:% = self.peer, why:% = error; "RTMP command ignored: it cannot be read");
                }
                event => return Some(event),
            }
        }
    }

    /// The reason the connection has to go after what it sent, if it has to.
    pub fn violation(&self, fed: Result<(), SessionError>, socket: &ViewerSocket) -> Option<LeaveReason> {
        match fed {
            Err(error) => Some(LeaveReason::Closed(self.describe(&error))),
            Ok(()) => (socket.control_bytes() > CONTROL_MAX_BYTES)
                .then(|| LeaveReason::Closed("replies are not read".to_owned())),
        }
    }

    /// Asks the peer to use another connection than `wire`, to that node if one is given. Returns whether it takes such
    /// requests. A peer that connected with TLS is not led to an address without it: its keys would go there in the clear.
    pub fn request_reconnect(&mut self, wire: &Wire, to: Option<&NodeUrl>) -> bool {
        let to = to.filter(|node| node.is_tls() || !wire.is_tls());
        self.session.request_reconnect("This node stops: use a new connection.", to)
    }

    fn describe(&self, error: &SessionError) -> String {
        match error {
            SessionError::Handshake(HandshakeError::Tls) => {
                format!("{error}; {}", self.services.settings.tls_elsewhere)
            }
            _ => error.to_string(),
        }
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").field("peer", &self.peer).finish_non_exhaustive()
    }
}
