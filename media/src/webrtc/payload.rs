//! RTP payloads of all codecs.

use std::sync::Arc;

/// The size of the largest payload. With RTP, SRTP, UDP and IPv6 around it, and room for a tunnel, a packet stays below the
/// 1,280 bytes that every IPv6 link carries.
pub const PAYLOAD_MAX_BYTES: usize = 1160;

/// The most padding that [`pad_last`] appends, in bytes. Frames of more packets than this are rare, and go without.
const PADDING_MAX_BYTES: usize = 64;

/// The payloads of one frame, of which the last one gets the marker. Viewers share them.
pub type Payloads = Vec<Arc<[u8]>>;

/// Returns the size of the pieces that divide `size_bytes` evenly among as few packets as have room for it, each for at most
/// `max_bytes`. The last piece is smaller by less than a byte for each of the others.
///
/// The kernel makes datagrams of one size, but for a smaller last one, of what is sent with one call. With even pieces a few bytes
/// of padding make the whole frame one size, and a packet of audio can be the last of the call.
pub fn piece_bytes(size_bytes: usize, max_bytes: usize) -> usize {
    let pieces = size_bytes.div_ceil(max_bytes.max(1)).max(1);
    size_bytes.div_ceil(pieces).max(1)
}

/// Pads the last payload to the size of the one before it (RFC 3550, section 5.1), if it lacks little. Returns the number of
/// bytes that were appended.
pub fn pad_last(payloads: &mut Payloads) -> u8 {
    let [.., before, last] = &mut payloads[..] else { return 0 };
    let padding = match before.len().checked_sub(last.len()) {
        Some(lacking @ 1..=PADDING_MAX_BYTES) => lacking as u8,
        _ => return 0,
    };
    let mut padded = Vec::with_capacity(before.len());
    padded.extend_from_slice(last);
    padded.resize(before.len(), 0);
    // The last byte is the padding's size.
    if let Some(size) = padded.last_mut() {
        *size = padding;
    }
    *last = padded.into();
    padding
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_payload_that_lacks_little_is_padded_to_the_one_before_it() {
        let payloads = |sizes: &[usize]| sizes.iter().map(|size| vec![7; *size].into()).collect::<Payloads>();
        let mut one = payloads(&[10, 100, 97]);
        assert_eq!(pad_last(&mut one), 3);
        assert_eq!((one[2].len(), &one[2][95..]), (100, &[7, 7, 0, 0, 3][..]));
        for sizes in [&[97][..], &[100, 100], &[97, 100], &[100, 99 - PADDING_MAX_BYTES]] {
            let mut as_it_was = payloads(sizes);
            assert_eq!((pad_last(&mut as_it_was), as_it_was), (0, payloads(sizes)));
        }
    }

    proptest! {
        #[test]
        fn pieces_are_as_few_as_they_can_be_and_even(size_bytes in 0..100_000_usize, max_bytes in 1..2000_usize) {
            let piece = piece_bytes(size_bytes, max_bytes);
            let pieces = size_bytes.div_ceil(piece);
            prop_assert!(piece <= max_bytes && pieces <= size_bytes.div_ceil(max_bytes));
            prop_assert!(piece * pieces - size_bytes < size_bytes.div_ceil(max_bytes).max(1));
        }
    }
}
