//! Small frames for tests: well-formed headers and NAL units, bodies of no meaning.

use bytes::Bytes;

use crate::{
    rtmp::amf0::{self, Value},
    stream::frame::{Frame, Track},
};

/// An H.264 sequence header: Main profile, 640x360.
pub fn video_header() -> Frame {
    frame(
        Track::Video,
        0,
        b"\x17\0\0\0\0\x01\x4d\x40\x1e\xff\xe1\0\x0a\x67\x4d\x40\x1e\x96\x52\x02\x83\xf6\x02\x01\0\x04\x68\xef\x38\x80",
    )
}

/// An AAC sequence header: LC, 44.1 kHz, stereo.
pub fn audio_header() -> Frame {
    frame(Track::Audio, 0, b"\xaf\x00\x12\x10")
}

/// An H.264 keyframe.
pub fn keyframe(timestamp_ms: u32) -> Frame {
    frame(Track::Video, timestamp_ms, b"\x17\x01\0\0\0\0\0\0\x09\x65keyframe")
}

/// An H.264 picture that needs earlier ones.
pub fn inter(timestamp_ms: u32) -> Frame {
    frame(Track::Video, timestamp_ms, b"\x27\x01\0\0\0\0\0\0\x06\x41inter")
}

/// A packet of AAC.
pub fn audio(timestamp_ms: u32) -> Frame {
    frame(Track::Audio, timestamp_ms, b"\xaf\x01aac")
}

/// onMetaData that announces H.264 or AAC or both.
pub fn metadata(video: bool, audio: bool) -> Frame {
    let mut properties = Vec::new();
    if video {
        properties.push(("videocodecid".to_owned(), Value::Number(7.0)));
    }
    if audio {
        properties.push(("audiocodecid".to_owned(), Value::Number(10.0)));
    }
    let mut payload = Vec::new();
    amf0::write(&Value::String("onMetaData".into()), &mut payload);
    amf0::write(&Value::EcmaArray(properties), &mut payload);
    Frame { track: Track::Data, timestamp_ms: 0, payload: payload.into() }
}

fn frame(track: Track, timestamp_ms: u32, payload: &'static [u8]) -> Frame {
    Frame { track, timestamp_ms, payload: Bytes::from_static(payload) }
}
