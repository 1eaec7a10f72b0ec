//! The first request for a room waits for its first segment, begins HLS on demand, or is refused with the codec.

use std::{net::TcpListener, time::Duration};

use bytes::Bytes;
use synctv_media::stream::frame::{Frame, Track};
use synctv_testkit::{rtmp::RtmpPeer, server::TestServer, wait::now};

use crate::{ask_while_publishing, clip};

/// Time that a request waits for the first segment.
const FIRST_SEGMENT_TIMEOUT: Duration = Duration::from_secs(10);

#[test]
fn a_request_before_the_first_segment_waits_for_it() {
    let server = TestServer::with_hls(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let frames = clip(6).frames();
    let (before, after) = frames.split_at(20);
    publisher.send_all(before);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.hls().playlist_answer("r"));
        publisher.send_all(after);
        assert_eq!(waiting.join().unwrap().status, 200);
    });
}

#[test]
fn a_stream_that_sends_nothing_is_waited_for_and_then_asked_for_later() {
    let server = TestServer::with_hls(&["--publisher-timeout-s", "60"]);
    let _silent = RtmpPeer::publish(&server, "r");
    let since = now();
    let answer = server.hls().playlist_answer("r");
    assert!(since.elapsed() >= FIRST_SEGMENT_TIMEOUT, "{:?}", since.elapsed());
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
}

#[test]
fn on_demand_the_first_request_begins_it() {
    let server = TestServer::with_hls(&["--hls", "on-demand"]);
    let answer = ask_while_publishing(&server, || server.hls().get("/live/r/index.m3u8"));
    assert_eq!(answer.status, 200);
    assert_eq!(server.hls().get("/live/absent/index.m3u8").status, 404);
}

/// A sequence header and a first frame are answered with this.
fn refused(track: Track, payloads: [&'static [u8]; 2]) -> (u16, String) {
    let server = TestServer::with_hls(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let frame = |payload| Frame { track, timestamp_ms: 0, payload: Bytes::from_static(payload) };
    publisher.send_all(&payloads.map(frame));
    let answer = server.hls().playlist_answer("r");
    (answer.status, answer.text())
}

#[test]
fn a_codec_that_does_not_fit_is_named() {
    for (track, payloads, codec) in [
        (Track::Video, [&b"\x90vp08\x01"[..], b"\x91vp08key"], "vp08"),
        (Track::Video, [b"\x12key", b"\x12key"], "flv-video-2"),
        (Track::Audio, [b"\xB2audio", b"\xB2audio"], "flv-audio-11"),
    ] {
        let (status, text) = refused(track, payloads);
        assert_eq!(status, 415);
        assert!(text.contains(&format!(r#""codec":"{codec}""#)), "{text}");
    }
}

#[test]
fn without_hls_its_address_is_not_listened_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let server = TestServer::start(&["--hls", "off", "--hls-addr", &address]);
    assert!(!server.has_hls());
}
