//! H.264 in RTP payloads (RFC 6184, packetization mode 1).

use crate::{
    codec::{
        avc::parse_avcc,
        nal::{ActiveConfig, NalSyntax},
        reordering::h264_reorder_frames,
        slices::NalUnits,
    },
    webrtc::{
        order::FrameTraits,
        payload::{PAYLOAD_MAX_BYTES, Payloads, piece_bytes},
    },
};

const SLICE_TYPES: std::ops::RangeInclusive<u8> = 1..=5;
const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
/// A packet of several NAL units, each behind its length (section 5.7.1).
const STAP_A: u8 = 24;
/// A piece of a NAL unit (section 5.8).
const FU_A: u8 = 28;

const NAL_REF_IDC: u8 = 0x60;

/// Packetizes the access units of one H.264 track.
#[derive(Debug)]
pub struct H264Packetizer {
    config: ActiveConfig,
}

impl H264Packetizer {
    /// Reads the record of a sequence header; `None` if it cannot be read.
    pub fn new(record: &[u8]) -> Option<Self> {
        Some(Self { config: ActiveConfig::new(parse_avcc(record).ok()?) })
    }

    /// Returns how many frames may be shown later than they come, if the SPS says it.
    pub fn reorder_frames(&self) -> Option<u32> {
        let sets = &self.config.config().parameter_sets;
        let sps = sets.iter().find(|set| NalSyntax::H264.type_of(set) == Some(SPS))?;
        h264_reorder_frames(sps)
    }

    /// Returns the traits of an access unit: it is disposable if all its slices have `nal_ref_idc` 0. `None` if it has no slice.
    pub fn traits(&self, access_unit: &[u8]) -> Option<FrameTraits> {
        let config = self.config.config();
        let nals = NalUnits::new(config.syntax, config.length_bytes, access_unit).into_iter().flatten();
        let slices = nals.filter(|nal| is_slice(nal)).map(|slice| FrameTraits {
            is_disposable: slice.first().is_some_and(|first| first & NAL_REF_IDC == 0),
            is_refresh: NalSyntax::H264.type_of(slice) == Some(IDR),
            is_reordered: false,
        });
        slices.reduce(|all, one| FrameTraits {
            is_disposable: all.is_disposable && one.is_disposable,
            is_refresh: all.is_refresh || one.is_refresh,
            is_reordered: false,
        })
    }

    /// Packetizes an access unit. One that decoding can start at gets the parameter sets in front. Delimiters,
    /// supplemental information and filler are of no use over RTP and left out. `None` if it has no slice.
    pub fn packetize(&mut self, access_unit: &[u8], is_start: bool) -> Option<Payloads> {
        // An access unit that cannot be read has no parameter sets.
        let _ = self.config.update(access_unit);
        self.traits(access_unit)?;
        let config = self.config.config();
        let mut payloads = Vec::new();
        if is_start {
            put_parameter_sets(&config.parameter_sets, &mut payloads);
        }
        for nal in NalUnits::new(config.syntax, config.length_bytes, access_unit).into_iter().flatten() {
            let is_set = matches!(NalSyntax::H264.type_of(nal), Some(SPS | PPS));
            let is_new_set = is_set && !config.parameter_sets.iter().any(|set| **set == *nal);
            if is_slice(nal) || is_new_set {
                put_nal(nal, &mut payloads);
            }
        }
        Some(payloads)
    }
}

fn is_slice(nal: &[u8]) -> bool {
    NalSyntax::H264.type_of(nal).is_some_and(|kind| SLICE_TYPES.contains(&kind))
}

/// Puts parameter sets into one packet, or into one each if they do not fit.
fn put_parameter_sets(sets: &[Box<[u8]>], payloads: &mut Payloads) {
    let size_bytes = 1 + sets.iter().map(|set| 2 + set.len()).sum::<usize>();
    if sets.len() < 2 || size_bytes > PAYLOAD_MAX_BYTES {
        return sets.iter().for_each(|set| put_nal(set, payloads));
    }
    let importance = sets.iter().filter_map(|set| set.first()).map(|first| first & NAL_REF_IDC).max();
    let mut payload = Vec::with_capacity(size_bytes);
    payload.push(importance.unwrap_or_default() | STAP_A);
    for set in sets {
        payload.extend_from_slice(&(set.len() as u16).to_be_bytes());
        payload.extend_from_slice(set);
    }
    payloads.push(payload.into());
}

