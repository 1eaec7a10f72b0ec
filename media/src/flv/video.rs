//! The head of a video tag: codec, keyframe or sequence header, composition time.
//!
//! FLV v10.1 E.4.3 for the classic header, E-RTMP v2 "Enhanced Video" for the one with a FourCC.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A video codec that RTMP and FLV can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VideoCodec {
    /// H.264: codec id 7, or FourCC `avc1`.
    H264,
    /// H.265: FourCC `hvc1`, or codec id 12, which many encoders used before E-RTMP.
    H265,
    /// FourCC `av01`.
    Av1,
    /// FourCC `vp09`.
    Vp9,
    /// Another codec id of FLV, passed through as it is.
    Id(u8),
    /// Another FourCC, passed through as it is.
    FourCc([u8; 4]),
}

/// The content of a video tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoKind {
    /// The decoder's configuration.
    SequenceHeader,
    /// A frame at which decoding can start.
    Keyframe,
    /// A frame that needs earlier ones.
    Inter,
    /// End of sequence, HDR metadata, commands: for the player, not for the decoder's buffer.
    Other,
}

/// A video tag's header, parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoHeader {
    /// The codec.
    pub codec: VideoCodec,
    /// The kind of content.
    pub kind: VideoKind,
    /// Presentation time minus decoding time, in milliseconds.
    pub composition_time_ms: i32,
    /// Offset of the codec's own data in the tag's body, in bytes.
    pub data_offset: usize,
}

/// The reason a video tag's header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VideoError {
    /// The body ends inside its header.
    #[error("the video tag ends inside its header")]
    Truncated,
}

const EX_HEADER: u8 = 0x80;
const FRAME_TYPE_MASK: u8 = 0x70;
const FRAME_TYPE_KEY: u8 = 1;
const FRAME_TYPE_INTER: u8 = 2;
const FRAME_TYPE_COMMAND: u8 = 5;
const CODEC_ID_AVC: u8 = 7;
const CODEC_ID_HEVC: u8 = 12;

mod packet_type {
    pub const SEQUENCE_START: u8 = 0;
    pub const CODED_FRAMES: u8 = 1;
    pub const CODED_FRAMES_X: u8 = 3;
    pub const METADATA: u8 = 4;
    pub const MULTITRACK: u8 = 6;
    pub const MOD_EX: u8 = 7;
}

impl VideoHeader {
    /// Reads the header at the front of a video tag's body.
    pub fn parse(body: &[u8]) -> Result<Self, VideoError> {
        let first = *body.first().ok_or(VideoError::Truncated)?;
        if first & EX_HEADER != 0 { parse_enhanced(first, body) } else { parse_classic(first, body) }
    }
}

fn parse_classic(first: u8, body: &[u8]) -> Result<VideoHeader, VideoError> {
    let frame_type = first >> 4;
    let codec = match first & 0x0F {
        CODEC_ID_AVC => VideoCodec::H264,
        CODEC_ID_HEVC => VideoCodec::H265,
        id => VideoCodec::Id(id),
    };
    if frame_type == FRAME_TYPE_COMMAND {
        return Ok(VideoHeader { codec, kind: VideoKind::Other, composition_time_ms: 0, data_offset: 1 });
    }
    if let VideoCodec::Id(_) = codec {
        return Ok(VideoHeader {
            codec,
            kind: frame_kind(frame_type),
            composition_time_ms: 0,
            data_offset: 1,
        });
    }
    let kind = match byte_at(body, 1)? {
        0 => VideoKind::SequenceHeader,
        1 => frame_kind(frame_type),
        _ => VideoKind::Other,
    };
    Ok(VideoHeader { codec, kind, composition_time_ms: signed_24_at(body, 2)?, data_offset: 5 })
}

fn parse_enhanced(first: u8, body: &[u8]) -> Result<VideoHeader, VideoError> {
    let frame_type = (first >> 4) & 0x07;
    let (packet_type, at) =
        skip_mod_ex(body, first & 0x0F, packet_type::MOD_EX).ok_or(VideoError::Truncated)?;
    if frame_type == FRAME_TYPE_COMMAND && packet_type != packet_type::METADATA {
        // A command has no codec.
        let codec = VideoCodec::FourCc([0; 4]);
        return Ok(VideoHeader { codec, kind: VideoKind::Other, composition_time_ms: 0, data_offset: at });
    }
    let codec = VideoCodec::from_four_cc(four_cc_at(body, at).ok_or(VideoError::Truncated)?);
    let other = VideoHeader { codec, kind: VideoKind::Other, composition_time_ms: 0, data_offset: at + 4 };
    match packet_type {
        packet_type::SEQUENCE_START => Ok(VideoHeader { kind: VideoKind::SequenceHeader, ..other }),
        packet_type::CODED_FRAMES if codec.has_composition_time() => Ok(VideoHeader {
            kind: frame_kind(frame_type),
            composition_time_ms: signed_24_at(body, at + 4)?,
            data_offset: at + 7,
            ..other
        }),
        packet_type::CODED_FRAMES | packet_type::CODED_FRAMES_X => {
            Ok(VideoHeader { kind: frame_kind(frame_type), ..other })
        }
        // Its tracks have sequence headers of their own, which one stream of one track has no place for.
        packet_type::MULTITRACK => Ok(VideoHeader { data_offset: body.len(), ..other }),
        _ => Ok(other),
    }
}

