//! From the first request to the last: waiting, on demand, refused codecs.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Command, Stdio},
};

use bytes::Bytes;
use synctv_media::stream::frame::{Frame, Track};
use tokio::time::Instant;

use crate::support::{Server, Source};

fn source() -> Source {
    Source::encode(6, "-c:v libx264 -preset ultrafast -g 50 -sc_threshold 0", "-c:a aac")
}

#[test]
fn a_request_before_the_first_segment_waits_for_it() {
    let server = Server::start(&[]);
    let mut publisher = server.publisher("r");
    let frames = source().frames();
    let (before, after) = frames.split_at(20);
    publisher.send(before);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.get("/live/r/index.m3u8"));
        publisher.send(after);
        assert_eq!(waiting.join().unwrap().status, 200);
    });
}

#[test]
fn a_stream_that_sends_nothing_is_waited_for_and_then_asked_for_later() {
    let server = Server::start(&[("PUBLISHER_TIMEOUT_S", "60")]);
    let _silent = server.publisher("r");
    let since = Instant::now();
    let answer = server.get("/live/r/index.m3u8");
    assert!((9..=15).contains(&since.elapsed().as_secs()));
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
}

#[test]
fn on_demand_the_first_request_begins_it() {
    let server = Server::start(&[("HLS", "on-demand"), ("PUBLISHER_GRACE_S", "20")]);
    let mut publisher = server.publisher("r");
    let frames = source().frames();
    let (before, after) = frames.split_at(frames.len() / 2);
    publisher.send(before);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.get("/live/r/index.m3u8"));
        while !waiting.is_finished() {
            publisher.send(after);
            std::thread::park_timeout(std::time::Duration::from_millis(200));
        }
        assert_eq!(waiting.join().unwrap().status, 200);
    });
    assert_eq!(server.get("/live/nobody/index.m3u8").status, 404);
}

/// A sequence header and a first frame are answered with this.
fn refused(track: Track, payloads: [&'static [u8]; 2]) -> (u16, String) {
    let server = Server::start(&[]);
    let mut publisher = server.publisher("r");
    let frame = |payload| Frame { track, timestamp_ms: 0, payload: Bytes::from_static(payload) };
    publisher.send(&payloads.map(frame));
    let answer = server.get("/live/r/index.m3u8");
    (answer.status, answer.text())
}

#[test]
fn a_codec_that_does_not_fit_is_named() {
    for (track, payloads, codec) in [
        (Track::Video, [&b"\x90av01\x81\0\0\0"[..], b"\x91av01key"], "av1"),
        (Track::Video, [b"\x90vp09\x01", b"\x91vp09key"], "vp9"),
        (Track::Audio, [b"\x90OpusOpusHead", b"\x91Opusaudio"], "opus"),
    ] {
        let (status, text) = refused(track, payloads);
        assert_eq!(status, 415);
        assert!(text.contains(&format!(r#""codec":"{codec}""#)), "{text}");
    }
}

#[test]
fn without_hls_its_address_is_not_listened_on() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_synctv-stream"))
        .env("REDIS_URL", "off")
        .args(["--hls", "off", "--hls-addr", &taken.local_addr().unwrap().to_string()])
        .args(["--rtmp-addr", "127.0.0.1:0", "--httpflv-addr", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let said: Vec<_> = lines.take(2).map(Result::unwrap).collect();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(said.len() == 2 && said.iter().all(|line| !line.starts_with("hls")), "{said:?}");
}
