//! Codecs with a FourCC (Enhanced RTMP) pass through as they are, and late viewers get their sequence headers
//! and start at their keyframes.
//!
//! The byte vectors follow "Enhanced RTMP v2", sections "Enhanced Video" and "Enhanced Audio".

use synctv_media::{
    rtmp::amf0::Value,
    stream::frame::{Frame, Track},
};
use synctv_testkit::{
    flv::{FlvViewer, read_file},
    frames::{self, frame},
    process::Process,
    rtmp::{
        RtmpPeer,
        raw::{RawRtmp, connect_command},
    },
    server::TestServer,
    tools::{enhanced_media_file, new_ffmpeg, push},
    waiting_viewers::WaitingViewers,
};

const KEYFRAME: u8 = 0x10;
const INTER: u8 = 0x20;
const COMMAND: u8 = 0x50;
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const MULTICHANNEL_CONFIG: u8 = 4;
const UNKNOWN: u8 = 9;

/// A video tag: IsExVideoHeader, frame type and packet type, FourCC, then what follows.
fn video(time_ms: u32, frame_type: u8, packet_type: u8, four_cc: &str, rest: &[u8]) -> Frame {
    let head = [0x80 | frame_type | packet_type];
    frame(Track::Video, time_ms, [&head, four_cc.as_bytes(), rest].concat())
}

/// An audio tag: SoundFormat 9 and packet type, FourCC, then what follows.
fn audio(time_ms: u32, packet_type: u8, four_cc: &str, rest: &[u8]) -> Frame {
    let head = [0x90 | packet_type];
    frame(Track::Audio, time_ms, [&head, four_cc.as_bytes(), rest].concat())
}

/// Header, keyframe, inter frame, each as the codec has it: with a composition time where there is one.
fn video_frames(four_cc: &str) -> Vec<Frame> {
    let header = video(0, KEYFRAME, SEQUENCE_START, four_cc, b"configuration");
    let mut all = vec![header, video(0, KEYFRAME, CODED_FRAMES, four_cc, b"\0\0\x28key")];
    all.push(video(40, INTER, CODED_FRAMES, four_cc, b"\0\0\0inter"));
    if matches!(four_cc, "avc1" | "hvc1") {
        all.push(video(80, INTER, CODED_FRAMES_X, four_cc, b"no composition time"));
    }
    all
}

fn audio_frames(four_cc: &str) -> Vec<Frame> {
    vec![
        audio(0, SEQUENCE_START, four_cc, b"OpusHead or the like"),
        audio(10, CODED_FRAMES, four_cc, b"first"),
        audio(30, CODED_FRAMES, four_cc, b"second"),
    ]
}

#[test]
fn every_pair_of_codecs() {
    let server = TestServer::start(&[]);
    let pairs =
        ["avc1", "hvc1", "av01", "vp09", "hvc1"].into_iter().zip(["mp4a", "Opus", "fLaC", "ac-3", "ec-3"]);
    for (video, audio) in pairs {
        passes(&server, video, audio);
    }
}

fn passes(server: &TestServer, video: &str, audio: &str) {
    let room = format!("{video}_{audio}");
    let (mut sent, audio_frames) = (video_frames(video), audio_frames(audio));
    // In the order in which everyone gets them: headers, keyframe, the rest.
    sent.insert(1, audio_frames[0].clone());
    sent.extend_from_slice(&audio_frames[1..]);
    let mut publisher = RtmpPeer::publish(server, &room);
    let mut early = FlvViewer::open(server, &room);
    publisher.send_all(&sent);
    let last = sent.last().expect("something is sent");
    let expected = frames::payloads(&sent);
    assert_eq!(frames::payloads(&early.frames_until(last)), expected, "{room}: early");
    let mut late = FlvViewer::open(server, &room);
    assert_eq!(frames::payloads(&late.frames_until(last)), expected, "{room}: late");
    assert_eq!(late.tracks(), (true, true), "{room}");
    let mut player = RtmpPeer::play(server, &room);
    let played: Vec<Frame> = (0..sent.len()).filter_map(|_| player.next_frame()).collect();
    assert_eq!(frames::payloads(&played), expected, "{room}: RTMP");
}

#[test]
fn a_modifier_in_front_hides_nothing() {
    // ModEx (packet type 7) with one byte of data, then the packet type proper.
    let mod_ex = |frame_type: u8, packet_type: u8, rest: &[u8]| {
        let head = [0x87 | frame_type, 2, 0, 0, 1, packet_type];
        frame(Track::Video, 0, [&head, b"av01".as_slice(), rest].concat())
    };
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let header = video(0, KEYFRAME, SEQUENCE_START, "av01", b"configuration");
    let key = mod_ex(KEYFRAME, CODED_FRAMES, b"key");
    publisher.send_all(&[header.clone(), key.clone()]);
    let seen = FlvViewer::open(&server, "r").frames_until(&key);
    assert_eq!(frames::payloads(&seen), frames::payloads(&[header, key]));
}

