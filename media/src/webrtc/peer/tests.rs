//! A peer and the library as its viewer, with datagrams handed from one to the other.

use std::sync::Arc;

use proptest::prelude::*;
use str0m::{
    RtcConfig,
    change::SdpPendingOffer,
    media::{Direction, MediaKind},
    rtp::RtpPacket,
};

use super::*;
use crate::webrtc::packetizer::VideoProfile;

const SERVER: &str = "192.0.2.1:8189";
const VIEWER: &str = "192.0.2.2:5000";

const H264_AND_OPUS: MediaProfile = MediaProfile { video: Some(VideoProfile::H264(77)), has_opus: true };

#[allow(clippy::disallowed_methods, reason = "an instant to count from")]
fn begin() -> Instant {
    Instant::now()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn viewer_address() -> PeerAddress {
    PeerAddress { transport: Transport::Udp, remote: at(VIEWER), local: None }
}

fn settings() -> PeerSettings {
    // Its moment is before all that a test counts from.
    let at = begin().checked_sub(Duration::from_secs(60)).unwrap();
    let clock = WallClock { at, since_1970: Duration::from_secs(1_800_000_000) };
    PeerSettings { udp: vec![self::at(SERVER)], tcp: vec![self::at(SERVER)], rtx_packets: 256, clock }
}

/// The viewer's side.
struct Viewer {
    rtc: Rtc,
    received: Vec<RtpPacket>,
    is_closed: bool,
}

impl Viewer {
    fn offering(now: Instant, has_h264: bool) -> (Self, String, SdpPendingOffer) {
        let config = RtcConfig::new().set_rtp_mode(true).clear_codecs().enable_opus(true, false);
        let mut rtc = config.enable_h264(has_h264).enable_vp8(true).build(now);
        rtc.add_local_candidate(Candidate::host(at(VIEWER), Protocol::Udp).unwrap());
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        (Self { rtc, received: Vec::new(), is_closed: false }, offer.to_sdp_string(), pending)
    }

    /// Takes and gives datagrams until there are none.
    fn turn(&mut self, datagrams: Vec<Vec<u8>>, now: Instant) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        for datagram in datagrams {
            let received = Receive::new(Protocol::Udp, at(SERVER), at(VIEWER), &datagram).unwrap();
            self.rtc.handle_input(Input::Receive(now, received)).unwrap();
            self.poll(&mut sent);
        }
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
        self.poll(&mut sent);
        sent
    }

    fn poll(&mut self, sent: &mut Vec<Vec<u8>>) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(_) => return,
                Output::Transmit(datagram) => sent.push(datagram.contents.to_vec()),
                Output::Event(Event::RtpPacket(packet)) => self.received.push(packet),
                Output::Event(Event::Closed) => self.is_closed = true,
                Output::Event(_) => {}
            }
        }
    }
}

fn collect(sent: &mut Vec<Vec<u8>>) -> impl FnMut(PeerAddress, &[u8]) {
    |PeerAddress { remote, .. }, bytes| {
        assert_eq!(remote, at(VIEWER));
        sent.push(bytes.to_vec());
    }
}

/// Writes a frame of one packet, and what is said with it, at a time of the stream.
fn write(peer: &mut Peer, media_ms: i64, now: Instant, sent: &mut Vec<Vec<u8>>) {
    let payload: Arc<[u8]> = b"\x65frame".as_slice().into();
    let packet = VideoPacket { ticks: media_ms * 90, is_last: true, payload: &payload, padding_bytes: 0 };
    peer.write_video(packet, now, &mut collect(sent));
    let audio = AudioUnit { ticks: media_ms * 48, payload: b"sound".as_slice().into() };
    peer.write_audio(&audio, now, &mut collect(sent));
}

fn wake(peer: &mut Peer, now: Instant) -> (PeerNews, Vec<Vec<u8>>) {
    let mut sent = Vec::new();
    let news = peer.wake(now, &mut collect(&mut sent));
    (news.unwrap(), sent)
}

