//! One WebRTC viewer, from when it was connected until it left.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use synctv_media::webrtc::{
    audio::unit::AudioUnit,
    gop::RtpGop,
    packetizer::{MediaProfile, VideoUnit},
    video_feed::VideoFeed,
};

use super::{
    batch_sender::BatchSender,
    joining::{JoiningViewer, Places},
    link::ViewerLink,
    session_id::SessionId,
    socket::Datagram,
};
use crate::{
    connection_limit::ConnectionPermit,
    events::EndReason,
    metrics::ViewerProtocol,
    stream::StreamHandle,
    viewer_session::{LeaveReason, ViewerSession},
};

/// Time limit for a silent viewer. Browsers check their connection every few seconds (RFC 7675).
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A viewer.
pub(super) struct Viewer {
    pub id: SessionId,
    /// The media that its offer was answered for.
    pub profile: MediaProfile,
    link: ViewerLink,
    feed: VideoFeed,
    session: ViewerSession,
    _place: ConnectionPermit,
    since: Instant,
    /// The time at which it leaves a node that drains.
    leaves_at: Option<Instant>,
}

/// The room's state that a viewer's turn needs.
pub(super) struct Room<'a> {
    pub sender: &'a BatchSender,
    pub gop: &'a RtpGop,
    pub now: Instant,
}

impl Viewer {
    /// Begins with a viewer that has connected.
    pub fn new(joined: JoiningViewer, stream: &StreamHandle) -> Self {
        let JoiningViewer {
            id,
            profile,
            link,
            address,
            access,
            places: Places { viewer: _place, .. },
            since,
        } = joined;
        let asked = tokio::time::Instant::from_std(since);
        let mut session = ViewerSession::begin(stream, address, ViewerProtocol::WebRtc, access, asked);
        session.note_head(link.delivered().sent_bytes);
        Self { id, profile, link, feed: VideoFeed::default(), session, _place, since, leaves_at: None }
    }

    /// Starts the viewer with the cached GOP.
    pub fn start(&mut self, room: &Room<'_>) -> Result<(), LeaveReason> {
        self.feed.start(room.gop, room.now);
        self.send_due(room);
        self.wake(room)?;
        self.count();
        Ok(())
    }

    /// Takes what the viewer sent.
    pub fn receive(&mut self, datagram: &Datagram, room: &Room<'_>) -> Result<(), LeaveReason> {
        self.link.receive(datagram, room.sender, room.now)?;
        self.wake(room)
    }

    /// Sends the next frame of video, or lets it wait for its turn. [`wake`](Self::wake) has to follow.
    pub fn push_video(&mut self, unit: &Arc<VideoUnit>, room: &Room<'_>) {
        let (peer, mut outlet) = self.link.outlet(room.sender);
        self.feed.push(unit, |packet| peer.write_video(packet, room.now, &mut outlet));
    }

    /// Sends the next packet of audio. [`wake`](Self::wake) has to follow.
    pub fn push_audio(&mut self, unit: &AudioUnit, room: &Room<'_>) {
        let (peer, mut outlet) = self.link.outlet(room.sender);
        peer.write_audio(unit, room.now, &mut outlet);
    }

    /// Returns whether audio is sent to it.
    pub fn gets_audio(&self) -> bool {
        self.link.has_audio()
    }

    /// Returns whether frames wait for their time to be sent.
    pub fn is_replaying(&self) -> bool {
        self.feed.is_replaying()
    }

    /// Leaves video out up to the next keyframe.
    pub fn miss(&mut self) {
        self.feed.miss();
    }

    /// Lets time pass: replays go on, and reports go out.
    pub fn tick(&mut self, room: &Room<'_>) -> Result<(), LeaveReason> {
        if !self.feed.is_replaying() && self.link.wake_at() > room.now {
            return Ok(());
        }
        self.send_due(room);
        self.wake(room)
    }

    /// Sends what was written, and what is due.
    pub fn wake(&mut self, room: &Room<'_>) -> Result<(), LeaveReason> {
        let news = self.link.transmit(room.sender, room.now)?;
        if news.wants_keyframe && self.feed.restart(room.gop, room.now) {
            self.send_due(room);
            self.link.transmit(room.sender, room.now)?;
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
        let silent = now.duration_since(self.link.checked().unwrap_or(self.since));
        self.session.cut().map(LeaveReason::Cut).or_else(|| {
            let silence = || io::Error::new(io::ErrorKind::TimedOut, "no connectivity checks");
            (silent >= SILENCE_MAX).then(|| LeaveReason::Disconnected(silence()))
        })
    }

    /// Counts what was sent. To be called once a second.
    pub fn count(&mut self) {
        let delivered = self.link.delivered();
        self.session.awaits_media(delivered.sent_bytes);
        self.session.count(delivered);
    }

    /// Closes the connection and logs the viewer's end.
    pub fn leave(mut self, reason: &LeaveReason, room: &Room<'_>) {
        self.link.close(room.sender, room.now);
        self.session.end(reason, self.link.delivered());
    }

    fn send_due(&mut self, room: &Room<'_>) {
        let (peer, mut outlet) = self.link.outlet(room.sender);
        self.feed.send_due(room.now, |packet| peer.write_video(packet, room.now, &mut outlet));
    }
}
