//! A WebRTC player without I/O: an offer, and datagrams in and out. Its socket is its owner's.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use str0m::{
    Candidate, Event, Input, Output, Rtc, RtcConfig, RtcError,
    change::{SdpAnswer, SdpPendingOffer},
    media::{Direction, MediaKind},
    net::{Protocol, Receive},
};
use thiserror::Error;

/// A player of one session, on one UDP socket.
pub struct Player {
    rtc: Rtc,
    local: SocketAddr,
    pending: Option<SdpPendingOffer>,
    wake_at: Instant,
    packets: Vec<ReceivedPacket>,
    is_closed: bool,
}

/// An RTP packet that was decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedPacket {
    /// The clock rate of its times, in Hz: 90,000 for video, 48,000 for audio.
    pub clock_hz: u32,
    /// Its number in its stream, extended beyond 16 bits.
    pub number: u64,
    /// Its time, in ticks of the clock rate.
    pub time: u32,
    /// The payload.
    pub payload: Arc<[u8]>,
}

/// The reason a player cannot go on.
#[derive(Debug, Error)]
pub enum PlayerError {
    /// The address, the answer or a datagram is not what the library takes.
    #[error("session: {0}")]
    Session(#[from] RtcError),
    /// There is no offer that an answer could belong to.
    #[error("the offer has been answered already")]
    Answered,
}

impl Player {
    /// Offers to receive H.264 or H.265, and Opus, at an address to which the server can send.
    pub fn offer(local: SocketAddr, now: Instant) -> Result<(Self, String), PlayerError> {
        let config = RtcConfig::new().set_rtp_mode(true).clear_codecs().enable_opus(true, false);
        let mut rtc = config.enable_h264(true).enable_h265(true).build(now);
        rtc.add_local_candidate(Candidate::host(local, Protocol::Udp).map_err(RtcError::from)?);
        let mut api = rtc.sdp_api();
        for kind in [MediaKind::Video, MediaKind::Audio] {
            api.add_media(kind, Direction::RecvOnly, None, None, None);
        }
        let (offer, pending) = api.apply().ok_or(PlayerError::Answered)?;
        let player =
            Self { rtc, local, pending: Some(pending), wake_at: now, packets: Vec::new(), is_closed: false };
        Ok((player, offer.to_sdp_string()))
    }

    /// Takes the answer; the next [`wake`](Self::wake) sends the first connectivity check.
    pub fn accept(&mut self, answer: &str) -> Result<(), PlayerError> {
        let answer = SdpAnswer::from_sdp_string(answer).map_err(RtcError::from)?;
        let pending = self.pending.take().ok_or(PlayerError::Answered)?;
        Ok(self.rtc.sdp_api().accept_answer(pending, answer)?)
    }

    /// Takes a datagram, and sends what it causes. One that cannot be read is left out.
    pub fn receive(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        now: Instant,
        send: impl FnMut(SocketAddr, &[u8]),
    ) -> Result<(), PlayerError> {
        if let Ok(received) = Receive::new(Protocol::Udp, from, self.local, datagram) {
            self.rtc.handle_input(Input::Receive(now, received))?;
            self.poll(send)?;
        }
        Ok(())
    }

    /// Lets time pass: checks, reports and requests for lost packets are sent.
    pub fn wake(&mut self, now: Instant, send: impl FnMut(SocketAddr, &[u8])) -> Result<(), PlayerError> {
        self.rtc.handle_input(Input::Timeout(now))?;
        self.poll(send)
    }

    /// Returns when [`wake`](Self::wake) is due.
    pub fn wake_at(&self) -> Instant {
        self.wake_at
    }

    /// Returns whether media can be decrypted.
    pub fn is_connected(&self) -> bool {
        self.rtc.is_connected()
    }

    /// Returns whether the server closed the session.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Returns the packets that were decrypted since the last call, in the order of their arrival.
    pub fn take_packets(&mut self) -> Vec<ReceivedPacket> {
        std::mem::take(&mut self.packets)
    }

    fn poll(&mut self, mut send: impl FnMut(SocketAddr, &[u8])) -> Result<(), PlayerError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.wake_at = at;
                    return Ok(());
                }
                Output::Transmit(datagram) => send(datagram.destination, &datagram.contents),
                Output::Event(Event::RtpPacket(packet)) => self.packets.push(ReceivedPacket {
                    clock_hz: packet.time.frequency().get(),
                    number: *packet.seq_no,
                    time: packet.header.timestamp,
                    payload: packet.payload,
                }),
                Output::Event(Event::Closed) => self.is_closed = true,
                Output::Event(_) => {}
            }
        }
    }
}

/// Returns whether a datagram belongs to a session's connection, and not to its media (RFC 7983, section 7).
pub fn is_of_connection(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 64)
}
