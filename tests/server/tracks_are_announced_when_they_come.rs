//! FLV header, metadata and sequence headers announce the tracks that really come, over HTTP-FLV and RTMP. A track that
//! comes later, pauses or comes back reaches viewers who are there and viewers who join.

use bytes::Bytes;
use synctv_media::{
    samples,
    stream::{
        frame::{Frame, Track},
        metadata::{Metadata, is_metadata},
        tracks::Tracks,
    },
};
use synctv_testkit::{
    flv::FlvViewer,
    frames,
    log_book::LogLine,
    rtmp::RtmpPeer,
    server::TestServer,
    tools::{Media, ffmpeg, ffprobe, media_file, push_on_and_on},
};

const AUDIO: Tracks = Tracks { audio: true, video: false };
const VIDEO: Tracks = Tracks { audio: false, video: true };

/// Metadata and headers of both tracks were sent; then only frames of `tracks` come.
fn begin(server: &TestServer, tracks: Tracks) -> (RtmpPeer, FlvViewer) {
    let mut publisher = RtmpPeer::publish(server, "r");
    let early = FlvViewer::open(server, "r");
    publisher.send_all(&frames::headers());
    publisher.send(&if tracks.video { frames::keyframe(0, 0) } else { frames::audio(0, 0) });
    (publisher, early)
}

/// The frames up to the first of audio or video, and what they announce.
fn announced(mut next: impl FnMut() -> Option<Frame>) -> (Vec<Frame>, Tracks, Tracks) {
    let mut seen = Vec::new();
    while !seen.last().is_some_and(frames::is_coded) {
        seen.push(next().expect("the stream goes on"));
    }
    let metadata = seen.iter().find(|frame| frame.track == Track::Data && is_metadata(&frame.payload));
    let by_metadata = metadata.map(|frame| Metadata::parse(&frame.payload).announced());
    let mut by_headers = Tracks::default();
    seen.iter()
        .filter(|frame| frames::is_sequence_header(frame))
        .for_each(|frame| by_headers.insert(frame.track));
    (seen, by_metadata.expect("metadata comes first"), by_headers)
}

fn assert_announces(server: &TestServer, viewer: &mut FlvViewer, tracks: Tracks) {
    let (_, by_metadata, by_headers) = announced(|| viewer.next_frame());
    assert_eq!(viewer.tracks(), (tracks.audio, tracks.video), "the FLV header");
    assert_eq!((by_metadata, by_headers), (tracks, tracks), "HTTP-FLV");
    let mut player = RtmpPeer::play(server, "r");
    let (_, by_metadata, by_headers) = announced(|| player.next_frame());
    assert_eq!((by_metadata, by_headers), (tracks, tracks), "RTMP");
}

/// The payloads up to `last`, from where `viewer` is.
fn payloads_until(viewer: &mut FlvViewer, last: &Frame) -> Vec<Bytes> {
    frames::payloads(&viewer.frames_until(last))
}

fn paused(server: &TestServer, track: &str) {
    let is_it = |line: &LogLine| line.says("track paused", "r") && line.text("track") == track;
    server.log.find("the pause", is_it);
}

#[test]
fn audio_that_never_comes() {
    let server = TestServer::start(&[]);
    let (_publisher, mut early) = begin(&server, VIDEO);
    assert_announces(&server, &mut early, VIDEO);
    assert_announces(&server, &mut FlvViewer::open(&server, "r"), VIDEO);
}

#[test]
fn video_that_never_comes() {
    let server = TestServer::start(&[]);
    let (_publisher, mut early) = begin(&server, AUDIO);
    assert_announces(&server, &mut early, AUDIO);
    assert_announces(&server, &mut FlvViewer::open(&server, "r"), AUDIO);
}

#[test]
fn video_that_comes_later() {
    let server = TestServer::start(&[]);
    let (mut publisher, mut early) = begin(&server, AUDIO);
    assert_announces(&server, &mut early, AUDIO);
    let video = frames::keyframe(6_000, 1);
    publisher.send_all(&[frames::audio(5_990, 2), video.clone()]);
    let [metadata, header, _] = frames::headers();
    let seen = payloads_until(&mut early, &video);
    let expected = [frames::audio(5_990, 2).payload, metadata.payload, header.payload, video.payload];
    assert_eq!(seen, expected, "viewers who are there get the headers with it");
    publisher.send(&frames::audio(6_020, 3));
    early.frames_until(&frames::audio(6_020, 3));
    assert_announces(&server, &mut FlvViewer::open(&server, "r"), Tracks::ALL);
}

