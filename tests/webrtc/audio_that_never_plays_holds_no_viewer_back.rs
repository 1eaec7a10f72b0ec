//! Audio of which no packet ever comes holds no viewer back: the video plays alone.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use synctv_testkit::{
    frames,
    http::request,
    rtmp::RtmpPeer,
    server::TestServer,
    wait::poll_until,
    whep::{OFFER, Player, SDP, post},
};

use crate::start;

/// RTP ticks of video in a second.
const VIDEO_CLOCK_HZ: u32 = 90_000;

/// A viewer over UDP.
struct Viewer {
    socket: UdpSocket,
    player: Player,
}

impl Viewer {
    /// Opens a session and answers nothing yet.
    fn open(server: &TestServer, room: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (mut player, offer) = Player::offer(socket.local_addr().unwrap(), now()).unwrap();
        let answer = post(server.http, &format!("/{room}/whep"), &[SDP], &offer);
        assert_eq!(answer.status, 201, "{}", answer.text());
        player.accept(&answer.text()).unwrap();
        Self { socket, player }
    }

    /// Takes what has come, and says whether video is in it.
    fn sees_video(&mut self) -> bool {
        let Self { socket, player } = self;
        let send = |to, bytes: &[u8]| drop(socket.send_to(bytes, to));
        player.wake(now(), send).unwrap();
        let mut buffer = [0; 2048];
        if let Ok((size, from)) = socket.recv_from(&mut buffer) {
            player.receive(&buffer[..size], from, now(), send).unwrap();
        }
        player.take_packets().iter().any(|packet| packet.clock_hz == VIDEO_CLOCK_HZ)
    }
}

#[allow(clippy::disallowed_methods, reason = "the player's clock")]
fn now() -> Instant {
    Instant::now()
}

/// Publishes a second of video and of AAC that no decoder takes.
fn publish_broken_second(publisher: &mut RtmpPeer, second: u32) {
    let start_ms = second * 1000;
    publisher.send_all(&[frames::keyframe(start_ms, second)]);
    for at in 0..60 {
        publisher.send_all(&[frames::audio(start_ms + at * 16, 0)]);
    }
}

#[test]
fn aac_that_cannot_be_decoded() {
    let server = start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "broken");
    publisher.send_all(&frames::headers());
    publish_broken_second(&mut publisher, 0);
    let mut first = Viewer::open(&server, "broken");
    poll_until("video", || first.sees_video().then_some(()));
    // It is a viewer now, and the audio is decoded for it.
    publish_broken_second(&mut publisher, 1);
    publish_broken_second(&mut publisher, 2);
    server.log.find("the reason", |line| line.says("WebRTC viewers get no audio", "broken"));
    let mut second = Viewer::open(&server, "broken");
    poll_until("video for the second", || second.sees_video().then_some(()));
    let state = poll_until("what viewers lack", || {
        let room = request(server.http, "GET", "/api/v1/streams/broken").json();
        Some(room["details"]["webrtc"].clone()).filter(|state| state["state"] == "limited")
    });
    assert_eq!(state["reasons"][0]["code"], "no_audio");
}

#[test]
fn aac_whose_frames_never_come() {
    let server = start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "announced");
    publisher.send_all(&frames::headers());
    publisher.send_all(&[frames::keyframe(0, 0), frames::inter(33, 1)]);
    let answer = post(server.http, "/announced/whep", &[SDP], OFFER);
    assert_eq!(answer.status, 201, "{}", answer.text());
}
