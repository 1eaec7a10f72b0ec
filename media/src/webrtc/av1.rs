//! AV1 in RTP payloads ("RTP Payload Format For AV1", version 1.0).

use crate::{
    codec::av1::{Obu, obus},
    webrtc::payload::{PAYLOAD_MAX_BYTES, Payloads},
};

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;

/// Aggregation header (section 4.4): the first element goes on from the packet before.
const CONTINUES: u8 = 0x80;
/// The last element goes on in the next packet.
const IS_CONTINUED: u8 = 0x40;
/// A coded video sequence begins.
const NEW_SEQUENCE: u8 = 0x08;

/// The size of an element's length in a packet, in bytes (leb128).
const LENGTH_BYTES: usize = 2;

/// Size of an OBU's header with its extension, in bytes.
const OBU_HEADER_MAX_BYTES: usize = 2;

/// Packetizes the temporal units of one AV1 track.
#[derive(Debug)]
pub struct Av1Packetizer {
    /// The OBUs of the sequence header's record.
    config: Box<[u8]>,
}

impl Av1Packetizer {
    /// Reads the record of a sequence header; `None` if it is cut short.
    pub fn new(record: &[u8]) -> Option<Self> {
        Some(Self { config: record.get(4..)?.into() })
    }

    /// Packetizes a temporal unit. One that decoding can start at has the sequence header in front. Delimiters, tile lists and
    /// padding are left out (section 5). `None` if nothing is left.
    pub fn packetize(&self, unit: &[u8], is_start: bool) -> Option<Payloads> {
        let has_sequence = obus(unit).any(|obu| obu.kind == SEQUENCE_HEADER);
        let config = if is_start && !has_sequence { &*self.config } else { &[] };
        let is_sent = |obu: &Obu<'_>| !matches!(obu.kind, TEMPORAL_DELIMITER | TILE_LIST | PADDING);
        let mut packer = Packer::new(is_start);
        obus(config).chain(obus(unit)).filter(is_sent).for_each(|obu| packer.put(&obu));
        packer.finish()
    }
}

/// Returns whether a temporal unit brings frames that are shown later, or shows one that came before: the frames of the stream are
/// not decoded in the order in which they are shown.
pub fn is_reordered(unit: &[u8]) -> bool {
    const SHOWS_EXISTING: u8 = 0x80;
    const SHOWS: u8 = 0x10;
    let headers = obus(unit).filter(|obu| matches!(obu.kind, FRAME_HEADER | FRAME));
    // Section 5.9.2 of AV1: show_existing_frame, two bits of frame_type, show_frame.
    headers
        .filter_map(|obu| obu.payload.first())
        .any(|first| first & SHOWS_EXISTING != 0 || first & SHOWS == 0)
}

/// Fills packets with elements, each behind its length.
struct Packer {
    packets: Payloads,
    packet: Vec<u8>,
}

impl Packer {
    fn new(is_start: bool) -> Self {
        Self { packets: Payloads::new(), packet: packet(if is_start { NEW_SEQUENCE } else { 0 }) }
    }

    /// Puts an OBU into this packet and as many further ones as it takes. Its size field is left out: elements have lengths.
    fn put(&mut self, obu: &Obu<'_>) {
        let (header, header_bytes) = obu.header_without_size();
        let mut header = header.get(..header_bytes).unwrap_or_default();
        let mut payload = obu.payload;
        while !header.is_empty() || !payload.is_empty() {
            let room_bytes = PAYLOAD_MAX_BYTES.saturating_sub(self.packet.len() + LENGTH_BYTES);
            if room_bytes <= OBU_HEADER_MAX_BYTES {
                self.flush(0, 0);
                continue;
            }
            let (piece, rest) = payload.split_at(payload.len().min(room_bytes - header.len()));
            let size_bytes = header.len() + piece.len();
            self.packet.extend_from_slice(&[size_bytes as u8 | 0x80, (size_bytes >> 7) as u8]);
            self.packet.extend_from_slice(header);
            self.packet.extend_from_slice(piece);
            (header, payload) = (&[], rest);
            if !payload.is_empty() {
                self.flush(IS_CONTINUED, CONTINUES);
            }
        }
    }

    /// Ends this packet, and begins another one.
    fn flush(&mut self, end: u8, begin: u8) {
        let mut full = std::mem::replace(&mut self.packet, packet(begin));
        if let Some(aggregation) = full.first_mut() {
            *aggregation |= end;
        }
        self.packets.push(full.into());
    }

