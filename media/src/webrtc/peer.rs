//! One viewer's connection: ICE, DTLS, SRTP and RTCP. The only module that names str0m, whose releases break its interface
//! every few weeks: an offer goes in and an answer comes out, units go in and datagrams come out, datagrams go in and events
//! come out.

mod codecs;
mod dtls;

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use str0m::{
    Candidate, Event, Input, Output, Rtc,
    change::SdpOffer,
    format::Codec,
    ice::StunMessage,
    media::{Direction, MediaKind, Mid, Pt},
    net::{Protocol, Receive, TcpType},
    rtp::RtpWrite,
};
use thiserror::Error;

use self::codecs::{codec_of, config};
use crate::webrtc::{
    audio::unit::{AudioUnit, OPUS_TICKS_PER_MS},
    offer::{OfferError, with_one_stream, without_candidates},
    packetizer::{MediaProfile, VIDEO_TICKS_PER_MS, VideoProfile},
    video_feed::VideoPacket,
};

/// Media that is this much older than the clock says is of a timeline that has jumped.
const CLOCK_JUMP: Duration = Duration::from_secs(10);

/// The addresses and limits that peers of a node have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSettings {
    /// The addresses that answers offer, for UDP.
    pub udp: Vec<SocketAddr>,
    /// The addresses that answers offer for TCP connections of viewers.
    pub tcp: Vec<SocketAddr>,
    /// Packets of video that are kept for retransmission.
    pub rtx_packets: usize,
}

/// A viewer's connection.
pub struct Peer {
    rtc: Rtc,
    ufrag: String,
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    video: Option<Sender>,
    audio: Option<Sender>,
    /// A moment, and the time of the media that came then, in milliseconds of the timeline.
    clock: Option<(Instant, i64)>,
    /// When the library next has something to do.
    wake_at: Instant,
}

/// The protocol that carries a peer's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection of the viewer's (RFC 6544).
    Tcp,
}

/// The viewer's side of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress {
    /// The protocol.
    pub transport: Transport,
    /// The address.
    pub remote: SocketAddr,
}

impl From<Transport> for Protocol {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
        }
    }
}

impl From<Protocol> for Transport {
    /// There are candidates of these two alone.
    fn from(protocol: Protocol) -> Self {
        if protocol == Protocol::Tcp { Self::Tcp } else { Self::Udp }
    }
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

/// The destination of an RTP stream.
#[derive(Debug)]
struct Sender {
    mid: Mid,
    payload_type: Pt,
    next_number: u64,
}

impl Peer {
    /// Answers an offer for a stream of this profile. The answer is complete: no candidates follow.
    pub fn answer(
        offer: &str,
        profile: MediaProfile,
        settings: &PeerSettings,
        now: Instant,
    ) -> Result<(Self, String), OfferError> {
        let offer = without_candidates(offer)?;
        let offer = SdpOffer::from_sdp_string(&offer).map_err(malformed)?;
        let mut rtc = config(profile, settings.rtx_packets).set_crypto_provider(dtls::crypto()).build(now);
        for address in &settings.udp {
            let candidate = Candidate::host(*address, Protocol::Udp).map_err(malformed)?;
            rtc.add_local_candidate(candidate);
        }
        for address in &settings.tcp {
            let candidate = Candidate::builder().tcp().host(*address).tcptype(TcpType::Passive).build();
            rtc.add_local_candidate(candidate.map_err(malformed)?);
        }
        let answer = rtc.sdp_api().accept_offer(offer).map_err(malformed)?;
        let ufrag = rtc.direct_api().local_ice_credentials().ufrag;
        let (udp, tcp) = (settings.udp.clone(), settings.tcp.clone());
        let mut peer = Self { rtc, ufrag, udp, tcp, video: None, audio: None, clock: None, wake_at: now };
        let answer = with_one_stream(&answer.to_sdp_string());
        peer.find_senders(&answer, profile)?;
        Ok((peer, answer))
    }

    /// Returns the name by which the viewer's first datagrams are known; see [`ufrag`].
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// Returns when the peer next wants [`wake`](Self::wake).
    pub fn wake_at(&self) -> Instant {
        self.wake_at
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
        let local = self.candidate_for(from, local);
        match Receive::new(from.transport.into(), from.remote, local, datagram) {
            Ok(received) => self.rtc.handle_input(Input::Receive(now, received)).map_err(failed),
            Err(_) => Ok(()),
        }
    }

    /// Queues a packet of video; [`wake`](Self::wake) sends it. To be called once the peer is connected.
    pub fn write_video(&mut self, packet: VideoPacket<'_>, now: Instant) {
        let at = self.wall_clock(packet.ticks / VIDEO_TICKS_PER_MS, now);
        let Some(video) = &mut self.video else { return };
        video.write(&mut self.rtc, packet.ticks, at, packet.payload, packet.is_last);
    }

    /// Queues a packet of audio; [`wake`](Self::wake) sends it. To be called once the peer is connected.
    pub fn write_audio(&mut self, unit: &AudioUnit, now: Instant) {
        let at = self.wall_clock(unit.ticks / OPUS_TICKS_PER_MS, now);
        let Some(audio) = &mut self.audio else { return };
        audio.write(&mut self.rtc, unit.ticks, at, &unit.payload, false);
    }

