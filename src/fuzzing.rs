//! The parsers of a peer's bytes outside `media`, as functions of any bytes: `cargo fuzz` runs each for hours, the tests
//! below run all of them for a moment.
//!
//! Each of [`TARGETS`] has a file of its name in `fuzz/fuzz_targets`.

use std::{net::SocketAddr, time::Duration};

use synctv_actors::cluster::redis_store::RedisUrl;
use synctv_media::{
    samples::WEBRTC_OFFER,
    webrtc::{
        framing::{PACKET_MAX_BYTES, PacketReader},
        packetizer::{MediaProfile, VideoProfile},
        peer::{Peer, PeerAddress, PeerSettings, Transport, WallClock, ufrag},
    },
};

use crate::http;

/// A parser and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("http_head", http_head),
    ("http_paths", http_paths),
    ("origin_head", origin_head),
    ("redis_url", redis_url),
    ("webrtc_offer", webrtc_offer),
    ("webrtc_datagram", webrtc_datagram),
    ("webrtc_connection", webrtc_connection),
];

/// The head of a request, and where its path leads.
pub fn http_head(data: &[u8]) {
    http::fuzz_head(data);
}

/// The paths of both HTTP ports, and the name of a host.
pub fn http_paths(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        http::fuzz_paths(text);
    }
}

/// The head of another node's answer to a pull.
pub fn origin_head(data: &[u8]) {
    synctv_actors::cluster::puller::fuzz_head(data);
}

/// The address of a Redis, which never shows its password.
pub fn redis_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(url) = RedisUrl::parse(text) else { return };
    let shown = url.to_string();
    assert!(shown.starts_with("redis") && RedisUrl::parse(&shown).is_ok_and(|again| again == url), "{shown}");
}

/// The offer of a WebRTC player, alone and behind one that is good.
pub fn webrtc_offer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = answer(text);
    let _ = answer(&format!("{WEBRTC_OFFER}{text}"));
}

/// A datagram at the WebRTC port: for whom it is, and what its session makes of it.
pub fn webrtc_datagram(data: &[u8]) {
    const REMOTE: ([u8; 4], u16) = ([192, 0, 2, 2], 5000);
    let _ = ufrag(data);
    let Some(mut peer) = answer(WEBRTC_OFFER) else { return };
    for transport in [Transport::Udp, Transport::Tcp] {
        let from = PeerAddress { transport, remote: REMOTE.into(), local: None };
        let _ = peer.receive(data, from, SERVER.into(), now());
        let _ = peer.wake(now(), &mut |_: PeerAddress, _: &[u8]| {});
    }
}

/// A TCP connection at the WebRTC port, in pieces.
pub fn webrtc_connection(data: &[u8]) {
    let (piece_bytes, rest) =
        data.split_first().map_or((1, data), |(first, rest)| (usize::from(*first), rest));
    let mut reader = PacketReader::default();
    for piece in rest.chunks(piece_bytes.max(1)) {
        reader.buffer().extend_from_slice(piece);
        loop {
            match reader.next_packet() {
                Ok(Some(packet)) => assert!((1..=PACKET_MAX_BYTES).contains(&packet.len())),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 8189);

fn answer(offer: &str) -> Option<Peer> {
    let profile = MediaProfile { video: Some(VideoProfile::H264(77)), has_opus: true };
    let settings = PeerSettings {
        udp: vec![SocketAddr::from(SERVER)],
        tcp: vec![SocketAddr::from(SERVER)],
        rtx_packets: 16,
        clock: WallClock { at: now(), since_1970: Duration::ZERO },
    };
    Peer::answer(offer, profile, &settings, now()).ok().map(|(peer, _)| peer)
}

fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIECES: &[&str] = &[
        "GET ",
        "HEAD ",
        "/",
        "live",
        "/live/",
        "room",
        ".flv",
        ".m3u8",
        "/index.m3u8",
        "seg-",
        "1",
        ".ts",
        "?",
        "a=b",
        " HTTP/1.1",
        "\r\n",
        "Host: ",
        "Host: a:80\r\n",
        "a:80",
        "synctv-pull: n",
        "http://",
        "redis://",
        "rediss://",
        ":",
        "@",
        "#",
        "/api/v1/",
        "streams",
        "/watch/",
        "..",
        "%2F",
        "é",
        "[::1]",
        "9999999999",
    ];

    /// The pieces that the parsers look for, in any order.
    fn any_text() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop_oneof![prop::sample::select(PIECES).prop_map(str::to_owned), ".{0,3}"],
            0..16,
        )
        .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..300), text in any_text()) {
            for (_, target) in TARGETS {
                target(&data);
                target(text.as_bytes());
            }
        }
    }

    #[test]
    fn each_target_has_its_file() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
        for (name, _) in TARGETS {
            let text = std::fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap_or_default();
            assert!(text.contains("fuzz_target!"), "fuzz/fuzz_targets/{name}.rs");
        }
    }
}
