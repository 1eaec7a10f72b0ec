//! One viewer's connection: ICE, DTLS, SRTP and RTCP. Only this module and those below it name str0m, whose releases break
//! its interface every few weeks: an offer goes in and an answer comes out, units go in and datagrams come out, datagrams go
//! in and events come out.
//!
//! The library negotiates, connects and shakes hands. RTP and RTCP are ours, from the keys of the handshake on: the library's
//! way of a packet, through a queue, a pacer, a cache and a copy, takes most of the CPU of a viewer.

mod address;
mod check;
mod codecs;
mod datagram_sink;
mod dtls;
mod encryption;
mod media_path;
mod replay_window;
mod rtcp;
mod rtp_stream;
mod srtp;
mod srtp_keys;
mod terms;
mod wall_clock;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use str0m::{
    Candidate, Event, Input, Output, Rtc,
    change::SdpOffer,
    net::{Protocol, Receive, TcpType},
};
use thiserror::Error;

pub use self::{
    address::{PeerAddress, Transport},
    check::{CheckKey, is_check, ufrag},
    datagram_sink::DatagramSink,
    wall_clock::WallClock,
};
use self::{
    check::is_media,
    codecs::config,
    datagram_sink::put,
    encryption::Encryption,
    media_path::MediaPath,
    rtcp::{Feedback, read_feedback, write_reports},
    rtp_stream::{Packet, Path, RtpStream},
};
use crate::webrtc::{
    audio::unit::{AudioUnit, OPUS_TICKS_PER_MS},
    offer::{OfferError, reduced, with_one_stream},
    packetizer::{MediaProfile, VIDEO_TICKS_PER_MS},
    video_feed::VideoPacket,
};

/// Media that is this much older than the clock says is of a timeline that has jumped.
const CLOCK_JUMP: Duration = Duration::from_secs(10);

/// Interval of sender reports. Players keep audio and video together by them; 5 s left them a fifth of a second apart for that long.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The addresses and limits that peers of a node have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSettings {
    /// The addresses that answers offer, for UDP.
    pub udp: Vec<SocketAddr>,
    /// The addresses that answers offer for TCP connections of viewers.
    pub tcp: Vec<SocketAddr>,
    /// Packets of video that are kept for retransmission.
    pub rtx_packets: usize,
    /// The clock of sender reports.
    pub clock: WallClock,
}

/// A viewer's connection.
pub struct Peer {
    /// ICE and DTLS. Media goes past it.
    rtc: Rtc,
    check_key: CheckKey,
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    video: Option<RtpStream>,
    audio: Option<RtpStream>,
    /// Since the handshake.
    encryption: Option<Encryption>,
    path: MediaPath,
    /// The host's address at which the library's newest datagram arrived. Its answer, which follows at once, goes out from there.
    local: Option<IpAddr>,
    /// A moment, and the time of the media that came then, in milliseconds of the timeline.
    clock: Option<(Instant, i64)>,
    wall_clock: WallClock,
    /// The library has taken something since its last turn.
    is_due: bool,
    /// The time at which the library next has something to do.
    wake_at: Instant,
    /// The time at which the next sender reports are due.
    reports_at: Instant,
    wants_keyframe: bool,
}

/// The result of a peer's turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerNews {
    /// Media can be sent from now on.
    pub is_connected: bool,
    /// The viewer cannot go on without a keyframe.
    pub wants_keyframe: bool,
    /// The viewer closed the connection.
    pub is_closed: bool,
}

/// A peer has failed, and is to be dropped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PeerError(String);

impl Peer {
    /// Answers an offer for a stream of this profile. The answer is complete: no candidates follow.
    pub fn answer(
        offer: &str,
        profile: MediaProfile,
        settings: &PeerSettings,
        now: Instant,
    ) -> Result<(Self, String), OfferError> {
        let offer = SdpOffer::from_sdp_string(&reduced(offer)?).map_err(|_| OfferError::NoSdp)?;
        let mut rtc = config(profile).set_crypto_provider(dtls::crypto()).build(now);
        for address in &settings.udp {
            let candidate = Candidate::host(*address, Protocol::Udp).map_err(malformed)?;
            rtc.add_local_candidate(candidate);
        }
        for address in &settings.tcp {
            let candidate = Candidate::builder().tcp().host(*address).tcptype(TcpType::Passive).build();
            rtc.add_local_candidate(candidate.map_err(malformed)?);
        }
        let answer = rtc.sdp_api().accept_offer(offer).map_err(malformed)?;
        let credentials = rtc.direct_api().local_ice_credentials();
        let answer = with_one_stream(&answer.to_sdp_string());
        let terms = terms::find(&mut rtc, &answer, profile)?;
        let peer = Self {
            rtc,
            check_key: CheckKey::new(credentials.ufrag, credentials.pass),
            udp: settings.udp.clone(),
            tcp: settings.tcp.clone(),
            video: terms.video.map(|terms| RtpStream::new(terms, settings.rtx_packets)),
            audio: terms.audio.map(|terms| RtpStream::new(terms, 0)),
            encryption: None,
            path: MediaPath::default(),
            local: None,
            clock: None,
            wall_clock: settings.clock,
            is_due: true,
            wake_at: now,
            reports_at: now,
            wants_keyframe: false,
        };
        Ok((peer, answer))
    }

