//! The number of frames that H.264 may show in another order than it sends them, as the SPS says it.

use crate::codec::{
    bits::BitReader,
    frame_size::{h264_up_to_vui, unescape},
};

/// The aspect ratio that is written out (ISO/IEC 14496-10, table E-1).
const EXTENDED_ASPECT_RATIO: u32 = 255;

/// More would be an SPS that is not one (section E.2.2).
const HRD_ENTRIES_MAX: u32 = 32;

/// Returns `max_num_reorder_frames` of an SPS (section E.2.1): 0 for a stream whose frames are shown in the order in which
/// they come. `None` if the SPS does not say.
pub fn h264_reorder_frames(sps: &[u8]) -> Option<u32> {
    const BASELINE: u8 = 66;
    if sps.get(1) == Some(&BASELINE) {
        return Some(0);
    }
    let payload = unescape(sps);
    let mut bits = BitReader::new(&payload);
    h264_up_to_vui(&mut bits)?;
    if !bits.flag()? {
        return None;
    }
    skip_to_restrictions(&mut bits)?;
    if !bits.flag()? {
        return None;
    }
    bits.skip(1)?;
    for _ in 0..4 {
        bits.exp_golomb()?;
    }
    bits.exp_golomb()
}

fn skip_to_restrictions(bits: &mut BitReader<'_>) -> Option<()> {
    const SAMPLE_ASPECT_RATIO_BITS: usize = 32;
    const COLOUR_BITS: usize = 24;
    const TIMING_BITS: usize = 65;
    if bits.flag()? && bits.bits(8)? == EXTENDED_ASPECT_RATIO {
        bits.skip(SAMPLE_ASPECT_RATIO_BITS)?;
    }
    if bits.flag()? {
        bits.skip(1)?;
    }
    if bits.flag()? {
        bits.skip(4)?;
        if bits.flag()? {
            bits.skip(COLOUR_BITS)?;
        }
    }
    if bits.flag()? {
        bits.exp_golomb()?;
        bits.exp_golomb()?;
    }
    if bits.flag()? {
        bits.skip(TIMING_BITS)?;
    }
    let has_nal_buffer = bits.flag()?;
    if has_nal_buffer {
        skip_buffer_model(bits)?;
    }
    let has_vcl_buffer = bits.flag()?;
    if has_vcl_buffer {
        skip_buffer_model(bits)?;
    }
    if has_nal_buffer || has_vcl_buffer {
        bits.skip(1)?;
    }
    bits.skip(1)
}

/// Section E.1.2.
fn skip_buffer_model(bits: &mut BitReader<'_>) -> Option<()> {
    let entries = bits.exp_golomb()?.checked_add(1).filter(|entries| *entries <= HRD_ENTRIES_MAX)?;
    bits.skip(8)?;
    for _ in 0..entries {
        bits.exp_golomb()?;
        bits.exp_golomb()?;
        bits.skip(1)?;
    }
    bits.skip(20)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_sps_without_usability_information_does_not_say() {
        assert_eq!(h264_reorder_frames(b"\x67\x4d\x40\x1e\x96\x52\x02\x83\xf6\x02\x01"), None);
        assert_eq!(h264_reorder_frames(b""), None);
    }

    #[test]
    fn baseline_has_no_b_frames() {
        assert_eq!(h264_reorder_frames(b"\x67\x42\xc0\x1e"), Some(0));
    }

    #[test]
    fn the_depth_is_read_behind_everything_else() {
        // Of x264 with tune zerolatency, with bf=1, with bf=3 without a pyramid, and with bf=3.
        for (sps, depth) in [
            (&b"\x67\x64\x00\x0c\xac\xb4\x0a\x0c\xfc\xf8\x08\x80\x00\x00\x03\x00\x80\x00\x00\x19\x47\x8a\x15\x50"[..], 0),
            (b"\x67\x64\x00\x0c\xac\xec\x14\x19\xf9\xf0\x11\x00\x00\x03\x00\x01\x00\x00\x03\x00\x32\x0f\x14\x29\x38", 1),
            (b"\x67\x64\x00\x0c\xac\xd3\x05\x06\x7e\x7c\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0c\x83\xc5\x0a\x4e", 1),
            (b"\x67\x64\x00\x0c\xac\xd9\x41\x41\x9f\x9f\x01\x10\x00\x00\x03\x00\x10\x00\x00\x03\x03\x20\xf1\x42\x99\x60", 2),
        ] {
            assert_eq!(h264_reorder_frames(sps), Some(depth));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(sps in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = h264_reorder_frames(&sps);
        }
    }
}
