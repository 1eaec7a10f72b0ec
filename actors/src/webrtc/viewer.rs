//! One WebRTC viewer, from its offer until it left.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use synctv_media::webrtc::{
    audio::unit::AudioUnit,
    gop::RtpGop,
    packetizer::{MediaProfile, VideoUnit},
    peer::{DatagramSink, Peer, PeerAddress, PeerNews, Transport, is_check},
    video_feed::VideoFeed,
};

use super::{
    batch_sender::{BatchSender, Sent},
    messages::{NewViewer, Places},
    session_id::SessionId,
    socket::Datagram,
    tcp_writer::TcpWriter,
};
use crate::{
    access::Session as AccessSession,
    events::EndReason,
    metrics::ViewerProtocol,
    stream::StreamHandle,
    viewer_session::{Delivered, LeaveReason, ViewerSession},
};

/// Time limit for a viewer to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit for a silent viewer. Browsers check their connection every few seconds (RFC 7675).
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A viewer.
pub(super) struct Viewer {
    pub id: SessionId,
    /// The media that its offer was answered for.
    pub profile: MediaProfile,
    peer: Peer,
    /// The address that its request came from.
    address: SocketAddr,
    feed: VideoFeed,
    stage: Stage,
    places: Places,
    /// The host's address at which its datagrams arrive, and from which it expects answers.
    local: Option<IpAddr>,
    /// Its TCP connections; the port limits their number.
    connections: Vec<TcpWriter>,
    since: Instant,
    /// When it leaves a node that drains.
    leaves_at: Option<Instant>,
    /// Its last connectivity check, or else its offer.
    checked: Option<Instant>,
    delivered: Delivered,
}

enum Stage {
    /// It has an answer, and is not a viewer yet.
    Connecting {
        access: Option<AccessSession>,
    },
    Watching(ViewerSession),
}

/// The room's state that a viewer's turn needs.
pub(super) struct Room<'a> {
    pub stream: &'a StreamHandle,
    pub sender: &'a BatchSender,
    pub gop: &'a RtpGop,
    pub now: Instant,
}

impl Viewer {
    pub fn new(
        id: SessionId,
        peer: Peer,
        profile: MediaProfile,
        viewer: NewViewer,
        places: Places,
        now: Instant,
    ) -> Self {
        Self {
            id,
            profile,
            peer,
            address: viewer.peer,
            feed: VideoFeed::default(),
            stage: Stage::Connecting { access: viewer.access },
            places,
            local: None,
            connections: Vec::new(),
            since: now,
            leaves_at: None,
            checked: None,
            delivered: Delivered::default(),
        }
    }

    /// Takes what the viewer sent.
    pub fn receive(&mut self, datagram: &Datagram, room: &Room<'_>) -> Result<(), LeaveReason> {
        let transport = self.transport(datagram);
        if is_check(&datagram.bytes) {
            self.checked = Some(room.now);
            if transport == Transport::Udp {
                self.local = datagram.local;
            }
        }
        let bound = room.sender.socket().bound();
        let local = SocketAddr::new(datagram.local.unwrap_or(bound.ip()), bound.port());
        let from = PeerAddress { transport, remote: datagram.remote };
        self.peer.receive(&datagram.bytes, from, local, room.now).map_err(failed)?;
        self.wake(room)
    }

    /// Keeps the connection that a packet came on, for what is sent there.
    fn transport(&mut self, datagram: &Datagram) -> Transport {
        let Some(connection) = &datagram.connection else { return Transport::Udp };
        if !self.connections.iter().any(|writer| writer.is_of(connection)) {
            // Another one from the same address is closed by now.
            self.connections.retain(|writer| writer.remote != datagram.remote);
            self.connections.push(TcpWriter::new(datagram.remote, connection.clone()));
        }
        Transport::Tcp
    }

    /// Sends the next frame of video, or lets it wait for its turn. [`wake`](Self::wake) has to follow.
    pub fn push_video(&mut self, unit: &std::sync::Arc<VideoUnit>, room: &Room<'_>) {
        if let Stage::Watching(_) = self.stage {
            let (peer, feed, mut path) = self.path(room);
            feed.push(unit, |packet| peer.write_video(packet, room.now, &mut path));
        }
    }

    /// Sends the next packet of audio. [`wake`](Self::wake) has to follow.
    pub fn push_audio(&mut self, unit: &AudioUnit, room: &Room<'_>) {
        if let Stage::Watching(_) = self.stage {
            let (peer, _, mut path) = self.path(room);
            peer.write_audio(unit, room.now, &mut path);
        }
    }

    /// Returns whether audio is sent to it.
    pub fn gets_audio(&self) -> bool {
        matches!(self.stage, Stage::Watching(_)) && self.peer.has_audio()
    }

    /// Leaves video out up to the next keyframe.
    pub fn miss(&mut self) {
        self.feed.miss();
    }

    /// Lets time pass: replays go on, reports and retransmissions go out.
    pub fn tick(&mut self, room: &Room<'_>) -> Result<(), LeaveReason> {
        if !self.feed.is_replaying() && self.peer.wake_at() > room.now {
            return Ok(());
        }
        self.send_due(room);
        self.wake(room)
    }

    /// Sends what was written, and what is due.
    pub fn wake(&mut self, room: &Room<'_>) -> Result<(), LeaveReason> {
        let news = self.transmit(room)?;
        if news.is_connected {
            self.begin(room.stream);
            self.feed.start(room.gop, room.now);
        }
        let restarts = news.wants_keyframe && self.feed.restart(room.gop, room.now);
        if news.is_connected || restarts {
            self.send_due(room);
            self.transmit(room)?;
            self.count();
        }
        if news.is_closed { Err(LeaveReason::Stopped) } else { Ok(()) }
    }