    /// Returns the credentials by which the viewer's checks are known.
    pub fn check_key(&self) -> &CheckKey {
        &self.check_key
    }

    /// Returns when the peer next wants [`wake`](Self::wake).
    pub fn wake_at(&self) -> Instant {
        // Before the first media there is nothing to report.
        self.clock.map_or(self.wake_at, |_| self.wake_at.min(self.reports_at))
    }

    /// Takes a datagram, or a packet of a TCP connection. `local` is the address at which it arrived. One that cannot
    /// be read is dropped.
    pub fn receive(
        &mut self,
        datagram: &[u8],
        from: PeerAddress,
        local: SocketAddr,
        now: Instant,
    ) -> Result<(), PeerError> {
        if is_media(datagram) {
            if self.receive_feedback(datagram) {
                self.path.confirm(from);
            }
            return Ok(());
        }
        if let Some(nomination) = self.check_key.nomination(datagram, from) {
            self.path.nominate(nomination, self.encryption.is_some(), now);
        }
        let local = self.candidate_for(from, local);
        let Ok(received) = Receive::new(from.transport.into(), from.remote, local, datagram) else {
            return Ok(());
        };
        (self.is_due, self.local) = (true, from.local);
        let taken = self.rtc.handle_input(Input::Receive(now, received));
        self.keep_keys();
        taken.map_err(failed)
    }

    /// Sends a packet of video. Before the peer is connected, it is dropped.
    pub fn write_video(&mut self, packet: VideoPacket<'_>, now: Instant, sink: &mut impl DatagramSink) {
        let at = self.media_clock(packet.ticks / VIDEO_TICKS_PER_MS, now);
        let (Some(video), Some(encryption), Some(to)) =
            (&mut self.video, &mut self.encryption, self.path.to())
        else {
            return;
        };
        // RTP times wrap (RFC 3550, section 5.1).
        let VideoPacket { is_last, padding_bytes, .. } = packet;
        let (time, payload) = (packet.ticks as u32, packet.payload.clone());
        let packet = Packet { time, is_last, payload, padding_bytes };
        video.send(packet, at, &mut Path { to, srtp: &mut encryption.sender, sink });
    }

    /// Sends a packet of audio. Before the peer is connected, it is dropped.
    pub fn write_audio(&mut self, unit: &AudioUnit, now: Instant, sink: &mut impl DatagramSink) {
        let at = self.media_clock(unit.ticks / OPUS_TICKS_PER_MS, now);
        let (Some(audio), Some(encryption), Some(to)) =
            (&mut self.audio, &mut self.encryption, self.path.to())
        else {
            return;
        };
        let (time, payload) = (unit.ticks as u32, unit.payload.clone());
        let packet = Packet { time, is_last: false, payload, padding_bytes: 0 };
        audio.send(packet, at, &mut Path { to, srtp: &mut encryption.sender, sink });
    }

    /// Lets time pass, and sends what is due besides media: answers, reports and retransmissions.
    pub fn wake(&mut self, now: Instant, sink: &mut impl DatagramSink) -> Result<PeerNews, PeerError> {
        let mut news = PeerNews::default();
        if self.is_due || self.wake_at <= now {
            self.turn(now, sink, &mut news)?;
        }
        if self.clock.is_some() && self.reports_at <= now {
            self.send_reports(now, sink);
        }
        let to = self.path.to();
        if let (Some(video), Some(encryption), Some(to)) = (&mut self.video, &mut self.encryption, to) {
            video.resend(&mut Path { to, srtp: &mut encryption.sender, sink });
        }
        news.wants_keyframe = std::mem::take(&mut self.wants_keyframe);
        Ok(news)
    }

    /// Runs the library's timers. Its sender reports, of streams to which it sent nothing, are left out: the peer sends its own.
    fn turn(
        &mut self,
        now: Instant,
        sink: &mut impl DatagramSink,
        news: &mut PeerNews,
    ) -> Result<(), PeerError> {
        self.rtc.handle_input(Input::Timeout(now)).map_err(failed)?;
        self.is_due = false;
        loop {
            let output = self.rtc.poll_output();
            self.keep_keys();
            match output.map_err(failed)? {
                Output::Timeout(at) => {
                    self.wake_at = at;
                    break;
                }
                Output::Transmit(datagram) => {
                    let (transport, remote) = (datagram.proto.into(), datagram.destination);
                    let to = PeerAddress { transport, remote, local: self.local };
                    self.transmit(to, &datagram.contents, sink);
                }
                Output::Event(event) => news.note(&event),
            }
        }
        news.is_closed |= !self.rtc.is_alive();
        Ok(())
    }