/// Hands datagrams back and forth for two seconds, or until the peer is connected.
fn connect(peer: &mut Peer, viewer: &mut Viewer, mut now: Instant) -> Instant {
    let mut to_viewer = Vec::new();
    for _ in 0..200 {
        now += Duration::from_millis(10);
        for datagram in viewer.turn(std::mem::take(&mut to_viewer), now) {
            peer.receive(&datagram, viewer_address(), at(SERVER), now).unwrap();
        }
        let (news, sent) = wake(peer, now);
        to_viewer = sent;
        if news.is_connected {
            viewer.turn(to_viewer, now);
            return now;
        }
    }
    panic!("they did not connect");
}

fn connected() -> (Peer, Viewer, Instant) {
    let now = begin();
    let (mut viewer, offer, pending) = Viewer::offering(now, true);
    let (mut peer, answer) = Peer::answer(&offer, H264_AND_OPUS, &settings(), now).unwrap();
    let answer = str0m::change::SdpAnswer::from_sdp_string(&answer).unwrap();
    viewer.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    let now = connect(&mut peer, &mut viewer, now);
    (peer, viewer, now)
}

#[test]
fn each_codec_is_agreed_on_with_those_who_offer_it() {
    let now = begin();
    let config = RtcConfig::new().clear_codecs().enable_opus(true, false);
    let mut rtc = config.enable_h265(true).enable_vp9(true).enable_av1(true).build(now);
    let mut api = rtc.sdp_api();
    api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
    let offer = api.apply().unwrap().0.to_sdp_string();
    let h265 = VideoProfile::H265 { profile_idc: 1, tier: 0 };
    for (video, name) in [(h265, "H265"), (VideoProfile::Vp9(2), "VP9"), (VideoProfile::Av1(0), "AV1")] {
        let profile = MediaProfile { video: Some(video), has_opus: false };
        let (_, answer) = Peer::answer(&offer, profile, &settings(), now).unwrap();
        assert!(answer.contains(&format!(" {name}/90000")) && answer.contains(" rtx/90000"), "{answer}");
        let (_, h264, _) = Viewer::offering(now, true);
        assert_eq!(
            Peer::answer(&h264, profile, &settings(), now).err(),
            Some(OfferError::NoCodec(video.name()))
        );
    }
}

#[test]
fn a_viewer_connects_and_gets_video_and_audio() {
    let (mut peer, mut viewer, now) = connected();
    let mut sent = Vec::new();
    write(&mut peer, 100, now, &mut sent);
    viewer.turn(sent, now);
    viewer.received.sort_by_key(|packet| packet.header.timestamp);
    let [audio, video] = &viewer.received[..] else { panic!("{:?}", viewer.received) };
    assert_eq!(
        (&*video.payload, video.header.timestamp, video.header.marker),
        (&b"\x65frame"[..], 9000, true)
    );
    assert_eq!((&*audio.payload, audio.header.timestamp), (&b"sound"[..], 4800));
}

#[test]
fn padding_does_not_reach_the_viewers_decoder() {
    let (mut peer, mut viewer, now) = connected();
    let (mut sent, payload) = (Vec::new(), Arc::from(&b"\x65frame\0\0\x03"[..]));
    let packet = VideoPacket { ticks: 9000, is_last: true, payload: &payload, padding_bytes: 3 };
    peer.write_video(packet, now, &mut collect(&mut sent));
    viewer.turn(sent, now);
    let [received] = &viewer.received[..] else { panic!("{:?}", viewer.received) };
    assert_eq!(&*received.payload, b"\x65frame");
}

#[test]
fn the_answer_is_complete_and_of_one_stream() {
    let (_, offer, _) = Viewer::offering(begin(), true);
    let (peer, answer) = Peer::answer(&offer, H264_AND_OPUS, &settings(), begin()).unwrap();
    assert!(answer.contains("a=ice-lite") && answer.contains("192.0.2.1 8189 typ host"), "{answer}");
    assert!(answer.contains(peer.check_key().ufrag()));
    let streams = answer.lines().filter(|line| line.starts_with("a=msid:"));
    assert!(streams.clone().count() == 2 && streams.clone().all(|line| line.starts_with("a=msid:synctv ")));
    assert!(!answer.contains("transport-cc-extensions"));
}

#[test]
fn an_offer_without_the_streams_codec_is_refused() {
    let now = begin();
    let (_, offer, _) = Viewer::offering(now, false);
    let refused = Peer::answer(&offer, H264_AND_OPUS, &settings(), now).unwrap_err();
    assert_eq!(refused, OfferError::NoCodec("H.264"));
    let audio_only = MediaProfile { video: None, has_opus: true };
    assert!(Peer::answer(&offer, audio_only, &settings(), now).is_ok());
}

