//! Viewers get the media that FFmpeg publishes: the same payloads at the same times, in order, none missing, over both
//! protocols and however media is flushed.

use synctv_media::stream::frame::Track;
use synctv_testkit::{
    flv::{FlvViewer, coded, read_file},
    frames,
    rtmp::RtmpPeer,
    server::TestServer,
    tools::{Media, ffmpeg, media_file, push},
    waiting_viewers::WaitingViewers,
};

#[test]
fn flushed_with_every_video_frame() {
    passes_unchanged("frame");
}

#[test]
fn flushed_with_every_tag() {
    passes_unchanged("0");
}

#[test]
fn flushed_at_an_interval() {
    passes_unchanged("100");
}

fn passes_unchanged(flush: &str) {
    let file = media_file(Media::AudioVideo);
    // On a busy machine FFmpeg takes a while to start, and viewers wait for it.
    let server = TestServer::start(&["--flush-interval", flush, "--publisher-grace-s", "60"]);
    let mut viewers = WaitingViewers::of(&server, "r");
    let push = push(ffmpeg(), file, &server.rtmp_url("r"));
    viewers.assert_arrives(&read_file(file));
    push.wait_for_success();
}

#[test]
fn frames_of_megabytes_arrive_whole() {
    const SIZE_BYTES: usize = 3 * 1024 * 1024;
    let server = TestServer::start(&["--viewer-queue-mb", "64"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::video_headers());
    let mut viewer = FlvViewer::open(&server, "r");
    let mut player = RtmpPeer::play(&server, "r");
    let sent = [
        frames::sized_keyframe(0, 1, SIZE_BYTES),
        frames::sized_inter(40, 2, SIZE_BYTES),
        frames::sized_inter(80, 3, 7),
    ];
    for frame in &sent {
        publisher.send(frame);
    }
    let seen = viewer.frames_until(&sent[2]);
    assert!(coded(&seen, Track::Video) == sent, "HTTP-FLV");
    let mut played = Vec::new();
    while played.len() < sent.len() {
        played.extend(player.next_frame().filter(frames::is_coded));
    }
    assert!(played == sent, "RTMP");
}
