//! The head of an audio tag: its codec, and whether it is a sequence header.
//!
//! FLV v10.1 E.4.2 for the classic header, E-RTMP v2 "Enhanced Audio" for the one with a FourCC.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::flv::video::{four_cc_at, skip_mod_ex};

/// An audio codec that RTMP and FLV can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AudioCodec {
    /// AAC: sound format 10, or FourCC `mp4a`.
    Aac,
    /// MP3: sound formats 2 and 14, or FourCC `.mp3`.
    Mp3,
    /// FourCC `Opus`.
    Opus,
    /// FourCC `fLaC`.
    Flac,
    /// FourCC `ac-3`.
    Ac3,
    /// FourCC `ec-3`.
    Eac3,
    /// Another sound format of FLV, passed through as it is.
    Id(u8),
    /// Another FourCC, passed through as it is.
    FourCc([u8; 4]),
}

/// The content of an audio tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioKind {
    /// The decoder's configuration.
    SequenceHeader,
    /// Sound.
    Coded,
    /// End of sequence, channel maps and the like.
    Other,
}

/// An audio tag's header, parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioHeader {
    /// The codec.
    pub codec: AudioCodec,
    /// The kind of content.
    pub kind: AudioKind,
    /// Offset of the codec's own data in the tag's body, in bytes.
    pub data_offset: usize,
}

/// The reason an audio tag's header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AudioError {
    /// The body ends inside its header.
    #[error("the audio tag ends inside its header")]
    Truncated,
}

const FORMAT_EX_HEADER: u8 = 9;
const FORMAT_AAC: u8 = 10;

mod packet_type {
    pub const SEQUENCE_START: u8 = 0;
    pub const CODED_FRAMES: u8 = 1;
    pub const MOD_EX: u8 = 7;
}

impl AudioHeader {
    /// Reads the header at the front of an audio tag's body.
    pub fn parse(body: &[u8]) -> Result<Self, AudioError> {
        let first = *body.first().ok_or(AudioError::Truncated)?;
        match first >> 4 {
            FORMAT_EX_HEADER => parse_enhanced(first, body),
            FORMAT_AAC => parse_aac(body),
            2 | 14 => Ok(AudioHeader { codec: AudioCodec::Mp3, kind: AudioKind::Coded, data_offset: 1 }),
            id => Ok(AudioHeader { codec: AudioCodec::Id(id), kind: AudioKind::Coded, data_offset: 1 }),
        }
    }
}

fn parse_aac(body: &[u8]) -> Result<AudioHeader, AudioError> {
    let kind = match body.get(1).ok_or(AudioError::Truncated)? {
        0 => AudioKind::SequenceHeader,
        _ => AudioKind::Coded,
    };
    Ok(AudioHeader { codec: AudioCodec::Aac, kind, data_offset: 2 })
}

fn parse_enhanced(first: u8, body: &[u8]) -> Result<AudioHeader, AudioError> {
    let (packet_type, at) =
        skip_mod_ex(body, first & 0x0F, packet_type::MOD_EX).ok_or(AudioError::Truncated)?;
    let codec = AudioCodec::from_four_cc(four_cc_at(body, at).ok_or(AudioError::Truncated)?);
    let kind = match packet_type {
        packet_type::SEQUENCE_START => AudioKind::SequenceHeader,
        packet_type::CODED_FRAMES => AudioKind::Coded,
        _ => AudioKind::Other,
    };
    Ok(AudioHeader { codec, kind, data_offset: at + 4 })
}

impl AudioCodec {
    fn from_four_cc(four_cc: [u8; 4]) -> Self {
        match &four_cc {
            b"mp4a" => AudioCodec::Aac,
            b".mp3" => AudioCodec::Mp3,
            b"Opus" => AudioCodec::Opus,
            b"fLaC" => AudioCodec::Flac,
            b"ac-3" => AudioCodec::Ac3,
            b"ec-3" => AudioCodec::Eac3,
            _ => AudioCodec::FourCc(four_cc),
        }
    }
}

impl fmt::Display for AudioCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AudioCodec::Aac => f.write_str("aac"),
            AudioCodec::Mp3 => f.write_str("mp3"),
            AudioCodec::Opus => f.write_str("opus"),
            AudioCodec::Flac => f.write_str("flac"),
            AudioCodec::Ac3 => f.write_str("ac3"),
            AudioCodec::Eac3 => f.write_str("eac3"),
            AudioCodec::Id(id) => write!(f, "flv-audio-{id}"),
            AudioCodec::FourCc(four_cc) => write!(f, "{}", four_cc.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(body: &[u8]) -> (AudioCodec, AudioKind, usize) {
        let header = AudioHeader::parse(body).unwrap();
        (header.codec, header.kind, header.data_offset)
    }

    #[test]
    fn classic_headers() {
        assert_eq!(parsed(&[0xAF, 0, 0x12, 0x10]), (AudioCodec::Aac, AudioKind::SequenceHeader, 2));
        assert_eq!(parsed(&[0xAF, 1, 0x21]), (AudioCodec::Aac, AudioKind::Coded, 2));
        assert_eq!(parsed(&[0x2F, 0xFF]), (AudioCodec::Mp3, AudioKind::Coded, 1));
        assert_eq!(parsed(&[0x72]), (AudioCodec::Id(7), AudioKind::Coded, 1));
    }

    #[test]
    fn enhanced_headers() {
        assert_eq!(parsed(b"\x90OpusOpusHead"), (AudioCodec::Opus, AudioKind::SequenceHeader, 5));
        assert_eq!(parsed(b"\x91fLaC\x00"), (AudioCodec::Flac, AudioKind::Coded, 5));
        assert_eq!(parsed(b"\x91ac-3"), (AudioCodec::Ac3, AudioKind::Coded, 5));
        assert_eq!(parsed(b"\x94ec-3\x00"), (AudioCodec::Eac3, AudioKind::Other, 5));
        assert_eq!(parsed(b"\x90mp4a\x12\x10"), (AudioCodec::Aac, AudioKind::SequenceHeader, 5));
        assert_eq!(parsed(b"\x97\x00\xAA\x01Opus"), (AudioCodec::Opus, AudioKind::Coded, 8));
    }

    #[test]
    fn a_header_cut_short_is_an_error() {
        for body in [&b""[..], b"\xAF", b"\x91Opu", b"\x97\x00"] {
            assert_eq!(AudioHeader::parse(body), Err(AudioError::Truncated), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(header) = AudioHeader::parse(&body) {
                prop_assert!(header.data_offset <= body.len());
            }
        }
    }
}
