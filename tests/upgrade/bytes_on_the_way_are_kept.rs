//! Bytes that are on their way while the program changes arrive: of a message that has half come, and of what viewers have yet
//! to read.

use std::{
    io::Write,
    net::TcpStream,
    thread::{self, JoinHandle},
};

use synctv_media::{
    flv::{reader::FlvReader, websocket},
    rtmp::{
        MESSAGE_STREAM_ID, OUT_CHUNK_SIZE_BYTES, VIDEO_CSID,
        chunk_writer::{MessageHeader, write_message},
    },
    stream::frame::Frame,
};
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    http::{Dechunker, Response},
    rtmp::RtmpPeer,
    server::TestServer,
    socket::{dial, dial_with_small_buffer, read_to_close, receive, widen},
    wait::poll_until,
};

use crate::installed::Installed;

/// Frames in a GOP.
const GOP: u32 = 50;

/// Frames before the first upgrade, and their size: 10 MB, more than the kernel holds for a viewer who does not read.
const FIRST: usize = 200;
const FIRST_BYTES: usize = 50_000;

const UPGRADES: usize = 3;

/// A publisher, and a viewer who has each frame before the next one is sent.
struct InStep {
    publisher: RtmpPeer,
    viewer: FlvViewer,
    sent: Vec<Frame>,
}

impl InStep {
    fn start(server: &TestServer) -> Self {
        let mut publisher = RtmpPeer::publish(server, "r");
        publisher.send_all(&frames::video_headers());
        let mut in_step = Self { publisher, viewer: FlvViewer::open(server, "r"), sent: Vec::new() };
        in_step.send(FIRST_BYTES);
        in_step
    }

    fn send(&mut self, size_bytes: usize) {
        let number = self.sent.len() as u32;
        let make = if number.is_multiple_of(GOP) { frames::sized_keyframe } else { frames::sized_inter };
        let frame = make(number * 10, number, size_bytes);
        self.publisher.send(&frame);
        self.viewer.frames_until(&frame);
        self.sent.push(frame);
    }

    /// Upgrades the server while it goes on.
    fn upgrade(&mut self, server: &TestServer, nth: usize) {
        server.signal("USR2");
        poll_until("the upgrade", || {
            self.send(200);
            (server.log.count(|line| line.text("msg") == "upgraded") >= nth).then_some(())
        });
    }
}

/// A viewer that keeps every byte that it is sent.
struct Recorder {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Recorder {
    /// Sends a request, and reads until the media has begun.
    fn open(mut socket: TcpStream, request: &str) -> Self {
        socket.write_all(request.as_bytes()).expect("the server takes the request");
        let (mut read, mut buffer) = (Vec::new(), [0; 1024]);
        while !read.windows(3).any(|bytes| bytes == b"FLV") {
            let size = receive(&mut socket, &mut buffer).expect("the server answers");
            assert!(size > 0, "{}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&buffer[..size]);
        }
        Self { socket, read }
    }

    /// Reads to the end of the connection. Returns the head of the response, and its body as it came.
    fn finish(mut self) -> Response {
        self.read.extend(read_to_close(&mut self.socket));
        Response::parse(&self.read).expect("the head is HTTP").expect("the head is whole")
    }

    fn finish_beside(self) -> JoinHandle<Response> {
        thread::spawn(move || self.finish())
    }
}

/// The content of the server's messages up to its close.
fn content_of_messages(mut bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while *bytes != websocket::close()[..] {
        assert_eq!(bytes.first(), Some(&0x82), "a binary message");
        let (length, at) = match bytes[1] {
            126 => (u16::from_be_bytes([bytes[2], bytes[3]]).into(), 4),
            127 => (u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes")), 10),
            length => (length.into(), 2),
        };
        let end = at + length as usize;
        content.extend_from_slice(&bytes[at..end]);
        bytes = &bytes[end..];
    }
    content
}

#[test]
fn viewers_of_every_kind_are_sent_the_same_bytes() {
    let queue = ["--viewer-queue-mb", "64", "--viewer-queue-ms", "600000", "--viewer-stall-timeout-s", "600"];
    let flags = [&queue[..], &["--publisher-grace-s", "1"]].concat();
    let mut installed = Installed::start(&flags, &[]);
    let mut in_step = InStep::start(&installed.server);
    let http = installed.server.http;
    let get = |version: &str, headers: &str| format!("GET /r.flv HTTP/{version}\r\nHost: a\r\n{headers}\r\n");
    let late = Recorder::open(dial_with_small_buffer(http), &get("1.0", ""));
    let plain = Recorder::open(dial(http), &get("1.0", "")).finish_beside();
    let chunked = Recorder::open(dial(http), &get("1.1", "")).finish_beside();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let messages = Recorder::open(dial(http), &get("1.1", upgrade)).finish_beside();
    (0..FIRST).for_each(|_| in_step.send(FIRST_BYTES));
    for nth in 1..=UPGRADES {
        in_step.upgrade(&installed.server, nth);
    }
    in_step.send(200);
    let sent = std::mem::take(&mut in_step.sent);
    drop(in_step);
    let plain = plain.join().expect("the viewer reads").body;
    let chunked = chunked.join().expect("the viewer reads");
    let messages = messages.join().expect("the viewer reads");
    let mut chunks = Dechunker::default();
    assert!(chunks.feed(&chunked.body) == plain && chunks.is_ended, "in chunks");
    assert!(content_of_messages(&messages.body) == plain, "in WebSocket messages");
    widen(&late.socket);
    assert!(late.finish().body == plain, "late");
    let mut reader = FlvReader::new(1 << 24);
    reader.feed(&plain);
    let seen = std::iter::from_fn(|| reader.next_frame().expect("the body is FLV"));
    let seen: Vec<_> = seen.filter(frames::is_coded).collect();
    assert!(seen == sent, "each frame once, at its time");
    installed.server.assert_unhurt();
}

#[test]
fn a_message_that_has_half_come_is_completed() {
    let mut installed = Installed::start(&[], &[]);
    let mut publisher = RtmpPeer::publish(&installed.server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(0, 0));
    let mut viewer = FlvViewer::open(&installed.server, "r");
    viewer.frames_until(&frames::keyframe(0, 0));
    // Within the header of a chunk and behind it, in its content, and in the second chunk.
    for (number, cut) in (1..).step_by(2).zip([1, 7, 12, 4_000, 70_000]) {
        let (whole, halved) =
            (frames::inter(number * 40, number), frames::sized_inter(number * 40 + 40, number + 1, 70_000));
        let (whole_bytes, halved_bytes) = (message(&whole), message(&halved));
        let (begin, rest) = halved_bytes.split_at(cut);
        let mut socket = publisher.socket();
        socket.write_all(&[&whole_bytes[..], begin].concat()).expect("the server reads");
        // The server has read what came with it.
        viewer.frames_until(&whole);
        installed.upgrade();
        socket.write_all(rest).expect("the server reads on");
        viewer.frames_until(&halved);
    }
    installed.server.assert_unhurt();
}

/// The bytes of a frame on a connection whose chunk size was announced.
fn message(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    let (csid, type_id) = (VIDEO_CSID, frame.track.type_id());
    let header =
        MessageHeader { csid, type_id, stream_id: MESSAGE_STREAM_ID, timestamp_ms: frame.timestamp_ms };
    write_message(&mut out, &header, &frame.payload, OUT_CHUNK_SIZE_BYTES);
    out
}
