//! Access units as a byte stream: start codes (annex B of ISO/IEC 14496-10 and 23008-2) in place of the lengths of
//! ISO/IEC 14496-15.

use std::sync::Arc;

use bytes::Bytes;

use super::nal::{AccessUnitError, NalConfig, units};

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// An access unit that was read to its end and can be rewritten, with the configuration that counted when it came.
#[derive(Debug, Clone)]
pub struct AccessUnit {
    config: Arc<NalConfig>,
    nals: Bytes,
    keyframe: bool,
    refreshes: bool,
    /// The configured parameter sets are put before it.
    lacks_sets: bool,
    size_max_bytes: usize,
}

impl AccessUnit {
    /// Reads length-prefixed NAL units, without a copy. `None` if there is no slice among them, and so nothing to show:
    /// encoders send access units with nothing but a delimiter, parameter sets or messages.
    pub fn read(
        config: &Arc<NalConfig>,
        nals: Bytes,
        keyframe: bool,
    ) -> Result<Option<Self>, AccessUnitError> {
        let mut types = 0;
        let mut size_max_bytes = nal_bytes(config.syntax.delimiter());
        for nal in units(config.length_bytes, &nals) {
            let nal = nal?;
            types |= config.syntax.type_of(nal).map_or(0, |nal_type| 1_u64 << nal_type);
            size_max_bytes += nal_bytes(nal);
        }
        if types & config.syntax.slice_types() == 0 {
            return Ok(None);
        }
        let lacks_sets = keyframe && !has_full_set(config, types);
        if lacks_sets {
            size_max_bytes += config.parameter_sets.iter().map(|set| nal_bytes(set)).sum::<usize>();
        }
        let refreshes = types & config.syntax.refresh_types() != 0;
        Ok(Some(Self { config: config.clone(), nals, keyframe, refreshes, lacks_sets, size_max_bytes }))
    }

    /// The configuration that it was read with.
    pub fn config(&self) -> &Arc<NalConfig> {
        &self.config
    }

    /// The length-prefixed NAL units that it was read from.
    pub fn nals(&self) -> &Bytes {
        &self.nals
    }

    /// Returns whether decoding can start at it.
    pub fn is_keyframe(&self) -> bool {
        self.keyframe
    }

    /// Returns whether a decoder begins anew at it, so that it can be repeated: more than a keyframe, which may have
    /// frames behind it that need earlier ones.
    pub fn refreshes(&self) -> bool {
        self.refreshes
    }

    /// The most that [`put`](Self::put) appends, in bytes.
    pub fn size_max_bytes(&self) -> usize {
        self.size_max_bytes
    }

    /// Appends it to `out`: a delimiter, before a keyframe the parameter sets, then its own NAL units.
    ///
    /// Delimiters that it had are left out. So are the configured parameter sets if a keyframe brings a full set of its
    /// own, and those of its own that are among the configured ones if it brings less.
    pub fn put(&self, out: &mut Vec<u8>) {
        let config = &*self.config;
        out.reserve(self.size_max_bytes);
        put_nal(out, config.syntax.delimiter());
        if self.lacks_sets {
            config.parameter_sets.iter().for_each(|set| put_nal(out, set));
        }
        for nal in units(config.length_bytes, &self.nals).flatten() {
            let is_delimiter = config.syntax.type_of(nal) == Some(config.syntax.delimiter_type());
            let is_repeated = self.lacks_sets && config.parameter_sets.iter().any(|set| **set == *nal);
            if !is_delimiter && !is_repeated {
                put_nal(out, nal);
            }
        }
    }
}

fn put_nal(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(nal);
}

const fn nal_bytes(nal: &[u8]) -> usize {
    START_CODE.len() + nal.len()
}

fn has_full_set(config: &NalConfig, types: u64) -> bool {
    config.syntax.parameter_set_types().iter().all(|nal_type| types & 1 << nal_type != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::nal::NalSyntax, *};

    const SPS: &[u8] = b"\x67sps";
    const PPS: &[u8] = b"\x68pps";
    const IDR: &[u8] = b"\x65idr";
    const AUD: &[u8] = b"\x09\xF0";

    fn avc(length_bytes: usize) -> Arc<NalConfig> {
        let parameter_sets = vec![SPS.into(), PPS.into()];
        Arc::new(NalConfig { syntax: NalSyntax::H264, length_bytes, parameter_sets })
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

    fn put(config: &Arc<NalConfig>, nals: &[&[u8]], keyframe: bool) -> Vec<u8> {
        let nals = prefixed(config.length_bytes, nals);
        let unit = AccessUnit::read(config, nals.into(), keyframe).unwrap().unwrap();
        let mut out = Vec::new();
        unit.put(&mut out);
        assert!(out.len() <= unit.size_max_bytes());
        out
    }

    fn rewritten(nals: &[&[u8]], keyframe: bool) -> Vec<u8> {
        put(&avc(4), nals, keyframe)
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
        let expected =
            with_start_codes(&[b"\x46\x01\x50", b"\x40\x01v", b"\x42\x01s", b"\x44\x01p", b"\x26\x01i"]);
        assert_eq!(put(&Arc::new(config), &[b"\x46\x01\x10", b"\x26\x01i"], true), expected);
    }

    #[test]
    fn a_malformed_unit_is_refused_when_it_is_read() {
        for bytes in [&b"\0\0\0\x05\x65abc"[..], b"\0\0\0\x01\x65\0\0"] {
            let error = AccessUnit::read(&avc(4), Bytes::from_static(bytes), true).err();
            assert_eq!(error, Some(AccessUnitError::Length));
        }
    }

    #[test]
    fn an_access_unit_without_a_slice_is_none() {
        for nals in [&[][..], &[AUD], &[AUD, SPS, PPS], &[b"\x06sei"]] {
            assert!(AccessUnit::read(&avc(4), prefixed(4, nals).into(), true).unwrap().is_none());
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
            let out = put(&avc(length_bytes), &nals, false);
            prop_assert_eq!(out, [with_start_codes(&[AUD]), with_start_codes(&nals)].concat());
        }

        #[test]
        fn any_bytes_are_rewritten_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), keyframe: bool, length_bytes in 1_usize..=4,
        ) {
            if let Ok(Some(unit)) = AccessUnit::read(&avc(length_bytes), bytes.into(), keyframe) {
                let mut out = Vec::new();
                unit.put(&mut out);
                prop_assert!(out.len() <= unit.size_max_bytes());
            }
        }
    }
}
