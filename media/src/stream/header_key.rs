//! Frames that configure a decoder besides the sequence headers of the main tracks: they come once, and everyone who joins
//! later needs them.
//!
//! E-RTMP v2, "Enhanced Video" and "Enhanced Audio": colour information, channel layouts, and the sequence headers of
//! further tracks.

use serde::{Deserialize, Serialize};

use crate::{
    flv::video::skip_mod_ex,
    stream::frame::{Frame, Track},
};

/// The identity of a header. One that comes later replaces an earlier one of the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderKey {
    track: Track,
    kind: Kind,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    SequenceStart,
    /// High dynamic range and the like, which the codec's own header need not have.
    VideoMetadata,
    /// The channels and their places.
    ChannelLayout,
}

/// The part of a track that a tag is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    /// The track that players without multitrack know.
    Main,
    /// Of a multitrack tag: how it is laid out, and the first track in it.
    Extra { layout: u8, first_id: u8 },
}

/// The packet types of one kind of tag. The numbers differ between audio and video.
struct PacketTypes {
    multitrack: u8,
    mod_ex: u8,
    configuration: (u8, Kind),
}

const VIDEO: PacketTypes = PacketTypes { multitrack: 6, mod_ex: 7, configuration: (4, Kind::VideoMetadata) };
const AUDIO: PacketTypes = PacketTypes { multitrack: 5, mod_ex: 7, configuration: (4, Kind::ChannelLayout) };

const SEQUENCE_START: u8 = 0;

const VIDEO_EX_HEADER: u8 = 0x80;
const AUDIO_EX_HEADER: u8 = 9;

impl HeaderKey {
    /// The key of a frame that is such a header. Sequence headers of main tracks are not among them, nor is anything of
    /// a packet type that is not known.
    pub fn of(frame: &Frame) -> Option<Self> {
        let (types, packet_type, body) = packet_of(frame)?;
        let (packet_type, part) =
            if packet_type == types.multitrack { extra_part(body)? } else { (packet_type, Part::Main) };
        let kind = match packet_type {
            SEQUENCE_START if part != Part::Main => Kind::SequenceStart,
            _ if packet_type == types.configuration.0 => types.configuration.1,
            _ => return None,
        };
        Some(Self { track: frame.track, kind, part })
    }

    /// The kind of tag that it is in.
    pub fn track(self) -> Track {
        self.track
    }

    /// Returns whether it is for the track that players without multitrack know.
    pub fn is_of_main_track(self) -> bool {
        self.part == Part::Main
    }
}

/// The packet type of a frame with a FourCC, and what stands behind it.
fn packet_of(frame: &Frame) -> Option<(PacketTypes, u8, &[u8])> {
    let first = *frame.payload.first()?;
    let types = match frame.track {
        Track::Video if first & VIDEO_EX_HEADER != 0 => VIDEO,
        Track::Audio if first >> 4 == AUDIO_EX_HEADER => AUDIO,
        _ => return None,
    };
    let (packet_type, at) = skip_mod_ex(&frame.payload, first & 0x0F, types.mod_ex)?;
    Some((types, packet_type, frame.payload.get(at..)?))
}

/// Reads what stands behind the type of a multitrack tag: layout and packet type, the first track's codec, which may be
/// that of all, and its number.
fn extra_part(body: &[u8]) -> Option<(u8, Part)> {
    let [first, _, _, _, _, first_id, ..] = *body else { return None };
    Some((first & 0x0F, Part::Extra { layout: first >> 4, first_id }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn key(track: Track, payload: &[u8]) -> Option<HeaderKey> {
        HeaderKey::of(&Frame { track, timestamp_ms: 0, payload: Bytes::copy_from_slice(payload) })
    }

    #[test]
    fn colour_and_channels_are_kept_by_their_kind() {
        let colour = key(Track::Video, b"\x94hvc1\x02\x00\x09colorInfo").unwrap();
        assert_eq!((colour.track(), colour.is_of_main_track()), (Track::Video, true));
        assert_eq!(key(Track::Video, b"\xD4av01\x02"), Some(colour), "the frame type does not matter");
        let channels = key(Track::Audio, b"\x94Opus\x01\x06\0\0\0\x3f").unwrap();
        assert_eq!(channels.track(), Track::Audio);
        assert_eq!(key(Track::Audio, b"\x97\x00\xAA\x04Opus\x01"), Some(channels), "behind a modifier");
    }

    #[test]
    fn sequence_headers_of_further_tracks_are_kept_by_their_number() {
        let second = key(Track::Video, b"\x96\x00avc1\x01record").unwrap();
        assert!(!second.is_of_main_track());
        assert_eq!(key(Track::Video, b"\x96\x00avc1\x01another"), Some(second));
        assert_ne!(key(Track::Video, b"\x96\x00avc1\x02record"), Some(second));
        assert_ne!(key(Track::Video, b"\x96\x10avc1\x01\0\0\x06record"), Some(second));
        assert!(key(Track::Audio, b"\x95\x20Opus\x01\0\0\x08OpusHead").is_some());
    }

    #[test]
    fn nothing_else_is_kept() {
        for (track, payload) in [
            (Track::Video, &b"\x90hvc1\x01"[..]),
            (Track::Video, b"\x91hvc1\0\0\0"),
            (Track::Video, b"\x95av01\x01"),
            (Track::Video, b"\x98av01\x01"),
            (Track::Video, b"\x96\x01avc1\x01frame"),
            (Track::Video, b"\x96\x00avc1"),
            (Track::Video, b"\x17\x00\0\0\0"),
            (Track::Audio, b"\x90OpusOpusHead"),
            (Track::Audio, b"\x9FOpus"),
            (Track::Audio, b"\xAF\x00\x12\x10"),
            (Track::Data, b"\x94hvc1"),
        ] {
            assert_eq!(key(track, payload), None, "{payload:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_key_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..32), video: bool) {
            let track = if video { Track::Video } else { Track::Audio };
            let frame = Frame { track, timestamp_ms: 0, payload: bytes.into() };
            prop_assert!(HeaderKey::of(&frame).is_none_or(|key| key.track() == track));
        }
    }
}
