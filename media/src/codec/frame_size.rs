//! The frame size of a stream, from its sequence header.

use serde::{Deserialize, Serialize};

use crate::{
    codec::{av1, avc::parse_avcc, bits::BitReader, hevc::parse_hvcc, nal::NalConfig},
    flv::video::{VideoCodec, VideoHeader},
};

const H264_SPS: u8 = 7;
const H265_SPS: u8 = 33;

/// The profiles of H.264 whose SPS says how colour is sampled (ISO/IEC 14496-10, section 7.3.2.1.1).
const H264_HIGH_PROFILES: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// More would be an SPS that is not one (sections A.3 and 7.4.2.1.1 allow less).
const REFERENCE_FRAMES_MAX: u32 = 255;

/// Width and height in pixels, as they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameSize {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl FrameSize {
    /// Reads the body of a video tag with a sequence header. `None` for codecs other than H.264, H.265 and AV1, and for
    /// headers that say nothing or cannot be read.
    pub fn of_sequence_header(body: &[u8]) -> Option<Self> {
        let header = VideoHeader::parse(body).ok()?;
        Self::of_record(header.codec, body.get(header.data_offset..)?)
    }

    /// Reads the codec's own part of such a body.
    pub fn of_record(codec: VideoCodec, record: &[u8]) -> Option<Self> {
        match codec {
            VideoCodec::Av1 => av1::frame_size(record).and_then(|(width, height)| Self::new(width, height)),
            VideoCodec::H264 => h264(&payload_of(&parse_avcc(record).ok()?, H264_SPS)?),
            VideoCodec::H265 => h265(&payload_of(&parse_hvcc(record).ok()?, H265_SPS)?),
            _ => None,
        }
    }

    pub(super) fn new(width: u32, height: u32) -> Option<Self> {
        (width > 0 && height > 0).then_some(Self { width, height })
    }
}

/// The first parameter set of a type, without the bytes that keep start codes out of it.
fn payload_of(config: &NalConfig, nal_type: u8) -> Option<Vec<u8>> {
    let set = config.parameter_sets.iter().find(|set| config.syntax.type_of(set) == Some(nal_type))?;
    Some(unescape(set))
}

/// A NAL unit without the bytes that keep start codes out of it (ISO/IEC 14496-10, section 7.4.1).
pub(super) fn unescape(set: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(set.len());
    let mut zeros = 0;
    for &byte in set {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        payload.push(byte);
    }
    payload
}

fn h264(sps: &[u8]) -> Option<FrameSize> {
    h264_up_to_vui(&mut BitReader::new(sps))
}

/// Reads an SPS up to its video usability information (ISO/IEC 14496-10, section 7.3.2.1.1).
pub(super) fn h264_up_to_vui(bits: &mut BitReader<'_>) -> Option<FrameSize> {
    bits.skip(8)?;
    let profile = bits.bits(8)?;
    bits.skip(16)?;
    bits.exp_golomb()?;
    let chroma_format =
        if H264_HIGH_PROFILES.contains(&profile) { h264_chroma(bits)? } else { ChromaFormat::YUV420 };
    bits.exp_golomb()?;
    skip_h264_order_counts(bits)?;
    bits.exp_golomb()?;
    bits.skip(1)?;
    let width_blocks = bits.exp_golomb()?.checked_add(1)?;
    let height_units = bits.exp_golomb()?.checked_add(1)?;
    let fields_per_unit = if bits.flag()? { 1 } else { 2 };
    if fields_per_unit == 2 {
        bits.skip(1)?;
    }
    bits.skip(1)?;
    let crop = Crop::read(bits)?;
    let width = width_blocks.checked_mul(16)?;
    let height = height_units.checked_mul(16)?.checked_mul(fields_per_unit)?;
    crop.apply(width, height, chroma_format.unit_width, chroma_format.unit_height * fields_per_unit)
}

