//! Connections whose keys stay behind are ended in order before the program changes: their peers know that they got everything, and come
//! again at once. Plain ones stay.

use std::{
    fs,
    net::UdpSocket,
    process::Command,
    time::{Duration, Instant},
};

use synctv_testkit::{
    flv::FlvViewer,
    frames,
    rtmp::RtmpPeer,
    server::TestServer,
    tls::TestAuthority,
    wait::poll_until,
    whep::{Player, SDP, post},
};

use crate::installed::Installed;

#[test]
fn over_tls() {
    let authority = TestAuthority::new();
    let flags = authority.flags();
    let mut installed = Installed::start(&flags.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let mut publisher = publish(&installed.server);
    let mut plain = FlvViewer::open(&installed.server, "r");
    plain.frames_until(&frames::keyframe(0, 0));
    let directory = tempfile::tempdir().expect("a directory for the body");
    let body = directory.path().join("body.flv");
    // A body without a length ends with the connection: only close_notify distinguishes its end from a cut (RFC 8446, section 6.1).
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--http1.0", "--no-alpn", "--no-buffer", "--cacert"]);
    curl.arg(authority.certificate_of_authority()).arg("--output").arg(&body);
    curl.arg(format!("https://localhost:{}/r.flv", installed.server.tls().port()));
    let curl = curl.spawn().expect("curl can be run");
    poll_until("the viewer over TLS", || fs::metadata(&body).ok().filter(|body| body.len() > 0));
    let upgraded = installed.upgrade();
    let ended = curl.wait_with_output().expect("curl ends");
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(upgraded.number("viewers"), 1, "{upgraded:?}");
    publisher.send(&frames::inter(40, 1));
    plain.frames_until(&frames::inter(40, 1));
    installed.server.assert_unhurt();
}

#[test]
fn over_webrtc() {
    let mut installed = Installed::start(&["--rtc-addr", "127.0.0.1:0"], &[]);
    let mut publisher = publish(&installed.server);
    let mut plain = FlvViewer::open(&installed.server, "r");
    plain.frames_until(&frames::keyframe(0, 0));
    let mut session = Session::open(&installed.server);
    session.run_until("media", |player| !player.take_packets().is_empty());
    assert!(!session.player.is_closed());
    let upgraded = installed.upgrade();
    session.run_until("the session's end", |player| player.is_closed());
    assert_eq!(upgraded.number("viewers"), 1, "{upgraded:?}");
    publisher.send(&frames::inter(40, 1));
    plain.frames_until(&frames::inter(40, 1));
    Session::open(&installed.server).run_until("media again", |player| !player.take_packets().is_empty());
    installed.server.assert_unhurt();
}

fn publish(server: &TestServer) -> RtmpPeer {
    let mut publisher = RtmpPeer::publish(server, "r");
    publisher.send_all(&[frames::video_header(1), frames::keyframe(0, 0)]);
    publisher
}

/// A player of the room over WebRTC.
struct Session {
    socket: UdpSocket,
    player: Player,
}

impl Session {
    fn open(server: &TestServer) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout can be set");
        let local = socket.local_addr().expect("it has an address");
        let (mut player, offer) = Player::offer(local, now()).expect("an offer can be made");
        let answer = post(server.http, "/r/whep", &[SDP], &offer);
        assert_eq!(answer.status, 201, "{}", answer.text());
        player.accept(&answer.text()).expect("the answer fits");
        Self { socket, player }
    }

    /// Lets the player receive and answer until something has come.
    fn run_until(&mut self, what: &str, mut has_come: impl FnMut(&mut Player) -> bool) {
        let Self { socket, player } = self;
        poll_until(what, || {
            let send = |to, bytes: &[u8]| drop(socket.send_to(bytes, to));
            player.wake(now(), send).expect("the player goes on");
            let mut buffer = [0; 2048];
            if let Ok((size, from)) = socket.recv_from(&mut buffer) {
                player.receive(&buffer[..size], from, now(), send).expect("the player takes it");
            }
            has_come(player).then_some(())
        });
    }
}

#[allow(clippy::disallowed_methods, reason = "the player's clock")]
fn now() -> Instant {
    Instant::now()
}
