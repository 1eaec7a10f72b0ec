//! The header at the front of each frame of MPEG audio (ISO/IEC 11172-3, section 2.4.1.3; ISO/IEC 13818-3, section 2.4.2).

use serde::{Deserialize, Serialize};

use super::audio_clock::FrameSpan;

/// Bytes of the header.
const HEADER_BYTES: usize = 4;

/// The header of a layer III frame. The fields that all frames of a stream share are read; the bit rate may change from
/// frame to frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mp3Header {
    version: Version,
    /// The index of the sampling frequency.
    rate: u8,
    /// The last byte: channels, and statements of rights.
    mode: u8,
}

/// A version of MPEG audio. Each further one halves the sampling frequencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Version {
    Mpeg1,
    Mpeg2,
    Mpeg25,
}

impl Mp3Header {
    /// Reads the header at the front of a frame; `None` if there is none, or one of another layer.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        const LAYER_3: u8 = 1;
        let [0xFF, second, third, mode, ..] = *frame else { return None };
        let version = version(second)?;
        let rate = third >> 2 & 3;
        (second >> 1 & 3 == LAYER_3 && rate < 3).then_some(Self { version, rate, mode })
    }

    /// The time that a frame plays.
    pub fn span(self) -> FrameSpan {
        let (samples, halvings) = match self.version {
            Version::Mpeg1 => (1_152, 0),
            Version::Mpeg2 => (576, 1),
            Version::Mpeg25 => (576, 2),
        };
        let rate_hz = match self.rate {
            0 => 44_100,
            1 => 48_000,
            _ => 32_000,
        };
        FrameSpan { samples, rate_hz: rate_hz >> halvings }
    }

    /// The number of channels.
    pub fn channels(self) -> u8 {
        const MONO: u8 = 3;
        if self.mode >> 6 == MONO { 1 } else { 2 }
    }

    /// A frame of silence: the lowest bit rate, and zeros, by which no granule has any spectral data and nothing of an
    /// earlier frame is referred to.
    pub fn silence(self) -> Vec<u8> {
        // Layer III, and no checksum.
        let (second, bit_rate) = match self.version {
            Version::Mpeg1 => (0xFB, 32_000),
            Version::Mpeg2 => (0xF3, 8_000),
            Version::Mpeg25 => (0xE3, 8_000),
        };
        let span = self.span();
        let size_bytes = (span.samples / 8 * bit_rate / span.rate_hz) as usize;
        let mut frame = vec![0xFF, second, 1 << 4 | self.rate << 2, self.mode];
        frame.resize(size_bytes.max(HEADER_BYTES), 0);
        frame
    }
}

/// Returns whether a frame is of the lower sampling frequencies that MPEG-2 added: 24 kHz and less. False as well if no
/// header is at its front.
pub fn is_low_rate(frame: &[u8]) -> bool {
    match frame {
        [0xFF, second, ..] => version(*second).is_some_and(|version| version != Version::Mpeg1),
        _ => false,
    }
}

fn version(second: u8) -> Option<Version> {
    match (second >> 5, second >> 3 & 3) {
        (7, 3) => Some(Version::Mpeg1),
        (7, 2) => Some(Version::Mpeg2),
        (7, 0) => Some(Version::Mpeg25),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_second_byte() {
        for (frame, expected) in [
            (&b"\xFF\xFB\x90\x64"[..], false),
            (b"\xFF\xF3\x80\xC4", true),
            (b"\xFF\xE3\x18\xC4", true),
            (b"\xFF\x13", false),
            (b"\xFF", false),
            (b"", false),
        ] {
            assert_eq!(is_low_rate(frame), expected, "{frame:?}");
        }
    }

    #[test]
    fn silence_has_the_form_of_the_frame() {
        for (frame, samples, rate_hz, size_bytes) in [
            (b"\xFF\xFA\x92\x64", 1_152, 44_100, 104),
            (b"\xFF\xFB\x96\xC4", 1_152, 48_000, 96),
            (b"\xFF\xFB\x9A\x64", 1_152, 32_000, 144),
            (b"\xFF\xF3\x80\xC4", 576, 22_050, 26),
            (b"\xFF\xE3\x18\x00", 576, 8_000, 72),
        ] {
            let header = Mp3Header::parse(frame).unwrap();
            assert_eq!(header.span(), FrameSpan { samples, rate_hz });
            assert_eq!(header.channels(), if frame[3] >> 6 == 3 { 1 } else { 2 });
            let silence = header.silence();
            assert_eq!((silence.len(), Mp3Header::parse(&silence)), (size_bytes, Some(header)));
            // Behind the header and the side information, which is longest for two channels.
            assert!(silence.len() >= HEADER_BYTES + if samples == 576 { 17 } else { 32 });
        }
    }

    #[test]
    fn other_layers_and_other_bytes_have_no_header() {
        for frame in
            [&b"\xFF\xFD\x90\x64"[..], b"\xFF\xFB\x9C\x64", b"\xFF\xEB\x90\x64", b"\xFF\xFB\x90", b"sound"]
        {
            assert_eq!(Mp3Header::parse(frame), None, "{frame:?}");
        }
    }
}
