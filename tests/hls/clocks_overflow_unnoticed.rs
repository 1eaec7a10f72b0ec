//! Players notice nothing when clocks overflow: 33 bits of MPEG-TS after 26.5 hours, 32 bits of RTMP after 49.7 days.

use synctv_media::stream::frame::Frame;
use synctv_testkit::{
    rtmp::RtmpPeer,
    server::TestServer,
    tools::{Encoded, probe_hls},
};

use crate::every_frame_is_in_a_segment::{Coding, segment_video, source_video};

/// 2^33 ticks of 90 kHz.
const TS_WRAP_MS: u32 = 95_443_717;

/// Pushes twelve seconds, in the middle of which the publisher's clock is at `middle_ms`.
fn check(room: &str, middle_ms: u32) {
    let server = TestServer::with_hls(&["--hls-window", "100"]);
    let source =
        Encoded::new(12, "-c:v libx264 -preset veryfast -bf 2 -g 50 -sc_threshold 0", "-c:a aac -ar 44100");
    let frames = source.frames();
    let shifted: Vec<_> = frames
        .iter()
        .map(|frame| Frame {
            timestamp_ms: frame.timestamp_ms.wrapping_add(middle_ms).wrapping_sub(6_000),
            ..frame.clone()
        })
        .collect();
    let mut publisher = RtmpPeer::publish(&server, room);
    publisher.send_all(&shifted);
    publisher.unpublish();
    let stream = server.hls().whole_stream(room);
    assert!(segment_video(&stream, Coding::Avc) == source_video(&frames, Coding::Avc));
    assert_eq!(stream.playlist.discontinuities(), 0);
    assert!(stream.playlist.segments.iter().all(|entry| entry.duration_ms == 2_000));
    assert_eq!(probe_hls(&server.hls(), room, "codec_name"), ["aac", "h264"]);
}

#[test]
fn after_26_hours_and_a_half() {
    check("ts", TS_WRAP_MS);
}

#[test]
fn after_49_days() {
    check("rtmp", 0);
}