fn h264_chroma(bits: &mut BitReader<'_>) -> Option<ChromaFormat> {
    let format = ChromaFormat::read(bits)?;
    bits.exp_golomb()?;
    bits.exp_golomb()?;
    bits.skip(1)?;
    if bits.flag()? {
        let lists = if format.is_yuv444 { 12 } else { 8 };
        for list in 0..lists {
            if bits.flag()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(format)
}

/// Section 7.3.2.1.1.1: a list ends early where its scale becomes 0.
fn skip_scaling_list(bits: &mut BitReader<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed_exp_golomb()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

fn skip_h264_order_counts(bits: &mut BitReader<'_>) -> Option<()> {
    match bits.exp_golomb()? {
        0 => {
            bits.exp_golomb()?;
        }
        1 => {
            bits.skip(1)?;
            bits.exp_golomb()?;
            bits.exp_golomb()?;
            let frames = bits.exp_golomb()?;
            if frames > REFERENCE_FRAMES_MAX {
                return None;
            }
            for _ in 0..frames {
                bits.exp_golomb()?;
            }
        }
        _ => {}
    }
    Some(())
}

/// ISO/IEC 23008-2, section 7.3.2.2.1.
fn h265(sps: &[u8]) -> Option<FrameSize> {
    let mut bits = BitReader::new(sps);
    bits.skip(16 + 4)?;
    let sub_layers = bits.bits(3)?;
    bits.skip(1)?;
    skip_h265_profiles(&mut bits, sub_layers)?;
    bits.exp_golomb()?;
    let chroma_format = ChromaFormat::read(&mut bits)?;
    let width = bits.exp_golomb()?;
    let height = bits.exp_golomb()?;
    let crop = Crop::read(&mut bits)?;
    crop.apply(width, height, chroma_format.unit_width, chroma_format.unit_height)
}

/// Section 7.3.3.
fn skip_h265_profiles(bits: &mut BitReader<'_>, sub_layers: u32) -> Option<()> {
    const GENERAL_PROFILE_BITS: usize = 88;
    const LEVEL_BITS: usize = 8;
    bits.skip(GENERAL_PROFILE_BITS + LEVEL_BITS)?;
    if sub_layers == 0 {
        return Some(());
    }
    let mut present = Vec::with_capacity(8);
    for _ in 0..sub_layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    bits.skip(2 * (8 - sub_layers as usize))?;
    for (has_profile, has_level) in present {
        bits.skip(if has_profile { GENERAL_PROFILE_BITS } else { 0 })?;
        bits.skip(if has_level { LEVEL_BITS } else { 0 })?;
    }
    Some(())
}

/// Pixels that one unit of cropping removes.
struct ChromaFormat {
    unit_width: u32,
    unit_height: u32,
    is_yuv444: bool,
}

impl ChromaFormat {
    const YUV420: Self = Self { unit_width: 2, unit_height: 2, is_yuv444: false };

    fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        Some(match bits.exp_golomb()? {
            1 => Self::YUV420,
            2 => Self { unit_width: 2, unit_height: 1, is_yuv444: false },
            3 => {
                bits.skip(1)?;
                Self { unit_width: 1, unit_height: 1, is_yuv444: true }
            }
            _ => Self { unit_width: 1, unit_height: 1, is_yuv444: false },
        })
    }
}

/// Steps cut off at the left, right, top and bottom.
struct Crop([u32; 4]);

impl Crop {
    fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        if !bits.flag()? {
            return Some(Self([0; 4]));
        }
        let mut steps = [0; 4];
        for step in &mut steps {
            *step = bits.exp_golomb()?;
        }
        Some(Self(steps))
    }

    fn apply(self, width: u32, height: u32, unit_width: u32, unit_height: u32) -> Option<FrameSize> {
        let [left, right, top, bottom] = self.0;
        let cut_width = left.checked_add(right)?.checked_mul(unit_width)?;
        let cut_height = top.checked_add(bottom)?.checked_mul(unit_height)?;
        FrameSize::new(width.checked_sub(cut_width)?, height.checked_sub(cut_height)?)
    }
}

#[cfg(test)]
mod tests;
