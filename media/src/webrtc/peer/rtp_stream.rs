//! One RTP stream to one viewer: its numbers, its packets, and those that are kept to be sent again (RFC 4588).

use std::{collections::VecDeque, sync::Arc, time::Instant};

use super::{
    address::PeerAddress,
    datagram_sink::DatagramSink,
    rtcp::Report,
    srtp::{PacketId, SrtpSender},
};

const VERSION: u8 = 2 << 6;
const HAS_PADDING: u8 = 1 << 5;
const HAS_EXTENSION: u8 = 1 << 4;
const MARKER: u8 = 1 << 7;

/// The size of a head without extensions, in bytes.
const HEAD_BYTES: usize = 12;

/// Retransmissions take this part of what is sent at most: a link that loses more is full, and more would fill it further.
const RESENT_SHARE: usize = 15;
const RESENT_SHARE_OF: usize = 100;

/// The most that may be sent again at once, in bytes: a second of a stream of 7 Mbit/s.
const RESENT_BURST_BYTES: usize = 128 * 1024;

/// The terms that a stream was agreed on with.
#[derive(Debug, Clone)]
pub(super) struct StreamTerms {
    pub ssrc: u32,
    pub payload_type: u8,
    pub clock_hz: u32,
    /// The stream of retransmissions, and its payload type, if there is one.
    pub retransmission: Option<(u32, u8)>,
    /// The extension that names the media section, as it stands in a head.
    pub name: Vec<u8>,
    pub cname: String,
}

/// A packet of a stream, before its encryption.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    pub time: u32,
    pub is_last: bool,
    pub payload: Arc<[u8]>,
    /// The padding at the payload's end, in bytes.
    pub padding_bytes: u8,
}

impl Packet {
    /// Returns the payload without its padding.
    fn media(&self) -> &[u8] {
        let media_bytes = self.payload.len().saturating_sub(self.padding_bytes.into());
        self.payload.get(..media_bytes).unwrap_or_default()
    }
}

/// The way to the viewer.
pub(super) struct Path<'a, S> {
    pub to: PeerAddress,
    pub srtp: &'a mut SrtpSender,
    pub sink: &'a mut S,
}

/// The stream.
#[derive(Debug)]
pub(super) struct RtpStream {
    terms: StreamTerms,
    next_number: u64,
    next_resent_number: u64,
    /// The viewer knows which media section the stream belongs to.
    is_bound: bool,
    /// The newest packets, each with the number after that of the one before.
    kept: VecDeque<Packet>,
    kept_max: usize,
    /// Numbers of packets that the viewer lacks.
    lost: Vec<u64>,
    /// Retransmissions that are allowed now, in bytes.
    allowance_bytes: usize,
    packets: u32,
    bytes: u32,
    /// The time of the newest packet on both clocks.
    newest: Option<(u32, Instant)>,
}

impl RtpStream {
    /// Starts a stream that keeps so many packets.
    pub fn new(terms: StreamTerms, kept_max: usize) -> Self {
        Self {
            kept_max: if terms.retransmission.is_some() { kept_max } else { 0 },
            terms,
            next_number: 1,
            next_resent_number: 1,
            is_bound: false,
            kept: VecDeque::new(),
            lost: Vec::new(),
            allowance_bytes: RESENT_BURST_BYTES,
            packets: 0,
            bytes: 0,
            newest: None,
        }
    }

    /// Goes on with another number.
    #[cfg(test)]
    pub fn skip_to(&mut self, number: u64) {
        self.next_number = number;
    }

    /// Returns the stream's source.
    pub fn ssrc(&self) -> u32 {
        self.terms.ssrc
    }