    /// Sends a datagram of the library's. Answers to checks go back to where those came from, all others the way of media.
    fn transmit(&mut self, to: PeerAddress, datagram: &[u8], sink: &mut impl DatagramSink) {
        if is_check(datagram) {
            put(sink, to, datagram);
        } else if !is_media(datagram) {
            self.path.note_library(to);
            put(sink, self.path.to().unwrap_or(to), datagram);
        }
    }

    /// Sends sender reports.
    fn send_reports(&mut self, now: Instant, sink: &mut impl DatagramSink) {
        let ntp = self.wall_clock.ntp(now);
        let streams = [&self.video, &self.audio].into_iter().flatten();
        let reports: Vec<_> = streams.filter_map(|stream| stream.report(now, ntp)).collect();
        let (Some(encryption), Some(to)) = (&mut self.encryption, self.path.to()) else { return };
        if reports.is_empty() {
            return;
        }
        self.reports_at = now + REPORT_INTERVAL;
        if let Some(sealed) = encryption.sender.protect_rtcp(&write_reports(&reports)) {
            put(sink, to, &sealed);
        }
    }

    /// Takes the viewer's reports. Those about other streams are left out. Returns whether they are the viewer's, and new.
    fn receive_feedback(&mut self, datagram: &[u8]) -> bool {
        let Self { video, audio, wants_keyframe, encryption, .. } = self;
        let opened = encryption.as_mut().and_then(|encryption| encryption.receiver.open(datagram));
        let Some(opened) = opened else { return false };
        read_feedback(&opened, |feedback| match feedback {
            Feedback::Received { ssrc } => {
                let streams = [&mut *video, &mut *audio].into_iter().flatten();
                streams.filter(|stream| stream.ssrc() == ssrc).for_each(RtpStream::note_received);
            }
            Feedback::Lost { ssrc, number } => {
                video
                    .iter_mut()
                    .filter(|video| video.ssrc() == ssrc)
                    .for_each(|video| video.note_lost(number));
            }
            Feedback::WantsKeyframe { ssrc } => {
                *wants_keyframe |= video.as_ref().is_some_and(|video| video.ssrc() == ssrc);
            }
        });
        true
    }

    /// Keeps the keys that the library's last call has brought.
    fn keep_keys(&mut self) {
        if let Some(keys) = dtls::take_keys() {
            self.encryption = Encryption::new(&keys, &dtls::crypto());
        }
    }

    /// Reports to the viewer that the session is over; [`wake`](Self::wake) sends it.
    pub fn close(&mut self) {
        self.is_due = true;
        // It is dropped next, whatever comes of this.
        let _ = self.rtc.close();
    }

    /// Media can be sent.
    pub fn is_connected(&self) -> bool {
        self.rtc.is_connected() && self.encryption.is_some()
    }

    /// Returns whether the viewer receives audio.
    pub fn has_audio(&self) -> bool {
        self.audio.is_some()
    }

    /// Maps a media time to the clock, so that sender reports say how audio and video belong together. None is ahead of the
    /// clock: reports count on from it.
    fn media_clock(&mut self, media_ms: i64, now: Instant) -> Instant {
        let (base, base_ms) = *self.clock.get_or_insert((now, media_ms));
        let since = Duration::from_millis(media_ms.abs_diff(base_ms));
        let at = if media_ms >= base_ms { base.checked_add(since) } else { base.checked_sub(since) };
        match at.filter(|at| *at <= now && now.duration_since(*at) < CLOCK_JUMP) {
            Some(at) => at,
            None => {
                self.clock = Some((now, media_ms));
                now
            }
        }
    }

    /// The candidate that a datagram arrived at. Behind address translation that is none of the host's own addresses.
    fn candidate_for(&self, from: PeerAddress, local: SocketAddr) -> SocketAddr {
        let offered = match from.transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
        };
        let of_family = || offered.iter().find(|known| known.is_ipv4() == from.remote.is_ipv4());
        let known = offered.iter().find(|known| **known == local).or_else(of_family);
        known.copied().unwrap_or(local)
    }
}

impl PeerNews {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Connected => self.is_connected = true,
            Event::Closed => self.is_closed = true,
            _ => {}
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("check_key", &self.check_key).finish_non_exhaustive()
    }
}

fn malformed(error: impl fmt::Display) -> OfferError {
    OfferError::Malformed(error.to_string())
}

fn failed(error: impl fmt::Display) -> PeerError {
    PeerError(error.to_string())
}

#[cfg(test)]
mod tests;
