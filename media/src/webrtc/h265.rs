//! H.265 in RTP payloads (RFC 7798).

use crate::{
    codec::{
        hevc::parse_hvcc,
        nal::{ActiveConfig, NalSyntax},
        slices::NalUnits,
    },
    webrtc::{
        order::FrameTraits,
        payload::{PAYLOAD_MAX_BYTES, Payloads, piece_bytes},
    },
};

const SLICE_TYPES: std::ops::RangeInclusive<u8> = 0..=31;
/// Random access points (ISO/IEC 23008-2, table 7-1).
const RANDOM_ACCESS_TYPES: std::ops::RangeInclusive<u8> = 16..=23;
/// A piece of a NAL unit (section 4.4.3).
const FRAGMENT: u8 = 49;

/// Bytes of a NAL unit's header.
const NAL_HEADER_BYTES: usize = 2;
/// The type in the first byte of that header.
const TYPE_MASK: u8 = 0x7E;

/// Packetizes the access units of one H.265 track.
#[derive(Debug)]
pub struct H265Packetizer {
    config: ActiveConfig,
}

impl H265Packetizer {
    /// Reads the record of a sequence header; `None` if it cannot be read.
    pub fn new(record: &[u8]) -> Option<Self> {
        Some(Self { config: ActiveConfig::new(parse_hvcc(record).ok()?) })
    }

    /// Returns the traits of an access unit; `None` if it has no slice. Which frames nothing depends on is not read: the types
    /// say it only of frames of the same temporal layer.
    pub fn traits(&self, access_unit: &[u8]) -> Option<FrameTraits> {
        let mut kinds = self.nals(access_unit).filter_map(|nal| NalSyntax::H265.type_of(nal));
        let slice = kinds.find(|kind| SLICE_TYPES.contains(kind))?;
        let is_refresh = RANDOM_ACCESS_TYPES.contains(&slice);
        Some(FrameTraits { is_disposable: false, is_refresh, is_reordered: false })
    }

    /// Packetizes an access unit. One that decoding can start at gets the parameter sets in front. Delimiters and supplemental
    /// information are left out. `None` if it has no slice.
    pub fn packetize(&mut self, access_unit: &[u8], is_start: bool) -> Option<Payloads> {
        // An access unit that cannot be read has no parameter sets.
        let _ = self.config.update(access_unit);
        self.traits(access_unit)?;
        let sets = &self.config.config().parameter_sets;
        let mut payloads = Payloads::new();
        if is_start {
            sets.iter().for_each(|set| put_nal(set, &mut payloads));
        }
        for nal in self.nals(access_unit) {
            let Some(kind) = NalSyntax::H265.type_of(nal) else { continue };
            let is_new_set = NalSyntax::H265.parameter_set_types().contains(&kind)
                && !sets.iter().any(|set| **set == *nal);
            if SLICE_TYPES.contains(&kind) || is_new_set {
                put_nal(nal, &mut payloads);
            }
        }
        Some(payloads)
    }

    fn nals<'a>(&self, access_unit: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let config = self.config.config();
        NalUnits::new(config.syntax, config.length_bytes, access_unit).into_iter().flatten()
    }
}

/// Puts a NAL unit into one packet, or into even pieces.
fn put_nal(nal: &[u8], payloads: &mut Payloads) {
    const START: u8 = 0x80;
    const END: u8 = 0x40;
    if nal.len() <= PAYLOAD_MAX_BYTES {
        payloads.push(nal.into());
        return;
    }
    let Some(([first, second], body)) = nal.split_first_chunk::<NAL_HEADER_BYTES>() else { return };
    let kind = (first & TYPE_MASK) >> 1;
    let size_bytes = piece_bytes(body.len(), PAYLOAD_MAX_BYTES - NAL_HEADER_BYTES - 1);
    let mut pieces = body.chunks(size_bytes).peekable();
    let mut edge = START;
    while let Some(piece) = pieces.next() {
        edge |= if pieces.peek().is_none() { END } else { 0 };
        let header = [first & !TYPE_MASK | FRAGMENT << 1, *second, edge | kind];
        payloads.push([&header, piece].concat().into());
        edge = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const SETS: [&[u8]; 3] = [b"\x40\x01vps", b"\x42\x01sps", b"\x44\x01pps"];

    fn packetizer() -> H265Packetizer {
        let mut record = vec![1, 1];
        record.extend_from_slice(&[0; 19]);
        record.extend_from_slice(&[3, 3]);
        for set in SETS {
            record.extend_from_slice(&[0x80 | set[0] >> 1, 0, 1, 0, set.len() as u8]);
            record.extend_from_slice(set);
        }
        H265Packetizer::new(&record).unwrap()
    }

    fn access_unit(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes(), *nal].concat()).collect()
    }

    /// The NAL units that a receiver gets.
    fn assemble(payloads: &[Arc<[u8]>]) -> Vec<Vec<u8>> {
        let (mut nals, mut open) = (Vec::new(), Vec::new());
        for payload in payloads {
            if payload[0] >> 1 & 0x3F != FRAGMENT {
                nals.push(payload.to_vec());
                continue;
            }
            if payload[2] & 0x80 != 0 {
                open = vec![payload[0] & !TYPE_MASK | (payload[2] & 0x3F) << 1, payload[1]];
            }
            open.extend_from_slice(&payload[3..]);
            if payload[2] & 0x40 != 0 {
                nals.push(std::mem::take(&mut open));
            }
        }
        nals
    }

    #[test]
    fn a_start_has_the_parameter_sets_and_nothing_of_no_use() {
        let unit = access_unit(&[b"\x46\x01\x50", SETS[0], b"\x4E\x01sei", b"\x26\x01idr"]);
        let payloads = packetizer().packetize(&unit, true).unwrap();
        assert_eq!(assemble(&payloads), [SETS[0], SETS[1], SETS[2], b"\x26\x01idr"]);
        assert_eq!(packetizer().packetize(&access_unit(&[b"\x46\x01\x50"]), false), None);
    }

    #[test]
    fn random_access_points_begin_anew() {
        let is_refresh =
            |nal: &[u8]| packetizer().traits(&access_unit(&[SETS[1], nal])).map(|traits| traits.is_refresh);
        assert_eq!(is_refresh(b"\x26\x01idr"), Some(true));
        assert_eq!(is_refresh(b"\x2A\x01cra"), Some(true));
        assert_eq!(is_refresh(b"\x02\x01trail"), Some(false));
        assert_eq!(is_refresh(SETS[0]), None);
    }

    proptest! {
        #[test]
        fn frames_come_together_again(
            sizes in proptest::collection::vec(2..5000_usize, 1..6), is_start: bool,
        ) {
            let slices: Vec<Vec<u8>> = sizes
                .iter()
                .map(|size| [2, 1].into_iter().chain((2..*size).map(|at| at as u8)).collect())
                .collect();
            let nals: Vec<&[u8]> = slices.iter().map(Vec::as_slice).collect();
            let payloads = packetizer().packetize(&access_unit(&nals), is_start).unwrap();
            prop_assert!(payloads.iter().all(|payload| payload.len() <= PAYLOAD_MAX_BYTES));
            let mut received = assemble(&payloads);
            if is_start {
                prop_assert_eq!(received.drain(..3).count(), 3);
            }
            prop_assert_eq!(received, slices);
        }

        #[test]
        fn any_bytes_are_packetized_or_left_out(
            access_unit in proptest::collection::vec(any::<u8>(), 0..3000), is_start: bool,
        ) {
            let _ = packetizer().packetize(&access_unit, is_start);
        }
    }
}