#[test]
fn video_that_is_switched_off_and_on_again() {
    let server = TestServer::start(&[]);
    let (mut publisher, mut early) = begin(&server, VIDEO);
    publisher.send_all((0..=5_000).step_by(20).map(|at| frames::audio(at, at)).collect::<Vec<_>>().iter());
    paused(&server, "video");
    early.frames_until(&frames::audio(5_000, 5_000));
    let mut joined = FlvViewer::open(&server, "r");
    assert_announces(&server, &mut joined, AUDIO);
    let back = frames::keyframe(20_000, 1);
    publisher
        .send_all((5_020..20_000).step_by(20).map(|at| frames::audio(at, at)).collect::<Vec<_>>().iter());
    publisher.send(&back);
    let [metadata, header, _] = frames::headers();
    for viewer in [&mut early, &mut joined] {
        let seen = viewer.frames_until(&back);
        let tail = frames::payloads(&seen[seen.len() - 3..]);
        assert_eq!(tail, [&metadata, &header, &back].map(|frame| frame.payload.clone()));
        assert_eq!(seen.last().map(|frame| frame.timestamp_ms), Some(20_000), "where the audio is");
    }
    publisher.send(&frames::audio(20_010, 2));
    early.frames_until(&frames::audio(20_010, 2));
    assert_announces(&server, &mut FlvViewer::open(&server, "r"), Tracks::ALL);
}

#[test]
fn audio_that_is_muted_from_the_start_and_not_later() {
    let server = TestServer::start(&[]);
    let (mut publisher, mut early) = begin(&server, VIDEO);
    assert_announces(&server, &mut early, VIDEO);
    let first = frames::audio(2_000, 1);
    publisher.send_all(&[frames::inter(1_990, 2), first.clone(), frames::inter(2_030, 3)]);
    let seen = payloads_until(&mut early, &first);
    let expected = [
        frames::inter(1_990, 2).payload,
        samples::metadata(true, true).payload,
        samples::audio_header().payload,
        first.payload,
    ];
    assert_eq!(seen, expected);
    early.frames_until(&frames::inter(2_030, 3));
    assert_announces(&server, &mut FlvViewer::open(&server, "r"), Tracks::ALL);
}

#[test]
fn metadata_has_no_time() {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let mut early = FlvViewer::open(&server, "r");
    publisher.send_all(&frames::video_headers());
    publisher.send(&frames::keyframe(4_000, 0));
    early.frames_until(&frames::keyframe(4_000, 0));
    publisher.send_all(&[samples::metadata(true, true), frames::keyframe(4_040, 1)]);
    let seen = early.frames_until(&frames::keyframe(4_040, 1));
    let mut late = FlvViewer::open(&server, "r");
    let mut player = RtmpPeer::play(&server, "r");
    let (late, ..) = announced(|| late.next_frame());
    let (played, ..) = announced(|| player.next_frame());
    for frames in [seen, late, played] {
        let metadata: Vec<_> = frames.iter().filter(|frame| frame.track == Track::Data).collect();
        assert_eq!(metadata.len(), 1);
        assert_eq!(metadata[0].timestamp_ms, 0, "FFmpeg would take it for a text track");
    }
}

#[test]
fn ffmpeg_finds_the_one_track_that_comes() {
    let server = TestServer::start(&[]);
    let _push = push_on_and_on(ffmpeg(), media_file(Media::AudioVideo), &server.rtmp_url("both"));
    server.wait_for_publisher("both");
    let mut source = FlvViewer::open(&server, "both");
    let mut muted = RtmpPeer::publish(&server, "muted");
    let probed = std::thread::spawn({
        let (http, rtmp) = (server.flv_url("muted"), server.rtmp_url("muted"));
        move || [ffprobe(&http), ffprobe(&rtmp)]
    });
    // All that announces audio passes, and no audio.
    while !probed.is_finished() {
        let frame = source.next_frame().expect("the source goes on");
        if frame.track != Track::Audio || frames::is_sequence_header(&frame) {
            muted.send(&frame);
        }
    }
    for probed in probed.join().expect("ffprobe ends") {
        let streams = probed["streams"].as_array().expect("a list");
        assert_eq!(
            streams.iter().map(|stream| &stream["codec_name"]).collect::<Vec<_>>(),
            ["h264"],
            "{probed}"
        );
    }
}