#[test]
fn a_viewer_is_notified_of_the_end() {
    let (mut peer, mut viewer, now) = connected();
    peer.close();
    let (news, sent) = wake(&mut peer, now);
    viewer.turn(sent, now);
    assert!(viewer.is_closed, "{news:?}");
}

#[test]
fn a_check_names_the_session_it_is_for() {
    let now = begin();
    let (mut viewer, offer, pending) = Viewer::offering(now, true);
    let (peer, answer) = Peer::answer(&offer, H264_AND_OPUS, &settings(), now).unwrap();
    let answer = str0m::change::SdpAnswer::from_sdp_string(&answer).unwrap();
    viewer.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    let checks: Vec<_> =
        (0..20).flat_map(|at| viewer.turn(Vec::new(), now + Duration::from_millis(at * 50))).collect();
    assert!(is_check(&checks[0]));
    assert_eq!(ufrag(&checks[0]).as_deref(), Some(peer.check_key().ufrag()));
    assert!(peer.check_key().verifies(&checks[0]));
}

/// Sends so many frames, one every 10 ms, of which some are lost, and returns the numbers of the packets that came.
fn numbers_of_frames(first: u64, count: i64, is_lost: impl Fn(i64) -> bool) -> Vec<u64> {
    let (mut peer, mut viewer, begin) = connected();
    peer.video.as_mut().unwrap().skip_to(first);
    let payload: Arc<[u8]> = b"\x65frame".as_slice().into();
    for at in 0..count {
        let now = begin + Duration::from_millis(at as u64 * 10);
        let mut sent = Vec::new();
        let packet = VideoPacket { ticks: 900 * at, is_last: true, payload: &payload, padding_bytes: 0 };
        peer.write_video(packet, now, &mut collect(&mut sent));
        if is_lost(at) {
            sent.clear();
        }
        peer.wake(now, &mut collect(&mut sent)).unwrap();
        for datagram in viewer.turn(sent, now) {
            peer.receive(&datagram, viewer_address(), self::at(SERVER), now).unwrap();
        }
    }
    let mut numbers: Vec<_> = viewer.received.iter().map(|packet| *packet.seq_no).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn what_a_viewer_asks_for_is_sent_again() {
    // The last frames are too young to be missed.
    let numbers = numbers_of_frames(1, 200, |at| at % 20 == 7 && at < 150);
    assert_eq!(numbers, (1..201).collect::<Vec<_>>());
}

#[test]
fn numbers_go_on_beyond_sixteen_bits() {
    let (first, count) = (65_500, 100);
    let numbers = numbers_of_frames(first, count, |at| at == 30 || at == 50);
    assert_eq!(numbers, (first..first + count as u64).collect::<Vec<_>>());
}

/// Returns where a frame goes.
fn destination(peer: &mut Peer, now: Instant) -> PeerAddress {
    peer.wake(now, &mut |_: PeerAddress, _: &[u8]| {}).unwrap();
    let payload: Arc<[u8]> = b"\x65frame".as_slice().into();
    let packet = VideoPacket { ticks: 9000, is_last: true, payload: &payload, padding_bytes: 0 };
    let mut sent_to = Vec::new();
    peer.write_video(packet, now, &mut |to: PeerAddress, _: &[u8]| sent_to.push(to));
    sent_to[0]
}

/// A viewer's router may give it another port at any time.
#[test]
fn media_follows_a_viewer_whose_checks_and_reports_come_from_another_address() {
    let (mut peer, mut viewer, mut now) = connected();
    let [moved, stranger] = ["198.51.100.7:40000", "203.0.113.9:9"].map(|remote| PeerAddress {
        transport: Transport::Udp,
        remote: at(remote),
        local: Some([192, 0, 2, 9].into()),
    });
    let (mut sent, mut checks, mut reports) = (Vec::new(), Vec::new(), Vec::new());
    write(&mut peer, 0, now, &mut sent);
    while checks.is_empty() || reports.is_empty() {
        now += Duration::from_millis(50);
        let said = viewer.turn(std::mem::take(&mut sent), now);
        checks.extend(said.iter().filter(|datagram| is_check(datagram)).cloned());
        reports.extend(said.into_iter().filter(|datagram| is_media(datagram)));
    }
    let mut forged = checks[0].clone();
    let password_digest = forged.len() - 10;
    forged[password_digest] ^= 1;
    for (datagram, from, expected) in [
        (&forged, moved, viewer_address()),
        (&checks[0], moved, viewer_address()),
        (&reports[0], moved, moved),
        // Replays by someone who captured both.
        (&checks[0], stranger, moved),
        (&reports[0], stranger, moved),
    ] {
        peer.receive(datagram, from, at(SERVER), now).unwrap();
        assert_eq!(destination(&mut peer, now), expected);
    }
}

/// Players keep audio and video together by the reports.
#[test]
fn reports_map_both_tracks_to_one_clock_each_second() {
    let (mut peer, mut viewer, begin) = connected();
    let mut reports = Vec::new();
    for ms in (0..3000).step_by(20) {
        let now = begin + Duration::from_millis(ms);
        let mut sent = Vec::new();
        write(&mut peer, ms as i64, now, &mut sent);
        peer.wake(now, &mut collect(&mut sent)).unwrap();
        for datagram in viewer.turn(sent, now) {
            peer.receive(&datagram, viewer_address(), at(SERVER), now).unwrap();
        }
        for packet in viewer.received.drain(..) {
            let clock_hz = i64::from(packet.time.frequency().get());
            let Some(info) = packet.last_sender_info else { continue };
            let unix_ms = info.ntp_time.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
            let report = (clock_hz, unix_ms, info.rtp_time.numer() as i64 * 1000 / clock_hz);
            if !reports.contains(&report) {
                reports.push(report);
            }
        }
    }
    let [video, audio] = [90_000, 48_000].map(|hz| reports.iter().filter(|report| report.0 == hz).count());
    assert!(video >= 2 && audio >= 2, "{reports:?}");
    let apart_ms = |(_, unix_ms, media_ms): &(i64, i64, i64)| unix_ms - media_ms;
    // A millisecond is rounded away.
    let is_same = |report: &(i64, i64, i64)| apart_ms(report).abs_diff(apart_ms(&reports[0])) <= 1;
    assert!(reports.iter().all(is_same) && reports[0].1 / 1000 >= 1_800_000_000, "{reports:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn damaged_offers_are_answered_or_refused(cuts in proptest::collection::vec((0..4000_usize, any::<u8>()), 1..8)) {
        let now = begin();
        let (_, offer, _) = Viewer::offering(now, true);
        let mut offer = offer.into_bytes();
        for (place, byte) in cuts {
            let size = offer.len();
            offer[place % size] = byte;
        }
        let _ = Peer::answer(&String::from_utf8_lossy(&offer), H264_AND_OPUS, &settings(), now);
    }

    #[test]
    fn any_datagram_is_survived(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..40)) {
        let (mut peer, _, now) = connected();
        for datagram in datagrams {
            let _ = ufrag(&datagram);
            if peer.receive(&datagram, viewer_address(), at(SERVER), now).is_err() {
                return Ok(());
            }
        }
        let _ = peer.wake(now, &mut |_: PeerAddress, _: &[u8]| {});
    }

    /// Packets of a connected viewer get further than random bytes.
    #[test]
    fn damaged_datagrams_of_a_viewer_are_survived(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let (mut peer, mut viewer, now) = connected();
        let payload: Arc<[u8]> = b"\x65frame".as_slice().into();
        for at in 0..40 {
            let now = now + Duration::from_millis(at * 100);
            let mut arrived = Vec::new();
            let packet = VideoPacket { ticks: 9000 * at as i64, is_last: true, payload: &payload, padding_bytes: 0 };
            peer.write_video(packet, now, &mut collect(&mut arrived));
            // Every third frame is lost, for which the viewer asks.
            if at % 3 == 0 {
                arrived.clear();
            }
            if peer.wake(now, &mut collect(&mut arrived)).is_err() {
                return Ok(());
            }
            for mut datagram in viewer.turn(arrived, now) {
                for (_, place, byte) in damage.iter().filter(|(which, ..)| which.index(40) == at as usize) {
                    *place.get_mut(&mut datagram) = *byte;
                }
                if peer.receive(&datagram, viewer_address(), self::at(SERVER), now).is_err() {
                    return Ok(());
                }
            }
        }
    }
}