    /// Sends the next packet. `at` is its time on the clock of reports.
    pub fn send(&mut self, packet: Packet, at: Instant, path: &mut Path<'_, impl DatagramSink>) {
        let number = self.next_number;
        self.next_number += 1;
        let is_padded = packet.padding_bytes > 0;
        let head = Head { payload_type: self.terms.payload_type, ssrc: self.terms.ssrc, number, is_padded };
        self.put(head, &packet, &packet.payload, path);
        self.newest = Some((packet.time, at));
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(packet.media().len() as u32);
        let allowance = self.allowance_bytes + packet.payload.len() * RESENT_SHARE / RESENT_SHARE_OF;
        self.allowance_bytes = allowance.min(RESENT_BURST_BYTES);
        if self.kept_max > 0 {
            if self.kept.len() >= self.kept_max {
                self.kept.pop_front();
            }
            self.kept.push_back(packet);
        }
    }

    /// Notes that the viewer gets the stream: its packets need not name the media section any longer.
    pub fn note_received(&mut self) {
        self.is_bound = true;
    }

    /// Notes that a packet was lost, by its number's lower 16 bits. [`resend`](Self::resend) sends it again, if it is kept.
    pub fn note_lost(&mut self, number: u16) {
        let newest = self.next_number - 1;
        let behind = u64::from((newest as u16).wrapping_sub(number));
        if behind < self.kept.len() as u64 && self.lost.len() < self.kept_max {
            self.lost.push(newest - behind);
        }
    }

    /// Sends what was lost again.
    pub fn resend(&mut self, path: &mut Path<'_, impl DatagramSink>) {
        let Some((ssrc, payload_type)) = self.terms.retransmission else { return };
        for number in std::mem::take(&mut self.lost) {
            let oldest = self.next_number - self.kept.len() as u64;
            let at = number.checked_sub(oldest).and_then(|at| usize::try_from(at).ok());
            let Some(packet) = at.and_then(|at| self.kept.get(at)).cloned() else { continue };
            let Some(allowance) = self.allowance_bytes.checked_sub(packet.payload.len()) else { return };
            self.allowance_bytes = allowance;
            // The payload is the lost packet's without padding, behind its number (RFC 4588, section 4).
            let payload = [&(number as u16).to_be_bytes(), packet.media()].concat();
            let head = Head { payload_type, ssrc, number: self.next_resent_number, is_padded: false };
            self.next_resent_number += 1;
            self.put(head, &packet, &payload, path);
        }
    }

    /// Returns the report at a moment; none before the first packet.
    pub fn report(&self, now: Instant, ntp: u64) -> Option<Report<'_>> {
        let (time, at) = self.newest?;
        let since =
            now.saturating_duration_since(at).as_micros() * u128::from(self.terms.clock_hz) / 1_000_000;
        let StreamTerms { ssrc, cname, .. } = &self.terms;
        let rtp_time = time.wrapping_add(since as u32);
        Some(Report { ssrc: *ssrc, ntp, rtp_time, packets: self.packets, bytes: self.bytes, cname })
    }

    fn put(&self, head: Head, packet: &Packet, payload: &[u8], path: &mut Path<'_, impl DatagramSink>) {
        let name: &[u8] = if self.is_bound { &[] } else { &self.terms.name };
        let head_bytes = HEAD_BYTES + name.len();
        let srtp = &mut *path.srtp;
        let size = head_bytes + payload.len() + srtp.overhead_bytes();
        path.sink.put(path.to, size, |datagram| {
            let Some(place) = datagram.get_mut(..head_bytes) else { return false };
            head.write(place, packet, name);
            srtp.protect(datagram, head_bytes, payload, PacketId { ssrc: head.ssrc, index: head.number })
        });
    }
}

/// The part of a packet's head that is not the packet's own.
#[derive(Debug, Clone, Copy)]
struct Head {
    payload_type: u8,
    ssrc: u32,
    number: u64,
    is_padded: bool,
}