    /// Lets time pass, and hands out the datagrams that are to be sent, with their destinations.
    pub fn wake(
        &mut self,
        now: Instant,
        mut send: impl FnMut(PeerAddress, &[u8]),
    ) -> Result<PeerNews, PeerError> {
        let mut news = PeerNews::default();
        self.rtc.handle_input(Input::Timeout(now)).map_err(failed)?;
        loop {
            match self.rtc.poll_output().map_err(failed)? {
                Output::Timeout(at) => {
                    self.wake_at = at;
                    break;
                }
                Output::Transmit(datagram) => {
                    let transport = datagram.proto.into();
                    send(PeerAddress { transport, remote: datagram.destination }, &datagram.contents);
                }
                Output::Event(event) => news.note(&event),
            }
        }
        news.is_closed |= !self.rtc.is_alive();
        Ok(news)
    }

    /// Reports to the viewer that the session is over; [`wake`](Self::wake) sends it.
    pub fn close(&mut self) {
        // It is dropped next, whatever comes of this.
        let _ = self.rtc.close();
    }

    /// Media can be sent.
    pub fn is_connected(&self) -> bool {
        self.rtc.is_connected()
    }

    /// Returns whether the viewer receives audio.
    pub fn has_audio(&self) -> bool {
        self.audio.is_some()
    }

    /// Finds what can be sent. The library accepts offers of which it rejects everything.
    fn find_senders(&mut self, answer: &str, profile: MediaProfile) -> Result<(), OfferError> {
        for mid in answer.lines().filter_map(|line| line.strip_prefix("a=mid:")).map(Mid::from) {
            let Some(media) = self.rtc.media(mid) else { continue };
            let kind = media.kind();
            if !matches!(media.direction(), Direction::SendOnly | Direction::SendRecv) {
                continue;
            }
            let Some(payload_type) = self.payload_type(mid, kind, profile) else { continue };
            let sender = Sender { mid, payload_type, next_number: 1 };
            match kind {
                MediaKind::Video if self.video.is_none() => self.video = Some(sender),
                MediaKind::Audio if self.audio.is_none() => self.audio = Some(sender),
                _ => {}
            }
        }
        match profile.video {
            Some(video) if self.video.is_none() => Err(OfferError::NoCodec(video.name())),
            None if self.audio.is_none() => Err(OfferError::NoCodec("Opus")),
            _ => Ok(()),
        }
    }

    /// Chooses among the payload types that were agreed on: that of the stream's profile, or else any. Browsers decode High
    /// profile though they do not offer it.
    fn payload_type(&self, mid: Mid, kind: MediaKind, profile: MediaProfile) -> Option<Pt> {
        let agreed = self.rtc.media(mid)?.remote_pts();
        let params = self.rtc.codec_config().params();
        let of_kind = |codec: Codec| match kind {
            MediaKind::Video => profile.video.is_some_and(|video| codec == codec_of(video)),
            MediaKind::Audio => codec == Codec::Opus,
        };
        let mut usable =
            params.iter().filter(|param| of_kind(param.spec().codec) && agreed.contains(&param.pt()));
        let is_same = |id: u32| profile.video == Some(VideoProfile::H264((id >> 16) as u8));
        let same = usable.clone().find(|param| param.spec().format.profile_level_id.is_some_and(is_same));
        same.or_else(|| usable.next()).map(|param| param.pt())
    }

    /// Maps a media time to the clock, so that sender reports say how audio and video belong together. A time ahead of the
    /// clock would make the library's reports useless.
    fn wall_clock(&mut self, media_ms: i64, now: Instant) -> Instant {
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

impl Sender {
    fn write(&mut self, rtc: &mut Rtc, ticks: i64, at: Instant, payload: &Arc<[u8]>, is_last: bool) {
        let mut api = rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(self.mid, None) else { return };
        // RTP times wrap (RFC 3550, section 5.1).
        let time = ticks as u32;
        let packet = RtpWrite::new(self.payload_type, self.next_number.into(), time, at, payload.clone());
        stream.write_rtp(packet.marker(is_last).nackable(true));
        self.next_number += 1;
    }
}

impl PeerNews {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Connected => self.is_connected = true,
            Event::KeyframeRequest(_) => self.wants_keyframe = true,
            Event::Closed => self.is_closed = true,
            _ => {}
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Returns the name of the peer that a datagram is for, if it is a check that says it (RFC 8445, section 7.2.2).
pub fn ufrag(datagram: &[u8]) -> Option<String> {
    let message = StunMessage::parse(datagram).ok()?;
    let (ours, _) = message.is_binding_request().then(|| message.split_username())??;
    Some(ours.to_owned())
}

/// Returns whether a datagram is a connectivity check (RFC 7983, section 7).
pub fn is_check(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4)
}

fn malformed(error: impl fmt::Display) -> OfferError {
    OfferError::Malformed(error.to_string())
}

fn failed(error: impl fmt::Display) -> PeerError {
    PeerError(error.to_string())
}

#[cfg(test)]
mod tests;
