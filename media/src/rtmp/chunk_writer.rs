//! Messages to chunks (RTMP 1.0 section 5.3).

use bytes::BufMut;

/// The longest payload that a message header can announce, in bytes: 24 bits.
pub const MESSAGE_MAX_BYTES: usize = 0xFF_FFFF;

/// The timestamp from which on the extended field is used, in milliseconds (section 5.3.1.3).
pub(super) const EXTENDED_FROM_MS: u32 = 0xFF_FFFF;

const FMT_FULL: u8 = 0;
const FMT_CONTINUED: u8 = 3;
const FULL_HEADER_SIZE_BYTES: usize = 11;
const EXTENDED_SIZE_BYTES: usize = 4;

/// A message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHeader {
    /// The chunk stream, 2 to 65,599.
    pub csid: u32,
    /// The message type (section 7.1).
    pub type_id: u8,
    /// The message stream: 0 for control, 1 for media.
    pub stream_id: u32,
    /// Milliseconds; wraps at 2^32.
    pub timestamp_ms: u32,
}

/// Appends a message to `out`: a type 0 chunk, then type 3 chunks. It depends on no message before it, so that all
/// receivers can be sent the same bytes. A payload over [`MESSAGE_MAX_BYTES`] is cut there.
pub fn write_message(out: &mut Vec<u8>, header: &MessageHeader, payload: &[u8], chunk_size_bytes: usize) {
    let payload = payload.get(..MESSAGE_MAX_BYTES).unwrap_or(payload);
    let mut chunks = payload.chunks(chunk_size_bytes.max(1));
    write_basic_header(out, FMT_FULL, header.csid);
    write_full_header(out, header, payload.len());
    out.put_slice(chunks.next().unwrap_or_default());
    for chunk in chunks {
        write_basic_header(out, FMT_CONTINUED, header.csid);
        write_extended(out, header.timestamp_ms);
        out.put_slice(chunk);
    }
}

/// Returns the bytes that [`write_message`] appends on a chunk stream below 64.
pub fn message_len(payload_len: usize, timestamp_ms: u32, chunk_size_bytes: usize) -> usize {
    let payload_len = payload_len.min(MESSAGE_MAX_BYTES);
    let chunks = payload_len.div_ceil(chunk_size_bytes.max(1)).max(1);
    let extended = if timestamp_ms >= EXTENDED_FROM_MS { EXTENDED_SIZE_BYTES } else { 0 };
    FULL_HEADER_SIZE_BYTES + chunks * (1 + extended) + payload_len
}

fn write_full_header(out: &mut Vec<u8>, header: &MessageHeader, payload_len: usize) {
    out.put_uint(header.timestamp_ms.min(EXTENDED_FROM_MS).into(), 3);
    out.put_uint(payload_len as u64, 3);
    out.put_u8(header.type_id);
    out.put_u32_le(header.stream_id);
    write_extended(out, header.timestamp_ms);
}

fn write_extended(out: &mut Vec<u8>, timestamp_ms: u32) {
    if timestamp_ms >= EXTENDED_FROM_MS {
        out.put_u32(timestamp_ms);
    }
}

fn write_basic_header(out: &mut Vec<u8>, fmt: u8, csid: u32) {
    match csid {
        0..64 => out.put_u8(fmt << 6 | csid as u8),
        64..320 => out.put_slice(&[fmt << 6, (csid - 64) as u8]),
        _ => {
            out.put_u8(fmt << 6 | 1);
            out.put_u16_le((csid - 64) as u16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(csid: u32, timestamp_ms: u32, payload: &[u8], chunk_size_bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let header = MessageHeader { csid, type_id: 9, stream_id: 1, timestamp_ms };
        write_message(&mut out, &header, payload, chunk_size_bytes);
        if csid < 64 {
            assert_eq!(out.len(), message_len(payload.len(), timestamp_ms, chunk_size_bytes));
        }
        out
    }

    #[test]
    fn a_message_is_one_full_chunk_and_bare_ones() {
        let bytes = written(6, 0x010203, b"abcde", 2);
        let expected = [6, 1, 2, 3, 0, 0, 5, 9, 1, 0, 0, 0, b'a', b'b', 0xC6, b'c', b'd', 0xC6, b'e'];
        assert_eq!(bytes, expected);
        assert_eq!(written(6, 1, b"", 2), [6, 0, 0, 1, 0, 0, 0, 9, 1, 0, 0, 0]);
    }

    #[test]
    fn a_late_timestamp_is_repeated_in_every_chunk() {
        let bytes = written(4, 0xFF_FFFF, b"abc", 2);
        let late = [0, 0xFF, 0xFF, 0xFF];
        let head = [4, 0xFF, 0xFF, 0xFF, 0, 0, 3, 9, 1, 0, 0, 0];
        assert_eq!(bytes, [&head[..], &late, b"ab", &[0xC4], &late, b"c"].concat());
    }

    #[test]
    fn chunk_streams_take_one_two_or_three_bytes() {
        for (csid, basic) in
            [(63, &[63][..]), (64, &[0, 0]), (319, &[0, 255]), (320, &[1, 0, 1]), (65_599, &[1, 255, 255])]
        {
            assert!(written(csid, 0, b"", 128).starts_with(basic));
        }
    }
}