/// Headers that come once: colour of the video, channels of the audio, and the configurations of further tracks.
fn sent_once() -> Vec<Frame> {
    let colour = [b"\x02\0\x09colorInfo\x03".as_slice(), b"\0\0\x09"].concat();
    vec![
        video(0, KEYFRAME, SEQUENCE_START, "hvc1", b"configuration"),
        video(0, COMMAND, METADATA, "hvc1", &colour),
        audio(0, SEQUENCE_START, "Opus", b"OpusHead"),
        audio(0, MULTICHANNEL_CONFIG, "Opus", b"\x01\x06\0\0\0\x3f"),
        multitrack(Track::Video, "avc1", 1, b"configuration of 1"),
        multitrack(Track::Video, "avc1", 2, b"configuration of 2"),
        multitrack(Track::Audio, "mp4a", 1, b"\x12\x10"),
    ]
}

/// The sequence header of one further track.
fn multitrack(track: Track, four_cc: &str, id: u8, rest: &[u8]) -> Frame {
    let first = if track == Track::Video { 0x96 } else { 0x95 };
    let one_track = SEQUENCE_START;
    frame(track, 0, [&[first, one_track], four_cc.as_bytes(), &[id], rest].concat())
}

#[test]
fn what_comes_once_reaches_everyone() {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let mut early = FlvViewer::open(&server, "r");
    let once = sent_once();
    publisher.send_all(&once);
    let media = [
        video(40, KEYFRAME, CODED_FRAMES_X, "hvc1", b"key"),
        audio(45, CODED_FRAMES, "Opus", b"first"),
        video(80, INTER, CODED_FRAMES_X, "hvc1", b"inter"),
    ];
    publisher.send_all(&media);
    let expected = frames::payloads(once.iter().chain(&media));
    let unknown = [
        video(90, INTER, UNKNOWN, "hvc1", b"unknown"),
        audio(95, UNKNOWN, "Opus", b"unknown"),
        video(120, INTER, CODED_FRAMES_X, "hvc1", b"last"),
    ];
    assert_eq!(frames::payloads(&early.frames_until(&media[2])), expected, "early");
    let mut late = FlvViewer::open(&server, "r");
    assert_eq!(frames::payloads(&late.frames_until(&media[2])), expected, "late");
    let mut player = RtmpPeer::play(&server, "r");
    let played: Vec<Frame> = expected.iter().filter_map(|_| player.next_frame()).collect();
    assert_eq!(frames::payloads(&played), expected, "RTMP");
    publisher.send_all(&unknown);
    for viewer in [&mut early, &mut late] {
        let seen = viewer.frames_until(&unknown[2]);
        assert_eq!(frames::payloads(&seen), frames::payloads(&unknown), "what is not known passes");
    }
}

#[test]
fn the_server_says_which_it_forwards() {
    let server = TestServer::start(&[]);
    let (mut peer, c2) = RawRtmp::greet(&server);
    peer.send(&[c2, connect_command("live")].concat());
    let answer = peer.wait_for_command("_result");
    let list = answer.get(2).and_then(|properties| properties.get("fourCcList"));
    let Some(Value::StrictArray(list)) = list else {
        panic!("no fourCcList in {answer:?}");
    };
    for four_cc in ["avc1", "hvc1", "av01", "vp09", "mp4a", "Opus", "fLaC", "ac-3", "ec-3"] {
        assert!(list.contains(&Value::text(four_cc)), "{four_cc}");
    }
}

#[test]
fn hevc_and_opus_from_a_new_ffmpeg() {
    let file = enhanced_media_file();
    // On a busy machine FFmpeg takes a while to start, and viewers wait for it.
    let server = TestServer::start(&["--publisher-grace-s", "60"]);
    let mut viewers = WaitingViewers::of(&server, "r");
    let push = push(new_ffmpeg(), file, &server.rtmp_url("r"));
    server.log.find_nth(2, "FFmpeg publishes", |line| line.says("publisher connected", "r"));
    // The same FFmpeg decodes it too; for less than all, as it takes the end of a live body for an error.
    let mut decode = new_ffmpeg();
    decode.args(["-xerror", "-i", &server.flv_url("r"), "-t", "2", "-f", "null", "-"]);
    let decode = Process::start(&mut decode);
    viewers.assert_arrives(&read_file(file));
    push.wait_for_success();
    decode.wait_for_success();
}