impl Head {
    /// Fills in a head (RFC 3550, section 5.1) of exactly this size.
    fn write(self, place: &mut [u8], packet: &Packet, extension: &[u8]) {
        let Some((fixed, rest)) = place.split_first_chunk_mut::<HEAD_BYTES>() else { return };
        let marker = if packet.is_last { MARKER } else { 0 };
        let padding = if self.is_padded { HAS_PADDING } else { 0 };
        fixed[0] = VERSION | padding | if extension.is_empty() { 0 } else { HAS_EXTENSION };
        fixed[1] = self.payload_type | marker;
        fixed[2..4].copy_from_slice(&(self.number as u16).to_be_bytes());
        fixed[4..8].copy_from_slice(&packet.time.to_be_bytes());
        fixed[8..].copy_from_slice(&self.ssrc.to_be_bytes());
        rest.copy_from_slice(extension);
    }
}

/// Returns the extension that names a media section (RFC 8285, section 4.2; RFC 9143). Empty if the number or the name is none
/// that the short form has room for.
pub(super) fn name_extension(id: u8, name: &str) -> Vec<u8> {
    let fits = (1..15).contains(&id) && (1..=16).contains(&name.len());
    if !fits {
        return Vec::new();
    }
    let words = (1 + name.len()).div_ceil(4);
    let mut extension = vec![0xBE, 0xDE, 0, words as u8, id << 4 | (name.len() - 1) as u8];
    extension.extend(name.as_bytes());
    extension.resize(4 + words * 4, 0);
    extension
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, net::SocketAddr, time::Duration};

    use str0m::crypto::{dtls::SrtpProfile, from_feature_flags};

    use super::*;
    use crate::webrtc::peer::{address::Transport, srtp_keys::SrtpKeys};

    const PAYLOAD_BYTES: usize = 1000;

    fn srtp() -> SrtpSender {
        let profile = SrtpProfile::AEAD_AES_128_GCM;
        let keys = SrtpKeys { profile, material: vec![7; profile.keying_material_len()], is_client: true };
        SrtpSender::new(profile, &keys.outgoing().unwrap(), &from_feature_flags()).unwrap()
    }

    fn stream(kept_max: usize) -> RtpStream {
        let name = name_extension(1, "video");
        let retransmission = Some((2, 97));
        let cname = "cname".to_owned();
        let terms = StreamTerms { ssrc: 1, payload_type: 96, clock_hz: 90_000, retransmission, name, cname };
        RtpStream::new(terms, kept_max)
    }

    fn packet(time: u32) -> Packet {
        Packet { time, is_last: true, payload: vec![7; PAYLOAD_BYTES].into(), padding_bytes: 0 }
    }

    #[allow(clippy::disallowed_methods, reason = "an instant to count from")]
    fn now() -> Instant {
        Instant::now()
    }

    /// Does something with a stream's path, and returns the datagrams.
    fn sent(act: impl FnOnce(&mut Path<'_, &mut dyn FnMut(PeerAddress, &[u8])>)) -> Vec<Vec<u8>> {
        let datagrams = RefCell::new(Vec::new());
        let to = PeerAddress {
            transport: Transport::Udp,
            remote: SocketAddr::from(([192, 0, 2, 1], 1)),
            local: None,
        };
        let mut take = |_: PeerAddress, bytes: &[u8]| datagrams.borrow_mut().push(bytes.to_vec());
        let mut sink: &mut dyn FnMut(PeerAddress, &[u8]) = &mut take;
        act(&mut Path { to, srtp: &mut srtp(), sink: &mut sink });
        datagrams.into_inner()
    }

    fn number_of(datagram: &[u8]) -> u16 {
        u16::from_be_bytes([datagram[2], datagram[3]])
    }

    #[test]
    fn the_name_of_the_section_is_sent_until_the_viewer_reports() {
        let mut stream = stream(0);
        let datagrams = sent(|path| {
            stream.send(packet(5), now(), path);
            stream.note_received();
            stream.send(packet(6), now(), path);
        });
        assert_eq!(datagrams[0][..12], [0x90, 0xE0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 1]);
        assert_eq!(datagrams[0][12..24], *b"\xBE\xDE\0\x02\x14video\0\0");
        assert_eq!(datagrams[1][..12], [0x80, 0xE0, 0, 2, 0, 0, 0, 6, 0, 0, 0, 1]);
        assert_eq!(datagrams[0].len(), datagrams[1].len() + 12);
    }

    #[test]
    fn names_that_do_not_fit_are_left_out() {
        assert_eq!(name_extension(1, "0"), b"\xBE\xDE\0\x01\x100\0\0");
        assert_eq!(name_extension(14, "0123456789abcdef").len(), 4 + 20);
        for (id, name) in [(0, "0"), (15, "0"), (1, ""), (1, "0123456789abcdefg")] {
            assert_eq!(name_extension(id, name), b"");
        }
    }

    #[test]
    fn what_is_kept_is_sent_again_once_for_each_request_under_a_new_number() {
        let mut stream = stream(10);
        sent(|path| (0..20).for_each(|time| stream.send(packet(time), now(), path)));
        // Packets 11 to 20 are kept.
        [10, 11, 20, 21, 20].into_iter().for_each(|number| stream.note_lost(number));
        let datagrams = sent(|path| stream.resend(path));
        let heads: Vec<_> =
            datagrams.iter().map(|datagram| (number_of(datagram), datagram[7], datagram[11])).collect();
        assert_eq!(heads, [(1, 10, 2), (2, 19, 2), (3, 19, 2)]);
        assert!(datagrams.iter().all(|datagram| datagram[1] == 0xE0 | 1));
        assert!(sent(|path| stream.resend(path)).is_empty());
    }

    #[test]
    fn padding_is_announced_and_left_out_of_what_is_counted_and_sent_again() {
        let (mut stream, begin) = (stream(4), now());
        let datagrams = sent(|path| {
            stream.note_received();
            stream.send(Packet { padding_bytes: 3, ..packet(5) }, begin, path);
            stream.note_lost(1);
            stream.resend(path);
        });
        let [first, again] = &datagrams[..] else { panic!("{}", datagrams.len()) };
        assert_eq!((first[0], again[0]), (VERSION | HAS_PADDING, VERSION));
        // The lost packet's number has two bytes.
        assert_eq!(again.len(), first.len() - 3 + 2);
        assert_eq!(stream.report(begin, 1).unwrap().bytes, PAYLOAD_BYTES as u32 - 3);
    }

    #[test]
    fn numbers_wrap_and_are_found_all_the_same() {
        let mut stream = stream(4);
        stream.next_number = 65_534;
        sent(|path| (0..4).for_each(|time| stream.send(packet(time), now(), path)));
        [65_534, 65_535, 0, 1, 2].into_iter().for_each(|number| stream.note_lost(number));
        assert_eq!(stream.lost, [65_534, 65_535, 65_536, 65_537]);
    }

    #[test]
    fn retransmissions_are_a_share_of_what_is_sent() {
        let mut stream = stream(1000);
        sent(|path| (0..1000).for_each(|time| stream.send(packet(time), now(), path)));
        (1..=1000).for_each(|number| stream.note_lost(number));
        assert_eq!(sent(|path| stream.resend(path)).len(), RESENT_BURST_BYTES / PAYLOAD_BYTES);
        sent(|path| (0..100).for_each(|time| stream.send(packet(time), now(), path)));
        (1..=1000).for_each(|number| stream.note_lost(number));
        assert_eq!(sent(|path| stream.resend(path)).len(), 15);
    }

    #[test]
    fn requests_do_not_pile_up() {
        let mut stream = stream(4);
        sent(|path| (0..4).for_each(|time| stream.send(packet(time), now(), path)));
        (0..1000).for_each(|_| stream.note_lost(4));
        assert_eq!(stream.lost.len(), 4);
    }

    #[test]
    fn a_report_maps_its_moment_to_the_media() {
        let (mut stream, begin) = (stream(0), now());
        assert!(stream.report(begin, 1).is_none());
        sent(|path| stream.send(packet(u32::MAX), begin, path));
        let report = stream.report(begin + Duration::from_millis(10), 1).unwrap();
        assert_eq!((report.rtp_time, report.packets, report.bytes), (899, 1, PAYLOAD_BYTES as u32));
    }
}