    /// Has the viewer leave at this time, because the node drains. It looks for another node then.
    pub fn leave_at(&mut self, moment: Instant) {
        self.leaves_at = Some(moment);
    }

    /// Returns why the viewer is not served any longer, if it is not. To be asked about once a second.
    pub fn leave_reason(&self, now: Instant) -> Option<LeaveReason> {
        if self.leaves_at.is_some_and(|moment| moment <= now) {
            return Some(LeaveReason::Ended(EndReason::NodeDraining));
        }
        match &self.stage {
            Stage::Connecting { access } => {
                let cut = access.as_ref().and_then(AccessSession::cut);
                let is_late = now.duration_since(self.since) >= CONNECT_TIMEOUT;
                cut.map(LeaveReason::Cut).or_else(|| is_late.then_some(LeaveReason::Stalled(CONNECT_TIMEOUT)))
            }
            Stage::Watching(session) => {
                let silent = now.duration_since(self.checked.unwrap_or(self.since));
                session.cut().map(LeaveReason::Cut).or_else(|| {
                    let silence = || io::Error::new(io::ErrorKind::TimedOut, "no connectivity checks");
                    (silent >= SILENCE_MAX).then(|| LeaveReason::Disconnected(silence()))
                })
            }
        }
    }

    /// Counts what was sent. To be called once a second.
    pub fn count(&mut self) {
        if let Stage::Watching(session) = &mut self.stage {
            session.awaits_media(self.delivered.sent_bytes);
            session.count(self.delivered);
        }
    }

    /// Closes the connection and logs the viewer's end. `offered`: the addresses that it was to connect to.
    pub fn leave(mut self, reason: &LeaveReason, room: &Room<'_>, offered: &[SocketAddr]) {
        self.peer.close();
        // It is over, whether or not that arrives.
        let _ = self.transmit(room);
        match &mut self.stage {
            Stage::Watching(session) => session.end(reason, self.delivered),
            Stage::Connecting { .. } => self.log_unconnected(reason, room, offered),
        }
    }

    /// Users cannot find out by themselves why nothing comes: usually the addresses are not those of the outside, or a
    /// firewall lets no UDP through.
    fn log_unconnected(&self, reason: &LeaveReason, room: &Room<'_>, offered: &[SocketAddr]) {
        let why = match (reason, self.checked) {
            (LeaveReason::Stalled(_), None) => "no connectivity check arrived".to_owned(),
            (LeaveReason::Stalled(_), Some(_)) => "checks arrived, but the handshake did not end".to_owned(),
            (reason, _) => reason.to_string(),
        };
        log::warn!(room = room.stream.room().as_str(), peer:% = self.address, why = why.as_str(),
            offered:? = offered, seconds = room.now.duration_since(self.since).as_secs();
            "WebRTC viewer did not connect");
    }

    fn begin(&mut self, stream: &StreamHandle) {
        let Stage::Connecting { access } = &mut self.stage else { return };
        let asked = tokio::time::Instant::from_std(self.since);
        let mut session =
            ViewerSession::begin(stream, self.address, ViewerProtocol::WebRtc, access.take(), asked);
        session.note_head(self.delivered.sent_bytes);
        self.stage = Stage::Watching(session);
        self.places.joining = None;
    }

    fn send_due(&mut self, room: &Room<'_>) {
        let (peer, feed, mut path) = self.path(room);
        feed.send_due(room.now, |packet| peer.write_video(packet, room.now, &mut path));
    }

    fn transmit(&mut self, room: &Room<'_>) -> Result<PeerNews, LeaveReason> {
        let (peer, _, mut path) = self.path(room);
        let woken = peer.wake(room.now, &mut path);
        note(&mut self.delivered, room.sender.flush());
        woken.map_err(failed)
    }

    /// Returns the peer, its feed, and the way of its datagrams.
    fn path<'a>(&'a mut self, room: &'a Room<'_>) -> (&'a mut Peer, &'a mut VideoFeed, ViewerPath<'a>) {
        let Self { peer, feed, local, connections, delivered, .. } = self;
        (peer, feed, ViewerPath { sender: room.sender, local: *local, connections, delivered })
    }
}

/// The way of a viewer's datagrams, and the count of them.
struct ViewerPath<'a> {
    sender: &'a BatchSender,
    local: Option<IpAddr>,
    connections: &'a mut [TcpWriter],
    delivered: &'a mut Delivered,
}

impl DatagramSink for ViewerPath<'_> {
    fn put(&mut self, to: PeerAddress, size: usize, write: impl FnOnce(&mut [u8]) -> bool) {
        let sent = match to.transport {
            Transport::Udp => self.sender.put(to.remote, self.local, size, write),
            Transport::Tcp => {
                let mut packet = vec![0; size];
                if !write(&mut packet) {
                    return;
                }
                send_on(self.connections, to.remote, &packet)
            }
        };
        note(self.delivered, sent);
    }
}

fn note(delivered: &mut Delivered, sent: Sent) {
    delivered.sent_bytes += sent.bytes;
    delivered.dropped.tags += sent.dropped;
}

/// Sends a packet on one of the viewer's connections.
fn send_on(connections: &mut [TcpWriter], remote: SocketAddr, bytes: &[u8]) -> Sent {
    let connection = connections.iter_mut().find(|connection| connection.remote == remote);
    let is_sent = connection.is_some_and(|connection| connection.send(bytes).is_ok());
    if is_sent { Sent { bytes: bytes.len() as u64, dropped: 0 } } else { Sent { bytes: 0, dropped: 1 } }
}

fn failed(error: impl fmt::Display) -> LeaveReason {
    LeaveReason::Closed(error.to_string())
}
