//! Access units as a byte stream: start codes (annex B of ISO/IEC 14496-10 and 23008-2) in place of the lengths of
//! ISO/IEC 14496-15.

use thiserror::Error;

use super::nal::NalConfig;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Why an access unit cannot be rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnnexBError {
    /// A NAL unit's length goes beyond the access unit.
    #[error("a NAL unit is longer than its access unit")]
    Length,
    /// The access unit has no NAL unit.
    #[error("the access unit is empty")]
    Empty,
}

/// Appends an access unit to `out`: a delimiter, before a keyframe the parameter sets, then its own NAL units.
///
/// Delimiters that it had are left out. So are the configured parameter sets if a keyframe brings a full set of its own,
/// and those of its own that are among the configured ones if it brings less. After an error `out` is as it was.
pub fn put_access_unit(
    out: &mut Vec<u8>,
    config: &NalConfig,
    access_unit: &[u8],
    keyframe: bool,
) -> Result<(), AnnexBError> {
    let types = types_within(config, access_unit)?;
    let puts_sets = keyframe && !has_full_set(config, types);
    out.reserve(access_unit.len() + 64);
    put_nal(out, config.syntax.delimiter());
    if puts_sets {
        config.parameter_sets.iter().for_each(|set| put_nal(out, set));
    }
    for nal in nals(config.length_bytes, access_unit) {
        let nal = nal?;
        let is_delimiter = config.syntax.type_of(nal) == Some(config.syntax.delimiter_type());
        let is_repeated = puts_sets && config.parameter_sets.iter().any(|set| **set == *nal);
        if !is_delimiter && !is_repeated {
            put_nal(out, nal);
        }
    }
    Ok(())
}

fn put_nal(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(nal);
}

/// A bit for each type among the NAL units; an error if one of them is malformed.
fn types_within(config: &NalConfig, access_unit: &[u8]) -> Result<u64, AnnexBError> {
    let mut types = 0;
    for nal in nals(config.length_bytes, access_unit) {
        types |= config.syntax.type_of(nal?).map_or(0, |nal_type| 1_u64 << nal_type);
    }
    if types == 0 { Err(AnnexBError::Empty) } else { Ok(types) }
}

fn has_full_set(config: &NalConfig, types: u64) -> bool {
    config.syntax.parameter_set_types().iter().all(|nal_type| types & 1 << nal_type != 0)
}

/// The NAL units of a length-prefixed access unit, without the empty ones; ends after an error.
fn nals(length_bytes: usize, access_unit: &[u8]) -> impl Iterator<Item = Result<&[u8], AnnexBError>> {
    let mut rest = access_unit;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let Some((nal, behind)) = split_nal(length_bytes, rest) else {
                rest = &[];
                return Some(Err(AnnexBError::Length));
            };
            rest = behind;
            if !nal.is_empty() {
                return Some(Ok(nal));
            }
        }
        None
    })
}

fn split_nal(length_bytes: usize, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(length_bytes)?;
    let size_bytes = length.iter().fold(0_usize, |size, byte| size << 8 | usize::from(*byte));
    rest.split_at_checked(size_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::nal::NalSyntax, *};

    const SPS: &[u8] = b"\x67sps";
    const PPS: &[u8] = b"\x68pps";
    const IDR: &[u8] = b"\x65idr";
    const AUD: &[u8] = b"\x09\xF0";

    fn avc(length_bytes: usize) -> NalConfig {
        NalConfig { syntax: NalSyntax::H264, length_bytes, parameter_sets: vec![SPS.into(), PPS.into()] }
    }

    fn prefixed(length_bytes: usize, nals: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for nal in nals {
            out.extend_from_slice(&(nal.len() as u32).to_be_bytes()[4 - length_bytes..]);
            out.extend_from_slice(nal);
        }
        out
    }

    fn with_start_codes(nals: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        nals.iter().for_each(|nal| put_nal(&mut out, nal));
        out
    }

    fn rewritten(nals: &[&[u8]], keyframe: bool) -> Vec<u8> {
        let mut out = Vec::new();
        put_access_unit(&mut out, &avc(4), &prefixed(4, nals), keyframe).unwrap();
        out
    }

    #[test]
    fn a_keyframe_gets_the_parameter_sets_once() {
        let expected = with_start_codes(&[AUD, SPS, PPS, IDR]);
        assert_eq!(rewritten(&[IDR], true), expected);
        assert_eq!(rewritten(&[SPS, PPS, IDR], true), expected);
        assert_eq!(rewritten(&[PPS, IDR], true), expected);
    }

    #[test]
    fn a_keyframe_with_sets_of_its_own_keeps_them() {
        assert_eq!(
            rewritten(&[b"\x67new", b"\x68new", IDR], true),
            with_start_codes(&[AUD, b"\x67new", b"\x68new", IDR])
        );
    }

    #[test]
    fn a_delimiter_comes_once_and_first() {
        assert_eq!(rewritten(&[b"\x09\x10", b"\x41x"], false), with_start_codes(&[AUD, b"\x41x"]));
    }

    #[test]
    fn hevc_has_its_own_delimiter() {
        let config = NalConfig {
            syntax: NalSyntax::H265,
            length_bytes: 2,
            parameter_sets: vec![b"\x40\x01v"[..].into(), b"\x42\x01s"[..].into(), b"\x44\x01p"[..].into()],
        };
        let mut out = Vec::new();
        put_access_unit(&mut out, &config, &prefixed(2, &[b"\x46\x01\x10", b"\x26\x01i"]), true).unwrap();
        let expected =
            with_start_codes(&[b"\x46\x01\x50", b"\x40\x01v", b"\x42\x01s", b"\x44\x01p", b"\x26\x01i"]);
        assert_eq!(out, expected);
    }

    #[test]
    fn a_malformed_unit_is_an_error_and_writes_nothing() {
        let mut out = b"before".to_vec();
        for (bytes, error) in [
            (&b"\0\0\0\x05\x65abc"[..], AnnexBError::Length),
            (b"\0\0\0\x01\x65\0\0", AnnexBError::Length),
            (b"\0\0\0\0", AnnexBError::Empty),
            (b"", AnnexBError::Empty),
        ] {
            assert_eq!(put_access_unit(&mut out, &avc(4), bytes, true), Err(error));
            assert_eq!(out, b"before");
        }
    }

    proptest! {
        #[test]
        fn units_come_out_in_order_with_start_codes(
            bodies in proptest::collection::vec(proptest::collection::vec(1_u8..255, 0..200), 1..10),
            length_bytes in prop_oneof![Just(1_usize), Just(2), Just(4)],
        ) {
            let nals: Vec<Vec<u8>> = bodies.iter().map(|body| [&[0x41], &body[..]].concat()).collect();
            let nals: Vec<&[u8]> = nals.iter().map(|nal| &nal[..]).collect();
            let mut out = Vec::new();
            put_access_unit(&mut out, &avc(length_bytes), &prefixed(length_bytes, &nals), false).unwrap();
            prop_assert_eq!(out, [with_start_codes(&[AUD]), with_start_codes(&nals)].concat());
        }

        #[test]
        fn any_bytes_are_rewritten_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), keyframe: bool, length_bytes in 1_usize..=4,
        ) {
            let _ = put_access_unit(&mut Vec::new(), &avc(length_bytes), &bytes, keyframe);
        }
    }
}
