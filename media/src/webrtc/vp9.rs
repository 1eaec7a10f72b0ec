//! VP9 in RTP payloads (RFC 9628).

use crate::webrtc::payload::{PAYLOAD_MAX_BYTES, Payloads, piece_bytes};

/// Size of the payload descriptor, in bytes: neither a picture ID, which would go back when a frame is sent again, nor
/// layers, of which streams of RTMP have one.
const DESCRIPTOR_BYTES: usize = 1;

/// The frame needs earlier ones (section 4.2).
const INTER_PREDICTED: u8 = 0x40;
/// The packet is the first of its frame.
const FRAME_START: u8 = 0x08;
/// The packet is the last of its frame.
const FRAME_END: u8 = 0x04;

/// Packetizes a frame, or a superframe with frames that are not shown. `None` if there is nothing of it.
pub fn packetize(frame: &[u8], is_keyframe: bool) -> Option<Payloads> {
    let size_bytes = piece_bytes(frame.len(), PAYLOAD_MAX_BYTES - DESCRIPTOR_BYTES);
    let mut pieces = frame.chunks(size_bytes).peekable();
    let mut descriptor = FRAME_START | if is_keyframe { 0 } else { INTER_PREDICTED };
    let mut payloads = Payloads::new();
    while let Some(piece) = pieces.next() {
        descriptor |= if pieces.peek().is_none() { FRAME_END } else { 0 };
        payloads.push([&[descriptor], piece].concat().into());
        descriptor &= !FRAME_START;
    }
    (!payloads.is_empty()).then_some(payloads)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_of_one_packet_is_its_start_and_its_end() {
        let packet = |is_keyframe| packetize(b"frame", is_keyframe).unwrap().remove(0);
        assert_eq!(*packet(true), *b"\x0Cframe");
        assert_eq!(*packet(false), *b"\x4Cframe");
        assert_eq!(packetize(b"", true), None);
    }

    proptest! {
        #[test]
        fn frames_come_together_again(
            frame in proptest::collection::vec(any::<u8>(), 1..5000), is_keyframe: bool,
        ) {
            let payloads = packetize(&frame, is_keyframe).unwrap();
            let last = payloads.len() - 1;
            let mut received = Vec::new();
            for (at, payload) in payloads.iter().enumerate() {
                prop_assert!(payload.len() <= PAYLOAD_MAX_BYTES);
                prop_assert_eq!(payload[0] & FRAME_START != 0, at == 0);
                prop_assert_eq!(payload[0] & FRAME_END != 0, at == last);
                prop_assert_eq!(payload[0] & INTER_PREDICTED == 0, is_keyframe);
                received.extend_from_slice(&payload[1..]);
            }
            prop_assert_eq!(received, frame);
        }
    }
}