    fn finish(mut self) -> Option<Payloads> {
        if self.packet.len() > 1 {
            self.flush(0, 0);
        }
        (!self.packets.is_empty()).then_some(self.packets)
    }
}

fn packet(aggregation: u8) -> Vec<u8> {
    let mut packet = Vec::with_capacity(PAYLOAD_MAX_BYTES);
    packet.push(aggregation);
    packet
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const RECORD: &[u8] = b"\x81\x00\x0C\x00\x0A\x02sh";

    fn obu(kind: u8, payload: &[u8]) -> Vec<u8> {
        let size =
            [payload.len() as u8 | 0x80, (payload.len() >> 7) as u8 | 0x80, (payload.len() >> 14) as u8];
        [&[kind << 3 | 2][..], &size, payload].concat()
    }

    /// The OBUs that a receiver gets, without size fields.
    fn assemble(payloads: &[Arc<[u8]>]) -> Vec<Vec<u8>> {
        let (mut obus, mut open): (_, Option<Vec<u8>>) = (Vec::new(), None);
        for payload in payloads {
            assert_eq!(payload[0] & CONTINUES != 0, open.is_some());
            let mut rest = &payload[1..];
            while let [low, high, behind @ ..] = rest {
                let (element, behind) = behind.split_at(usize::from(low & 0x7F) | usize::from(*high) << 7);
                let mut whole = open.take().unwrap_or_default();
                whole.extend_from_slice(element);
                if behind.is_empty() && payload[0] & IS_CONTINUED != 0 {
                    open = Some(whole);
                } else {
                    obus.push(whole);
                }
                rest = behind;
            }
        }
        assert_eq!(open, None);
        obus
    }

    #[test]
    fn a_start_has_the_sequence_header_and_delimiters_are_left_out() {
        let packetizer = Av1Packetizer::new(RECORD).unwrap();
        let unit = [obu(TEMPORAL_DELIMITER, b""), obu(FRAME, b"\x10f")].concat();
        let payloads = packetizer.packetize(&unit, true).unwrap();
        assert_eq!(payloads[0][0], NEW_SEQUENCE);
        assert_eq!(assemble(&payloads), [b"\x08sh".to_vec(), b"\x30\x10f".to_vec()]);
        let repeated = [obu(SEQUENCE_HEADER, b"SH"), obu(FRAME, b"\x10f")].concat();
        let payloads = packetizer.packetize(&repeated, true).unwrap();
        assert_eq!(assemble(&payloads), [b"\x08SH".to_vec(), b"\x30\x10f".to_vec()]);
        assert_eq!(packetizer.packetize(&obu(TEMPORAL_DELIMITER, b""), false), None);
    }

    #[test]
    fn frames_that_are_not_shown_at_once_are_noticed() {
        assert!(!is_reordered(&[obu(FRAME, b"\x10"), obu(FRAME_HEADER, b"\x30")].concat()));
        assert!(is_reordered(&[obu(FRAME, b"\x20"), obu(FRAME, b"\x30")].concat()));
        assert!(is_reordered(&obu(FRAME_HEADER, b"\x80")));
    }

    proptest! {
        #[test]
        fn units_come_together_again(sizes in proptest::collection::vec(0..4000_usize, 1..8), is_start: bool) {
            let payloads: Vec<Vec<u8>> =
                sizes.iter().map(|size| (0..*size).map(|at| at as u8).collect()).collect();
            let unit: Vec<u8> = payloads.iter().flat_map(|payload| obu(FRAME, payload)).collect();
            let packets = Av1Packetizer::new(RECORD).unwrap().packetize(&unit, is_start).unwrap();
            prop_assert!(packets.iter().all(|packet| packet.len() <= PAYLOAD_MAX_BYTES));
            let mut received = assemble(&packets);
            if is_start {
                prop_assert_eq!(received.remove(0), b"\x08sh".to_vec());
            }
            let expected: Vec<Vec<u8>> =
                payloads.iter().map(|payload| [&[FRAME << 3][..], payload].concat()).collect();
            prop_assert_eq!(received, expected);
        }

        #[test]
        fn any_bytes_are_packetized_or_left_out(
            unit in proptest::collection::vec(any::<u8>(), 0..3000), is_start: bool,
        ) {
            if let Some(packets) = Av1Packetizer::new(RECORD).unwrap().packetize(&unit, is_start) {
                prop_assert!(packets.iter().all(|packet| packet.len() <= PAYLOAD_MAX_BYTES));
                assemble(&packets);
            }
            is_reordered(&unit);
        }
    }
}
