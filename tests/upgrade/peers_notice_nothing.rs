//! Publishers, viewers and players keep their connections, and each frame comes once.

use std::io::Write;

use synctv_media::stream::frame::Frame;
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::request,
    room_history::{FrameSource, RoomHistory},
    rtmp::RtmpPeer,
    socket::dial,
};

use crate::installed::Installed;

const UPGRADES: u32 = 4;

/// Frames between two upgrades: more than a GOP, so that some upgrades are between keyframes.
const STEPS: u32 = 7;

fn frame(number: u32) -> Frame {
    let at_ms = number * 40;
    if number.is_multiple_of(10) { frames::keyframe(at_ms, number) } else { frames::inter(at_ms, number) }
}

/// Sends frames, of which each viewer has to get each one.
fn step<V: FrameSource>(
    publisher: &mut RtmpPeer,
    histories: &mut [&mut RoomHistory<V>],
    numbers: std::ops::Range<u32>,
) {
    for number in numbers {
        let sent = frame(number);
        publisher.send(&sent);
        for history in histories.iter_mut() {
            history.read_to_end_of(std::slice::from_ref(&sent));
        }
    }
}

/// A viewer over HTTP/1.0, whose body is plain FLV.
fn plain(installed: &Installed, room: &str) -> FlvViewer {
    let mut socket = dial(installed.server.http);
    write!(socket, "GET /{room}.flv HTTP/1.0\r\n\r\n").expect("the server takes the request");
    FlvViewer::of(socket)
}

#[test]
fn every_frame_comes_once_over_several_upgrades() {
    let mut installed = Installed::start(&[], &[]);
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frame(0));
    let chunked = FlvViewer::open(&installed.server, "r");
    let mut viewers = [RoomHistory::of(chunked), RoomHistory::of(plain(&installed, "r"))];
    let mut player = RoomHistory::of(RtmpPeer::play(&installed.server, "r"));
    let first = frame(0);
    viewers.iter_mut().for_each(|viewer| viewer.read_to_end_of(std::slice::from_ref(&first)));
    player.read_to_end_of(std::slice::from_ref(&first));
    let mut sent = vec![first];
    for upgrade in 0..UPGRADES {
        let numbers = 1 + upgrade * STEPS..1 + (upgrade + 1) * STEPS;
        sent.extend(numbers.clone().map(frame));
        let [one, other] = &mut viewers;
        for number in numbers {
            step(&mut publisher, &mut [&mut *one, &mut *other], number..number + 1);
            player.read_to_end_of(&[frame(number)]);
        }
        let upgraded = installed.upgrade();
        let counts = ["rooms", "publishers", "viewers"].map(|key| upgraded.number(key));
        assert_eq!(counts, [1, 1, 3], "{upgraded:?}");
    }
    let last = frame(1 + UPGRADES * STEPS);
    publisher.send(&last);
    sent.push(last);
    let coded =
        |seen: &[Frame]| seen.iter().filter(|frame| frames::is_coded(frame)).cloned().collect::<Vec<_>>();
    for viewer in &mut viewers {
        viewer.read_to_end_of(&sent);
        assert_eq!(coded(&viewer.seen), sent, "HTTP-FLV");
    }
    player.read_to_end_of(&sent);
    assert_eq!(coded(&player.seen), sent, "RTMP");
    // Newcomers find the room, and begin where decoding can.
    FlvViewer::open(&installed.server, "r").frames_until(&sent[sent.len() - 1]);
    let rooms = request(installed.server.http, "GET", "/api/v1/streams").json();
    let room = &rooms["streams"][0];
    assert_eq!(
        (&room["state"], room["details"]["viewers"].as_u64() >= Some(3)),
        (&"live".into(), true),
        "{room}"
    );
    // The end of the publication reaches everyone.
    publisher.unpublish();
    installed.server.wait_for_publisher_leaving("r");
    installed.server.assert_unhurt();
}

#[test]
fn a_room_without_its_publisher_waits_for_it_on_the_same_connections() {
    let mut installed = Installed::start(&["--publisher-grace-s", "60"], &[]);
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frame(0));
    let mut viewer = FlvViewer::open(&installed.server, "r");
    viewer.frames_until(&frame(0));
    publisher.unpublish();
    installed.server.wait_for_publisher_leaving("r");
    installed.upgrade();
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 77));
    viewer.frames_until(&frames::keyframe(0, 77));
    installed.server.assert_unhurt();
}

#[test]
fn newcomers_wait_and_are_served() {
    let mut installed = Installed::start(&[], &[]);
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frame(0));
    let server = installed.server.http;
    let joining = std::thread::spawn(move || {
        (0..50).map(|_| FlvViewer::try_open_at(server, "r").is_ok()).filter(|is_served| *is_served).count()
    });
    installed.upgrade();
    assert_eq!(joining.join().expect("the viewers ask"), 50);
    installed.server.assert_unhurt();
}
