//! What FFmpeg publishes is what viewers get: the same payloads at the same times, in order, none missing, over both
//! protocols and however media is flushed.

use synctv_media::stream::frame::{Frame, Track};
use synctv_testkit::{
    flv::{FlvViewer, assert_tail, coded, read_file, sequence_header},
    frames,
    rtmp::RtmpPeer,
    server::TestServer,
    tools::{Media, ffmpeg, media_file, push},
};

#[test]
fn flushed_with_every_picture() {
    passes_unchanged("picture");
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
    let server = TestServer::start(&["--flush-interval", flush, "--publisher-grace-s", "0"]);
    let push = push(ffmpeg(), file, &server.rtmp_url("r"));
    server.wait_for_publisher("r");
    let mut viewer = FlvViewer::open(&server, "r");
    let mut player = RtmpPeer::play(&server, "r");
    let (over_http, over_rtmp) = std::thread::scope(|scope| {
        let played = scope.spawn(|| std::iter::from_fn(|| player.next_frame()).collect::<Vec<_>>());
        let viewed = viewer.frames_to_the_end();
        (viewed, played.join().expect("the player reads to the end"))
    });
    push.wait_for_success();
    let source = read_file(file);
    assert_passed(&source, &over_http, "HTTP-FLV");
    assert_passed(&source, &over_rtmp, "RTMP");
}

fn assert_passed(source: &[Frame], seen: &[Frame], protocol: &str) {
    for track in [Track::Video, Track::Audio] {
        let what = format!("{protocol}, {track:?}");
        let header = |frames| sequence_header(frames, track).map(|frame| frame.payload.clone());
        assert_eq!(header(seen), header(source), "{what}: the sequence header");
        let begin = assert_tail(&coded(source, track), &coded(seen, track), &what);
        let second = coded(source, track).len() / 5;
        assert!(begin <= 3 * second, "{what}: it began with frame {begin} only");
    }
    let pictures = coded(seen, Track::Video);
    assert!(pictures.first().is_some_and(frames::is_keyframe), "{protocol}");
    frames::assert_never_back(seen);
}

#[test]
fn frames_of_megabytes_arrive_whole() {
    const SIZE_BYTES: usize = 3 * 1024 * 1024;
    let server = TestServer::start(&["--viewer-queue-mb", "64"]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::headers());
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
