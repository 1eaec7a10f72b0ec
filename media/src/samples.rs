//! Small frames for tests: well-formed headers and NAL units, bodies of no meaning; and a WebRTC player's offer.

use bytes::Bytes;

use crate::{
    rtmp::amf0::{self, Value},
    stream::frame::{Frame, Track},
};

/// An offer as Chromium makes it, with as many codecs as the tests need.
pub const WEBRTC_OFFER: &str = "v=0\r
o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0 1\r
a=msid-semantic: WMS\r
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103\r
c=IN IP4 0.0.0.0\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=candidate:1 1 udp 2113937151 127.0.0.1 50000 typ host generation 0\r
a=ice-ufrag:Yb2q\r
a=ice-pwd:cDSbkuDnWgpKCjgcAJiKAtsM\r
a=ice-options:trickle\r
a=fingerprint:sha-256 1F:4B:0F:A5:A1:A7:12:21:48:0C:1F:8D:4B:BF:62:61:62:70:0B:3A:CF:5A:2E:1B:9C:4D:15:6E:C8:1B:07:7E\r
a=setup:actpass\r
a=mid:0\r
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=recvonly\r
a=rtcp-mux\r
a=rtcp-rsize\r
a=rtpmap:96 VP8/90000\r
a=rtpmap:97 rtx/90000\r
a=fmtp:97 apt=96\r
a=rtpmap:102 H264/90000\r
a=rtcp-fb:102 nack\r
a=rtcp-fb:102 nack pli\r
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r
a=rtpmap:103 rtx/90000\r
a=fmtp:103 apt=102\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
c=IN IP4 0.0.0.0\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=ice-ufrag:Yb2q\r
a=ice-pwd:cDSbkuDnWgpKCjgcAJiKAtsM\r
a=ice-options:trickle\r
a=fingerprint:sha-256 1F:4B:0F:A5:A1:A7:12:21:48:0C:1F:8D:4B:BF:62:61:62:70:0B:3A:CF:5A:2E:1B:9C:4D:15:6E:C8:1B:07:7E\r
a=setup:actpass\r
a=mid:1\r
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=recvonly\r
a=rtcp-mux\r
a=rtpmap:111 opus/48000/2\r
a=fmtp:111 minptime=10;useinbandfec=1\r
";

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

/// An H.264 frame that needs earlier ones.
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

/// onMetaData that announces H.264 at so many frames a second.
pub fn metadata_with_rate(frames_per_s: f64) -> Frame {
    let properties = [("videocodecid", 7.0), ("framerate", frames_per_s)];
    let properties = properties.map(|(name, value)| (name.to_owned(), Value::Number(value)));
    let mut payload = Vec::new();
    amf0::write(&Value::String("onMetaData".into()), &mut payload);
    amf0::write(&Value::EcmaArray(properties.into()), &mut payload);
    Frame { track: Track::Data, timestamp_ms: 0, payload: payload.into() }
}

fn frame(track: Track, timestamp_ms: u32, payload: &'static [u8]) -> Frame {
    Frame { track, timestamp_ms, payload: Bytes::from_static(payload) }
}