/// A copy of a video tag's body with another composition time; `None` if its header has no place for one, or the time
/// does not fit it.
pub fn with_composition_time(body: &[u8], composition_time_ms: i64) -> Option<Bytes> {
    let at = composition_time_at(body)?;
    let time_ms = i32::try_from(composition_time_ms).ok().filter(|ms| (-1 << 23..1 << 23).contains(ms))?;
    let [_, high, mid, low] = time_ms.to_be_bytes();
    let mut copy = body.to_vec();
    copy.get_mut(at..at + 3)?.copy_from_slice(&[high, mid, low]);
    Some(copy.into())
}

/// A copy of a video tag's body that says whether it is a keyframe.
pub fn with_keyframe_flag(body: &[u8], is_keyframe: bool) -> Bytes {
    let frame_type = if is_keyframe { FRAME_TYPE_KEY } else { FRAME_TYPE_INTER };
    let mut copy = body.to_vec();
    if let Some(first) = copy.first_mut() {
        *first = *first & !FRAME_TYPE_MASK | frame_type << 4;
    }
    copy.into()
}

fn composition_time_at(body: &[u8]) -> Option<usize> {
    let header = VideoHeader::parse(body).ok()?;
    let is_coded = matches!(header.kind, VideoKind::Keyframe | VideoKind::Inter);
    if !is_coded || !header.codec.has_composition_time() {
        return None;
    }
    let first = *body.first()?;
    if first & EX_HEADER == 0 {
        return Some(2);
    }
    let (packet_type, at) = skip_mod_ex(body, first & 0x0F, packet_type::MOD_EX)?;
    (packet_type == packet_type::CODED_FRAMES).then_some(at + 4)
}

impl VideoCodec {
    fn from_four_cc(four_cc: [u8; 4]) -> Self {
        match &four_cc {
            b"avc1" => VideoCodec::H264,
            b"hvc1" => VideoCodec::H265,
            b"av01" => VideoCodec::Av1,
            b"vp09" => VideoCodec::Vp9,
            _ => VideoCodec::FourCc(four_cc),
        }
    }

    fn has_composition_time(self) -> bool {
        matches!(self, VideoCodec::H264 | VideoCodec::H265)
    }
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VideoCodec::H264 => f.write_str("h264"),
            VideoCodec::H265 => f.write_str("h265"),
            VideoCodec::Av1 => f.write_str("av1"),
            VideoCodec::Vp9 => f.write_str("vp9"),
            VideoCodec::Id(id) => write!(f, "flv-video-{id}"),
            VideoCodec::FourCc(four_cc) => write!(f, "{}", four_cc.escape_ascii()),
        }
    }
}

fn frame_kind(frame_type: u8) -> VideoKind {
    if frame_type == FRAME_TYPE_KEY { VideoKind::Keyframe } else { VideoKind::Inter }
}

fn byte_at(body: &[u8], at: usize) -> Result<u8, VideoError> {
    body.get(at).copied().ok_or(VideoError::Truncated)
}

fn signed_24_at(body: &[u8], at: usize) -> Result<i32, VideoError> {
    let bytes = body.get(at..at + 3).ok_or(VideoError::Truncated)?;
    Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], 0]) >> 8)
}

/// The four bytes at `at`, if they are there.
pub(crate) fn four_cc_at(body: &[u8], at: usize) -> Option<[u8; 4]> {
    body.get(at..at + 4)?.try_into().ok()
}

