//! Protocol control messages (RTMP 1.0 section 5.4) and user control events (section 7.1.7), as whole chunks.
//!
//! Each is shorter than the smallest chunk, so it can be sent whatever chunk size was announced.

use super::{
    DEFAULT_CHUNK_SIZE,
    chunk_writer::{MessageHeader, write_message},
    rtmp_crate::{
        RTMP_EVENT_PING, RTMP_EVENT_PONG, RTMP_EVENT_STREAM_BEGIN, RTMP_EVENT_STREAM_EOF, msg_type_id,
    },
};

/// The chunk stream of control messages.
const CONTROL_CSID: u32 = 2;

/// The limit type of Set Peer Bandwidth that lets the peer choose (section 5.4.5).
const BANDWIDTH_LIMIT_DYNAMIC: u8 = 2;

/// Set Chunk Size (section 5.4.1), in bytes.
pub fn set_chunk_size(size_bytes: u32) -> Vec<u8> {
    message(msg_type_id::SET_CHUNK_SIZE, &(size_bytes & 0x7FFF_FFFF).to_be_bytes())
}

/// Acknowledgement (section 5.4.3) of all bytes received so far, which wraps at 2^32.
pub fn acknowledgement(received_bytes: u32) -> Vec<u8> {
    message(msg_type_id::ACKNOWLEDGEMENT, &received_bytes.to_be_bytes())
}

/// Window Acknowledgement Size (section 5.4.4), in bytes.
pub fn window_ack_size(window_bytes: u32) -> Vec<u8> {
    message(msg_type_id::WIN_ACKNOWLEDGEMENT_SIZE, &window_bytes.to_be_bytes())
}

/// Set Peer Bandwidth (section 5.4.5), in bytes, with a dynamic limit.
pub fn set_peer_bandwidth(window_bytes: u32) -> Vec<u8> {
    let [a, b, c, d] = window_bytes.to_be_bytes();
    message(msg_type_id::SET_PEER_BANDWIDTH, &[a, b, c, d, BANDWIDTH_LIMIT_DYNAMIC])
}

/// The event Stream Begin.
pub fn stream_begin(stream_id: u32) -> Vec<u8> {
    event(RTMP_EVENT_STREAM_BEGIN, stream_id)
}

/// The event Stream EOF.
pub fn stream_eof(stream_id: u32) -> Vec<u8> {
    event(RTMP_EVENT_STREAM_EOF, stream_id)
}

/// The event Ping Request with our time in milliseconds.
pub fn ping_request(timestamp_ms: u32) -> Vec<u8> {
    event(RTMP_EVENT_PING, timestamp_ms)
}

/// The event Ping Response with the time that the peer's request carried.
pub fn ping_response(timestamp_ms: u32) -> Vec<u8> {
    event(RTMP_EVENT_PONG, timestamp_ms)
}

fn event(event: u16, value: u32) -> Vec<u8> {
    let ([high, low], [a, b, c, d]) = (event.to_be_bytes(), value.to_be_bytes());
    message(msg_type_id::USER_CONTROL_EVENT, &[high, low, a, b, c, d])
}

fn message(type_id: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(12 + payload.len());
    let header = MessageHeader { csid: CONTROL_CSID, type_id, stream_id: 0, timestamp_ms: 0 };
    write_message(&mut out, &header, payload, DEFAULT_CHUNK_SIZE);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_messages_are_the_bytes_of_the_specification() {
        let header = |type_id, len| vec![2, 0, 0, 0, 0, 0, len, type_id, 0, 0, 0, 0];
        let message = |type_id, body: &[u8]| [header(type_id, body.len() as u8), body.to_vec()].concat();
        assert_eq!(set_chunk_size(60_000), message(1, &[0, 0, 0xEA, 0x60]));
        assert_eq!(acknowledgement(5), message(3, &[0, 0, 0, 5]));
        assert_eq!(window_ack_size(6), message(5, &[0, 0, 0, 6]));
        assert_eq!(set_peer_bandwidth(7), message(6, &[0, 0, 0, 7, 2]));
        assert_eq!(stream_begin(1), message(4, &[0, 0, 0, 0, 0, 1]));
        assert_eq!(stream_eof(1), message(4, &[0, 1, 0, 0, 0, 1]));
        assert_eq!(ping_request(9), message(4, &[0, 6, 0, 0, 0, 9]));
        assert_eq!(ping_response(9), message(4, &[0, 7, 0, 0, 0, 9]));
    }
}