/// Puts a NAL unit into one packet, or into even pieces.
fn put_nal(nal: &[u8], payloads: &mut Payloads) {
    const START: u8 = 0x80;
    const END: u8 = 0x40;
    if nal.len() <= PAYLOAD_MAX_BYTES {
        payloads.push(nal.into());
        return;
    }
    let Some((first, body)) = nal.split_first() else { return };
    let mut pieces = body.chunks(piece_bytes(body.len(), PAYLOAD_MAX_BYTES - 2)).peekable();
    let mut edge = START;
    while let Some(piece) = pieces.next() {
        edge |= if pieces.peek().is_none() { END } else { 0 };
        let header = [first & NAL_REF_IDC | FU_A, edge | first & 0x1F];
        payloads.push([&header, piece].concat().into());
        edge = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const RECORD: &[u8] =
        b"\x01\x64\x00\x1F\xFF\xE1\x00\x04\x67\x64\x00\x1F\x01\x00\x03\x68\xEB\xE3\xFD\xF8\xF8\x00";

    fn access_unit(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes(), *nal].concat()).collect()
    }

    fn packetize(nals: &[&[u8]], is_start: bool) -> Option<Payloads> {
        H264Packetizer::new(RECORD).unwrap().packetize(&access_unit(nals), is_start)
    }

    /// Returns whether no frame needs it, and whether decoding begins with it.
    fn traits(nals: &[&[u8]]) -> Option<(bool, bool)> {
        let traits = H264Packetizer::new(RECORD).unwrap().traits(&access_unit(nals));
        traits.map(|traits| (traits.is_disposable, traits.is_refresh))
    }

    /// The NAL units that a receiver gets.
    fn assemble(payloads: &[Arc<[u8]>]) -> Vec<Vec<u8>> {
        let (mut nals, mut open) = (Vec::new(), Vec::new());
        for payload in payloads {
            match payload[0] & 0x1F {
                STAP_A => {
                    let mut rest = &payload[1..];
                    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
                        let (nal, behind) = behind.split_at(u16::from_be_bytes(*length).into());
                        nals.push(nal.to_vec());
                        rest = behind;
                    }
                }
                FU_A => {
                    if payload[1] & 0x80 != 0 {
                        open = vec![payload[0] & NAL_REF_IDC | payload[1] & 0x1F];
                    }
                    open.extend_from_slice(&payload[2..]);
                    if payload[1] & 0x40 != 0 {
                        nals.push(std::mem::take(&mut open));
                    }
                }
                _ => nals.push(payload.to_vec()),
            }
        }
        nals
    }

    #[test]
    fn a_start_has_its_parameter_sets_in_one_packet_in_front() {
        let payloads = packetize(&[b"\x09\xF0", b"\x06sei", b"\x65idr"], true).unwrap();
        let [sets, idr] = &payloads[..] else { panic!("{payloads:?}") };
        assert_eq!(**sets, *b"\x78\x00\x04\x67\x64\x00\x1F\x00\x03\x68\xEB\xE3");
        assert_eq!(**idr, *b"\x65idr");
        assert_eq!(traits(&[b"\x65idr"]), Some((false, true)));
    }

    #[test]
    fn repeated_parameter_sets_are_left_out_and_new_ones_are_not() {
        let payloads =
            packetize(&[b"\x67\x64\x00\x1F", b"\x68\xEB\xE3", b"\x68\xEC", b"\x41p"], false).unwrap();
        assert_eq!(assemble(&payloads), [b"\x68\xEC".to_vec(), b"\x41p".to_vec()]);
    }

    #[test]
    fn a_frame_is_disposable_if_all_its_slices_are() {
        assert_eq!(traits(&[b"\x01b", b"\x01b"]), Some((true, false)));
        assert_eq!(traits(&[b"\x01b", b"\x21b"]), Some((false, false)));
    }

    #[test]
    fn what_has_no_slice_is_no_frame() {
        assert_eq!(packetize(&[b"\x09\xF0", b"\x68\xEB\xE3"], true), None);
        assert_eq!(packetize(&[], false), None);
    }

    proptest! {
        #[test]
        fn frames_come_together_again_from_packets_of_one_size(
            sizes in proptest::collection::vec(1..5000_usize, 1..6),
            is_start: bool,
        ) {
            let slices: Vec<Vec<u8>> = sizes.iter().map(|size| {
                let mut nal: Vec<u8> = (0..*size).map(|at| at as u8).collect();
                nal[0] = 0x41;
                nal
            }).collect();
            let nals: Vec<&[u8]> = slices.iter().map(Vec::as_slice).collect();
            let payloads = packetize(&nals, is_start).unwrap();
            prop_assert!(payloads.iter().all(|payload| payload.len() <= PAYLOAD_MAX_BYTES));
            let mut received = assemble(&payloads);
            if is_start {
                prop_assert_eq!(received.drain(..2).count(), 2);
            }
            prop_assert_eq!(received, slices);
        }

        #[test]
        fn any_bytes_are_packetized_or_left_out(
            access_unit in proptest::collection::vec(any::<u8>(), 0..3000), is_start: bool,
        ) {
            let _ = H264Packetizer::new(RECORD).unwrap().packetize(&access_unit, is_start);
        }
    }
}
