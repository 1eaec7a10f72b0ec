//! Packets on a TCP connection, each behind its length in two bytes (RFC 4571, by which ICE uses TCP: RFC 6544, section 3).

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// The size of the largest packet that is taken, in bytes. Players' packets are below the 1,500 bytes of an Ethernet
/// frame.
pub const PACKET_MAX_BYTES: usize = 2048;

const LENGTH_BYTES: usize = 2;

/// A connection whose packets are not those of a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a packet of {0} bytes is over the limit of {PACKET_MAX_BYTES}")]
pub struct PacketTooLarge(usize);

/// Finds packets in what is read.
#[derive(Debug, Default)]
pub struct PacketReader {
    buffer: BytesMut,
}

impl PacketReader {
    /// Returns the buffer to read into, with room for the largest packet. It never holds more than that and one read.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(LENGTH_BYTES + PACKET_MAX_BYTES);
        &mut self.buffer
    }

    /// Returns the next whole packet, if there is one. Empty ones keep a connection open, and are passed over.
    pub fn next_packet(&mut self) -> Result<Option<Bytes>, PacketTooLarge> {
        while let Some((length, rest)) = self.buffer.split_first_chunk::<LENGTH_BYTES>() {
            let size_bytes = usize::from(u16::from_be_bytes(*length));
            if size_bytes > PACKET_MAX_BYTES {
                return Err(PacketTooLarge(size_bytes));
            }
            if rest.len() < size_bytes {
                break;
            }
            self.buffer.advance(LENGTH_BYTES);
            let packet = self.buffer.split_to(size_bytes).freeze();
            if !packet.is_empty() {
                return Ok(Some(packet));
            }
        }
        Ok(None)
    }
}

/// Returns the length that goes before a packet; `None` if the format has no room for it.
pub fn length_of(packet: &[u8]) -> Option<[u8; LENGTH_BYTES]> {
    u16::try_from(packet.len()).ok().map(u16::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_over_the_limit_is_an_error_at_its_length() {
        let mut reader = PacketReader::default();
        reader.buffer().extend_from_slice(&[0, 0, 0, 1, 7, 0x08, 0x01]);
        assert_eq!(reader.next_packet(), Ok(Some(Bytes::from_static(&[7]))));
        assert_eq!(reader.next_packet(), Err(PacketTooLarge(PACKET_MAX_BYTES + 1)));
    }

    proptest! {
        #[test]
        fn packets_come_out_of_pieces_as_they_went_in(
            sizes in proptest::collection::vec(1..=PACKET_MAX_BYTES, 0..8), piece_bytes in 1..3000_usize,
        ) {
            let packets: Vec<Vec<u8>> = sizes.iter().map(|size| vec![*size as u8; *size]).collect();
            let sent: Vec<u8> = packets
                .iter()
                .flat_map(|packet| [&length_of(packet).unwrap()[..], packet].concat())
                .collect();
            let (mut reader, mut received) = (PacketReader::default(), Vec::new());
            for piece in sent.chunks(piece_bytes) {
                reader.buffer().extend_from_slice(piece);
                while let Some(packet) = reader.next_packet().unwrap() {
                    received.push(packet.to_vec());
                }
                prop_assert!(reader.buffer.len() < LENGTH_BYTES + PACKET_MAX_BYTES);
            }
            prop_assert_eq!(received, packets);
        }
    }
}
