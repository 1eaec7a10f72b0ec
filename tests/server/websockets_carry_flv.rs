//! A room can be watched over a WebSocket, as FLV players of browsers ask for it.

use std::{io::Write, net::TcpStream};

use synctv_media::{flv::reader::FlvReader, stream::frame::Frame};
use synctv_testkit::{
    frames,
    http::{Response, exchange, read_head},
    rtmp::RtmpPeer,
    server::TestServer,
    socket::{dial, receive, wait_no_longer_than},
    wait::PATIENCE,
};

const UPGRADE: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8A;
const BINARY: u8 = 0x82;

fn ask(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nOrigin: http://page\r\n{headers}\r\n")
}

/// A viewer over a WebSocket.
struct Viewer {
    socket: TcpStream,
    pending: Vec<u8>,
    flv: FlvReader,
}

impl Viewer {
    fn open(server: &TestServer, path: &str) -> (Self, Response) {
        let mut socket = dial(server.http);
        let request = ask(path, &[UPGRADE, KEY, "Sec-WebSocket-Version: 13\r\n"].concat());
        socket.write_all(request.as_bytes()).expect("the server takes the request");
        let mut head = read_head(&mut socket);
        let pending = std::mem::take(&mut head.body);
        (Self { socket, pending, flv: FlvReader::new(1 << 24) }, head)
    }

    /// The next frame of the protocol: its first byte and its payload.
    fn next_message(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut buffer = [0; 64 * 1024];
        loop {
            if let Some((first, payload_at, end)) = whole(&self.pending) {
                let payload = self.pending[payload_at..end].to_vec();
                self.pending.drain(..end);
                return Some((first, payload));
            }
            wait_no_longer_than(&self.socket, synctv_testkit::wait::now() + PATIENCE);
            match receive(&mut self.socket, &mut buffer).expect("something comes") {
                0 => return None,
                size => self.pending.extend_from_slice(&buffer[..size]),
            }
        }
    }

    fn frames_until(&mut self, last: &Frame) {
        loop {
            while let Some(frame) = self.flv.next_frame().expect("the messages are FLV") {
                if frame.payload == last.payload {
                    return;
                }
            }
            match self.next_message() {
                Some((BINARY, payload)) => self.flv.feed(&payload),
                other => panic!("{other:?} before the frame"),
            }
        }
    }
}

/// The first byte, the payload's place and the end of the frame at the front, if all of it is there.
fn whole(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (length, payload_at) = match *bytes.get(1)? {
        126 => (u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
        length => (usize::from(length), 2),
    };
    (bytes.len() >= payload_at + length).then_some((bytes[0], payload_at, payload_at + length))
}

fn live(flags: &[&str]) -> (TestServer, RtmpPeer) {
    let server = TestServer::start(flags);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::headers());
    publisher.send(&frames::sized_keyframe(0, 0, 100_000));
    (server, publisher)
}

#[test]
fn frames_of_every_size_come_in_messages() {
    let (server, mut publisher) = live(&[]);
    for path in ["/r.flv", "/live/r.flv?token=1"] {
        let (mut viewer, head) = Viewer::open(&server, path);
        assert_eq!(head.status, 101);
        assert_eq!(head.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!((head.header("upgrade"), head.header("connection")), ("websocket", "Upgrade"));
        viewer.frames_until(&frames::sized_keyframe(0, 0, 100_000));
        for (number, size) in [(1, 10), (2, 1000), (3, 200_000)] {
            let frame = frames::sized_inter(number * 40, number, size);
            publisher.send(&frame);
            viewer.frames_until(&frame);
        }
    }
    server.log.find("viewer connected", |line| {
        line.says("viewer connected", "r") && line.text("protocol") == "ws-flv"
    });
}

#[test]
fn a_ping_is_answered_and_a_close_too() {
    let (server, _publisher) = live(&[]);
    let (mut viewer, _) = Viewer::open(&server, "/r.flv");
    viewer.frames_until(&frames::sized_keyframe(0, 0, 100_000));
    viewer.socket.write_all(b"\x89\x82\x01\x02\x03\x04\x69\x6B").expect("the server takes a ping");
    assert_eq!(viewer.next_message(), Some((PONG, b"hi".to_vec())));
    viewer.socket.write_all(b"\x88\x80\x01\x02\x03\x04").expect("the server takes a close");
    assert_eq!(viewer.next_message(), Some((CLOSE, vec![3, 0xE8])));
    assert_eq!(viewer.next_message(), None);
    server.wait_for_viewer_leaving("r", "ws-flv");
}

#[test]
fn the_end_of_the_stream_is_a_close_frame() {
    let (server, publisher) = live(&["--publisher-grace-s", "0"]);
    let (mut viewer, _) = Viewer::open(&server, "/r.flv");
    viewer.frames_until(&frames::sized_keyframe(0, 0, 100_000));
    publisher.unpublish();
    assert_eq!(viewer.next_message(), Some((CLOSE, vec![3, 0xE8])));
    assert_eq!(viewer.next_message(), None);
}

#[test]
fn a_viewer_that_disconnects_without_a_close_is_noticed() {
    let (server, _publisher) = live(&[]);
    let (viewer, _) = Viewer::open(&server, "/r.flv");
    viewer.socket.shutdown(std::net::Shutdown::Write).expect("the sending side can be closed");
    server.wait_for_viewer_leaving("r", "ws-flv");
}

#[test]
fn what_cannot_be_upgraded_is_refused_in_words() {
    let (server, _publisher) = live(&[]);
    let version = "Sec-WebSocket-Version: 13\r\n";
    for (path, headers, status, code) in [
        ("/r.flv", [UPGRADE, KEY, "Sec-WebSocket-Version: 8\r\n"].concat(), 426, "websocket_version"),
        ("/r.flv", [UPGRADE, KEY].concat(), 426, "websocket_version"),
        ("/r.flv", [UPGRADE, version].concat(), 400, "websocket_key"),
        ("/absent.flv", [UPGRADE, KEY, version].concat(), 404, "room_not_live"),
    ] {
        let refused = exchange(server.http, ask(path, &headers).as_bytes());
        assert_eq!(refused.status, status, "{headers}");
        assert!(refused.text().contains(code), "{refused:?}");
        if status == 426 {
            assert_eq!(refused.header("sec-websocket-version"), "13");
        }
    }
    // A proxy that took the upgrade away asks for plain FLV.
    let mut socket = dial(server.http);
    socket.write_all(ask("/r.flv", &["Upgrade: websocket\r\n", KEY, version].concat()).as_bytes()).unwrap();
    assert_eq!(read_head(&mut socket).status, 200);
}

#[test]
fn a_slow_viewer_gets_whole_messages() {
    let (server, mut publisher) = live(&["--viewer-queue-ms", "100"]);
    let (mut viewer, _) = Viewer::open(&server, "/r.flv");
    for number in 1..400 {
        let keyframe = number % 20 == 0;
        let make = if keyframe { frames::sized_keyframe } else { frames::sized_inter };
        publisher.send(&make(number * 40, number, 60_000));
    }
    let last = frames::sized_keyframe(400 * 40, 400, 60_000);
    publisher.send(&last);
    viewer.frames_until(&last);
}
