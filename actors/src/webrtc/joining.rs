//! A viewer that has an answer, and is not connected yet.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use synctv_media::{access::AddressKey, stream::room::RoomName, webrtc::packetizer::MediaProfile};

use super::{batch_sender::BatchSender, link::ViewerLink, session_id::SessionId, socket::Datagram};
use crate::{
    access::Session as AccessSession, connection_limit::ConnectionPermit, viewer_session::LeaveReason,
};

/// Time limit for a viewer to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The viewer. It is on the port's thread: a handshake takes as long as the media of a hundred viewers.
pub(super) struct JoiningViewer {
    pub id: SessionId,
    /// The media that its offer was answered for.
    pub profile: MediaProfile,
    pub link: ViewerLink,
    /// The address that its request came from.
    pub address: SocketAddr,
    pub access: Option<AccessSession>,
    pub places: Places,
    /// The time of its request.
    pub since: Instant,
}

/// The counters of a viewer.
#[derive(Debug)]
pub(super) struct Places {
    pub viewer: ConnectionPermit,
    /// Until it has connected. A viewer that waits for the stream's codecs has none yet.
    pub _joining: ConnectionPermit,
}

impl JoiningViewer {
    /// Takes what the viewer sent. Returns whether it is connected.
    pub fn receive(
        &mut self,
        datagram: &Datagram,
        sender: &BatchSender,
        now: Instant,
    ) -> Result<bool, LeaveReason> {
        self.link.receive(datagram, sender, now)?;
        self.turn(sender, now)
    }

    /// Lets time pass: parts of the handshake are sent again. Returns whether the viewer is connected.
    pub fn tick(&mut self, sender: &BatchSender, now: Instant) -> Result<bool, LeaveReason> {
        let cut = self.access.as_ref().and_then(AccessSession::cut);
        if let Some(cut) = cut {
            return Err(LeaveReason::Cut(cut));
        }
        if now.duration_since(self.since) >= CONNECT_TIMEOUT {
            return Err(LeaveReason::Stalled(CONNECT_TIMEOUT));
        }
        if self.link.wake_at() > now { Ok(false) } else { self.turn(sender, now) }
    }

    /// Returns the address as that of one client.
    pub fn address_key(&self) -> AddressKey {
        self.address.ip().into()
    }

    /// Returns whether the viewer has sent nothing since its request.
    pub fn is_silent(&self) -> bool {
        self.link.checked().is_none()
    }

    fn turn(&mut self, sender: &BatchSender, now: Instant) -> Result<bool, LeaveReason> {
        let news = self.link.transmit(sender, now)?;
        if news.is_closed { Err(LeaveReason::Stopped) } else { Ok(news.is_connected) }
    }

    /// Ends the viewer's attempt, and logs why. Users cannot find out by themselves why nothing comes: usually the addresses
    /// that were `offered` are not those of the outside, or a firewall lets no UDP through.
    pub fn leave(
        mut self,
        reason: &LeaveReason,
        room: &RoomName,
        offered: &[SocketAddr],
        sender: &BatchSender,
        now: Instant,
    ) {
        self.link.close(sender, now);
        let why = match (reason, self.link.checked()) {
            (LeaveReason::Stalled(_), None) => "no connectivity check arrived".to_owned(),
            (LeaveReason::Stalled(_), Some(_)) => "checks arrived, but the handshake did not end".to_owned(),
            (reason, _) => reason.to_string(),
        };
        log::warn!(room = room.as_str(), peer:% = self.address, why = why.as_str(),
            offered:? = offered, seconds = now.duration_since(self.since).as_secs();
            "WebRTC viewer did not connect");
    }
}
