//! Tags without audio or video in them are no frames, whatever their header says: browsers' players break at them.

use std::slice::from_ref;

use bytes::Bytes;
use synctv_media::{
    samples,
    stream::frame::{Frame, Track},
};
use synctv_testkit::{
    flv::{FlvViewer, coded},
    frames::{self, frame},
    rtmp::RtmpPeer,
    server::TestServer,
};

/// The frames that viewers over both protocols get of `sent` behind the first keyframe and audio, up to `last`.
fn seen(sent: &[Frame], last: &Frame) -> [Vec<Frame>; 2] {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let first = [frames::audio(0, 0), frames::keyframe(0, 0)];
    publisher.send_all(&frames::headers());
    publisher.send_all(&first);
    let (mut viewer, mut player) = (FlvViewer::open(&server, "r"), RtmpPeer::play(&server, "r"));
    viewer.frames_until(&first[1]);
    let mut next = || player.next_frame().expect("the stream goes on");
    while next().payload != first[1].payload {}
    publisher.send_all(sent);
    let mut played = Vec::new();
    while played.last().is_none_or(|frame: &Frame| frame.payload != last.payload) {
        played.push(next());
    }
    [viewer.frames_until(last), played]
}

fn nal(flag: u8, units: &[&[u8]]) -> Frame {
    let unit = |unit: &&[u8]| [&(unit.len() as u32).to_be_bytes(), *unit].concat();
    let payload = [vec![flag, 1, 0, 0, 0], units.iter().flat_map(unit).collect()].concat();
    frame(Track::Video, 40, payload)
}

const KEY: u8 = 0x17;
const INTER: u8 = 0x27;

#[test]
fn tags_without_data() {
    let empty = [
        frame(Track::Audio, 10, b"\xaf\x01".as_slice()),
        frame(Track::Video, 20, b"\x27\x01\0\0\0".as_slice()),
        frame(Track::Video, 30, b"\x17\x01\0\0\0".as_slice()),
        frame(Track::Audio, 35, b"\x91Opus".as_slice()),
    ];
    let last = frames::inter(80, 1);
    for seen in seen(&[&empty[..], from_ref(&last)].concat(), &last) {
        assert_eq!(seen, from_ref(&last));
    }
}

#[test]
fn tags_without_a_slice() {
    let (delimiter, supplemental) = (&b"\x09\xf0"[..], &b"\x06\x05\x01\xaa\x80"[..]);
    let odd = [KEY, INTER].map(|flag| {
        [nal(flag, &[delimiter]), nal(flag, &[supplemental]), nal(flag, &[delimiter, supplemental])]
    });
    let last = frames::inter(80, 1);
    for seen in seen(&[&odd.concat()[..], from_ref(&last)].concat(), &last) {
        assert_eq!(seen, from_ref(&last));
    }
}

#[test]
fn parameter_sets_in_a_tag_of_their_own_come_with_the_next_frame() {
    let (sps, pps, idr) = (&b"\x67\x64\x00"[..], &b"\x68\xeb"[..], &b"\x65\x88\x84"[..]);
    let last = nal(KEY, &[sps, pps, idr]);
    for seen in seen(&[nal(KEY, &[sps, pps]), nal(KEY, &[idr])], &last) {
        assert_eq!(seen, from_ref(&last));
    }
}

#[test]
fn a_keyframe_without_an_idr_is_none() {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    publisher.send_all(&frames::video_headers());
    let mut witness = FlvViewer::open(&server, "r");
    let slice = &b"\x41\x9a\x01"[..];
    publisher.send_all(&[frames::keyframe(0, 0), nal(KEY, &[slice]), frames::inter(80, 1)]);
    witness.frames_until(&frames::inter(80, 1));
    let seen = FlvViewer::open(&server, "r").frames_until(&frames::inter(80, 1));
    let coded = coded(&seen, Track::Video);
    let expected = [frames::keyframe(0, 0), nal(INTER, &[slice]), frames::inter(80, 1)];
    assert_eq!(coded, expected, "viewers begin at the real one");
}

#[test]
fn an_empty_sequence_header_replaces_nothing() {
    let server = TestServer::start(&[]);
    let mut publisher = RtmpPeer::publish(&server, "r");
    let mut witness = FlvViewer::open(&server, "r");
    let key = frames::keyframe(40, 1);
    publisher.send_all(&frames::headers());
    publisher.send_all(&[frames::audio(0, 0), frames::keyframe(0, 0)]);
    publisher.send_all(&[
        frame(Track::Video, 0, b"\x17\0\0\0\0".as_slice()),
        frame(Track::Audio, 0, b"\xaf\0".as_slice()),
        key.clone(),
    ]);
    let seen = witness.frames_until(&key);
    let headers = |seen: &[Frame]| -> Vec<Bytes> {
        frames::payloads(seen.iter().filter(|frame| frames::is_sequence_header(frame)))
    };
    let expected = [samples::video_header().payload, samples::audio_header().payload];
    assert_eq!(headers(&seen), expected);
    assert_eq!(headers(&FlvViewer::open(&server, "r").frames_until(&key)), expected);
}
