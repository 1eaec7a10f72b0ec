//! The video track's sample entry and its name in CODECS (RFC 6381), from RTMP's sequence header.

use bytes::Bytes;

use super::boxes::{put_box, put_u16, put_u32, put_zeros};
use crate::{
    codec::{av1::Av1Record, avc::parse_avcc, frame_size::FrameSize, hevc::parse_hvcc, vp9::Vp9Record},
    flv::video::VideoCodec,
    hls::container::{Codec, ContainerError},
};

/// A video track. The record is the sequence header as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VideoConfig {
    pub codec: VideoCodec,
    /// `None` if neither the header nor a keyframe names it.
    pub size: Option<FrameSize>,
    /// The codec's name in CODECS.
    pub name: String,
    entry: &'static [u8; 4],
    record_box: &'static [u8; 4],
    record: Bytes,
}

impl VideoConfig {
    pub fn new(codec: VideoCodec, record: &[u8]) -> Result<Self, ContainerError> {
        let (entry, record_box, name): (&[u8; 4], &[u8; 4], _) = match codec {
            VideoCodec::H264 => {
                let entry = if parse_avcc(record)?.parameter_sets.is_empty() { b"avc3" } else { b"avc1" };
                (entry, b"avcC", avc_name(entry, record))
            }
            VideoCodec::H265 => {
                let entry = if parse_hvcc(record)?.parameter_sets.is_empty() { b"hev1" } else { b"hvc1" };
                (entry, b"hvcC", hevc_name(entry, record))
            }
            VideoCodec::Av1 => (b"av01", b"av1C", av1_name(record)),
            VideoCodec::Vp9 => (b"vp09", b"vpcC", vp9_name(record)),
            other => return Err(ContainerError::UnsupportedCodec(Codec::Video(other))),
        };
        let name = name.ok_or(ContainerError::SequenceHeader(Codec::Video(codec)))?;
        let size = FrameSize::of_record(codec, record);
        // A copy, as a slice would keep the whole buffer that it was read into.
        Ok(Self { codec, size, name, entry, record_box, record: Bytes::copy_from_slice(record) })
    }

    /// The same track, with frames of this size.
    pub fn sized(&self, size: FrameSize) -> Self {
        Self { size: Some(size), ..self.clone() }
    }

    /// The sequence header.
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// VisualSampleEntry (ISO/IEC 14496-12, section 12.1.3).
    pub fn put_sample_entry(&self, out: &mut Vec<u8>) {
        const DPI_72: u32 = 0x0048_0000;
        const DEPTH: u16 = 0x18;
        let (width, height) = self.pixels();
        put_box(out, self.entry, |out| {
            put_zeros(out, 6);
            put_u16(out, 1);
            put_zeros(out, 16);
            put_u16(out, width);
            put_u16(out, height);
            put_u32(out, DPI_72);
            put_u32(out, DPI_72);
            put_zeros(out, 4);
            put_u16(out, 1);
            put_zeros(out, 32);
            put_u16(out, DEPTH);
            put_u16(out, 0xFFFF);
            put_box(out, self.record_box, |out| out.extend_from_slice(&self.record));
        });
    }

    /// Width and height as boxes have them; 0 if they are not known.
    pub fn pixels(&self) -> (u16, u16) {
        let pixels = |value| u16::try_from(value).unwrap_or(u16::MAX);
        self.size.map_or((0, 0), |size| (pixels(size.width), pixels(size.height)))
    }
}

fn text(entry: &[u8; 4]) -> String {
    entry.iter().map(|byte| char::from(*byte)).collect()
}

fn avc_name(entry: &[u8; 4], record: &[u8]) -> Option<String> {
    let [_, profile, constraints, level, ..] = *record else { return None };
    Some(format!("{}.{profile:02x}{constraints:02x}{level:02x}", text(entry)))
}

/// ISO/IEC 14496-15, section E.3.
fn hevc_name(entry: &[u8; 4], record: &[u8]) -> Option<String> {
    let (head, rest) = record.get(1..13)?.split_at(5);
    let [profile, c0, c1, c2, c3] = *head else { return None };
    let (constraints, level) = rest.split_at(6);
    let space = ["", "A", "B", "C"].get(usize::from(profile >> 6))?;
    let tier = if profile & 0x20 != 0 { 'H' } else { 'L' };
    let compatibility = u32::from_be_bytes([c0, c1, c2, c3]).reverse_bits();
    let mut name =
        format!("{}.{space}{}.{compatibility:X}.{tier}{}", text(entry), profile & 0x1F, level.first()?);
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    constraints.iter().take(used).for_each(|byte| name.push_str(&format!(".{byte:X}")));
    Some(name)
}

fn av1_name(record: &[u8]) -> Option<String> {
    let Av1Record { profile, level, is_high_tier, bit_depth } = Av1Record::parse(record)?;
    let tier = if is_high_tier { 'H' } else { 'M' };
    Some(format!("av01.{profile}.{level:02}{tier}.{bit_depth:02}"))
}

fn vp9_name(record: &[u8]) -> Option<String> {
    let Vp9Record { profile, level, bit_depth } = Vp9Record::parse(record)?;
    Some(format!("vp09.{profile:02}.{level:02}.{bit_depth:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_named_as_players_ask_for_them() {
        let avcc = b"\x01\x64\x00\x1F\xFF\xE1\x00\x04\x67\x64\x00\x1F\x01\x00\x03\x68\xEB\xE3";
        let hvcc = b"\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x5A\xF0\0\xFC\xFD\xF8\xF8\0\0\x0F\x01\x20\0\x01\0\x03\x40\x01v";
        let vpcc = [1, 0, 0, 0, 0, 11, 0x82, 2, 2, 2, 0, 0];
        for (codec, record, name) in [
            (VideoCodec::H264, &avcc[..], "avc1.64001f"),
            (VideoCodec::H264, b"\x01\x64\x00\x1F\xFF\xE0\x00", "avc3.64001f"),
            (VideoCodec::H265, hvcc, "hvc1.1.6.L90.90"),
            (VideoCodec::Av1, &[0x81, 0x08, 0x0C, 0], "av01.0.08M.08"),
            (VideoCodec::Vp9, &vpcc, "vp09.00.11.08"),
        ] {
            assert_eq!(VideoConfig::new(codec, record).unwrap().name, name);
        }
        let refused = VideoConfig::new(VideoCodec::Av1, &[1, 2]).unwrap_err();
        assert_eq!(refused, ContainerError::SequenceHeader(Codec::Video(VideoCodec::Av1)));
        let refused = VideoConfig::new(VideoCodec::Id(4), &[]).unwrap_err();
        assert_eq!(refused, ContainerError::UnsupportedCodec(Codec::Video(VideoCodec::Id(4))));
    }
}