/// Passes over the modifiers (E-RTMP v2 "ModEx") behind a tag's first byte: the packet type behind them and where its
/// data begins.
pub(crate) fn skip_mod_ex(body: &[u8], first_packet_type: u8, mod_ex: u8) -> Option<(u8, usize)> {
    let mut packet_type = first_packet_type;
    let mut at = 1;
    while packet_type == mod_ex {
        let mut size = usize::from(*body.get(at)?) + 1;
        at += 1;
        if size == 256 {
            size = usize::from(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?)) + 1;
            at += 2;
        }
        at += size;
        packet_type = body.get(at)? & 0x0F;
        at += 1;
    }
    Some((packet_type, at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(body: &[u8]) -> (VideoCodec, VideoKind, i32, usize) {
        let header = VideoHeader::parse(body).unwrap();
        (header.codec, header.kind, header.composition_time_ms, header.data_offset)
    }

    #[test]
    fn classic_headers() {
        use VideoCodec::*;
        use VideoKind::*;
        assert_eq!(parsed(&[0x17, 0, 0, 0, 0, 1]), (H264, SequenceHeader, 0, 5));
        assert_eq!(parsed(&[0x17, 1, 0, 0, 80]), (H264, Keyframe, 80, 5));
        assert_eq!(parsed(&[0x27, 1, 0xFF, 0xFF, 0xFE]), (H264, Inter, -2, 5));
        assert_eq!(parsed(&[0x17, 2, 0, 0, 0]), (H264, Other, 0, 5));
        assert_eq!(parsed(&[0x1C, 1, 0, 0, 0]), (H265, Keyframe, 0, 5));
        assert_eq!(parsed(&[0x12, 9]), (Id(2), Keyframe, 0, 1));
        assert_eq!(parsed(&[0x57, 0]), (H264, Other, 0, 1));
    }

    #[test]
    fn enhanced_headers() {
        use VideoCodec::*;
        use VideoKind::*;
        assert_eq!(parsed(b"\x90hvc1\x01"), (H265, SequenceHeader, 0, 5));
        assert_eq!(parsed(b"\x91hvc1\x00\x00\x50"), (H265, Keyframe, 80, 8));
        assert_eq!(parsed(b"\xA3hvc1"), (H265, Inter, 0, 5));
        assert_eq!(parsed(b"\x91av01\xAA"), (Av1, Keyframe, 0, 5));
        assert_eq!(parsed(b"\xA1vp09\xAA"), (Vp9, Inter, 0, 5));
        assert_eq!(parsed(b"\x91avc1\x00\x00\x00"), (H264, Keyframe, 0, 8));
        assert_eq!(parsed(b"\x94av01..."), (Av1, Other, 0, 5));
        assert_eq!(parsed(b"\x91zzzz"), (FourCc(*b"zzzz"), Keyframe, 0, 5));
        assert_eq!(parsed(b"\xD1\x00"), (FourCc([0; 4]), Other, 0, 1), "a command");
        assert_eq!(parsed(b"\xD4hvc1"), (H265, Other, 0, 5), "metadata with the frame type of a command");
    }

    #[test]
    fn modifiers_before_the_packet_type_are_passed_over() {
        let body = b"\x97\x02\x01\x02\x03\x01hvc1\x00\x00\x05";
        assert_eq!(parsed(body), (VideoCodec::H265, VideoKind::Keyframe, 5, 13));
    }

    #[test]
    fn composition_times_are_replaced_where_there_are_any() {
        let replaced = |body: &[u8], ms| with_composition_time(body, ms).map(|body| parsed(&body).2);
        assert_eq!(replaced(b"\x27\x01\0\0\0abc", -40), Some(-40));
        assert_eq!(replaced(b"\x91hvc1\0\0\x50abc", 8_000_000), Some(8_000_000));
        assert_eq!(replaced(b"\x97\x02\x01\x02\x03\x01hvc1\0\0\x05", 7), Some(7));
        assert_eq!(replaced(b"\x27\x01\0\0\0", 1 << 23), None);
        for body in [&b"\xA3hvc1abc"[..], b"\xA1av01abc", b"\x17\0\0\0\0", b"\x12abc", b""] {
            assert_eq!(replaced(body, 7), None, "{body:?}");
        }
    }

    #[test]
    fn the_keyframe_flag_can_be_put_right() {
        for body in [&b"\x17\x01\0\0\x50abc"[..], b"\x91hvc1\0\0\x50abc", b"\x12abc"] {
            let (codec, kind, composition_time_ms, at) = parsed(body);
            assert_eq!(kind, VideoKind::Keyframe);
            let inter = with_keyframe_flag(body, false);
            assert_eq!(parsed(&inter), (codec, VideoKind::Inter, composition_time_ms, at));
            assert_eq!(with_keyframe_flag(&inter, true), body);
        }
    }

    #[test]
    fn a_header_cut_short_is_an_error() {
        for body in [&b""[..], b"\x17", b"\x17\x01\x00", b"\x91hv", b"\x91hvc1\x00", b"\x97\xFF\xFF"] {
            assert_eq!(VideoHeader::parse(body), Err(VideoError::Truncated), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(header) = VideoHeader::parse(&body) {
                prop_assert!(header.data_offset <= body.len());
            }
        }
    }
}
