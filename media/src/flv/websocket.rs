//! WebSocket messages (RFC 6455 section 5) as far as a viewer needs them: binary messages out, control frames in.

mod state;

use bytes::Bytes;
use thiserror::Error;

pub use state::ClientReaderState;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const OPCODE_MASK: u8 = 0x0F;
const CONTROL_BIT: u8 = 0x08;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// The longest payload of a control frame.
const CONTROL_MAX_BYTES: usize = 125;

/// A payload of this length or more has it in two bytes of their own, or in eight.
const LENGTH_16: usize = 126;
const LENGTH_64: usize = 127;

const MASK_BYTES: usize = 4;

/// The reason the server closes: the stream is over (section 7.4.1).
const NORMAL_CLOSURE: u16 = 1000;

/// A binary message of `content`; nothing if there is none.
pub fn binary(content: &[u8]) -> Bytes {
    if content.is_empty() {
        return Bytes::new();
    }
    frame(BINARY, content)
}

/// The frame with which the server closes.
pub fn close() -> Bytes {
    frame(CLOSE, &NORMAL_CLOSURE.to_be_bytes())
}

/// The answer to a ping with this payload.
pub fn pong(payload: &[u8]) -> Bytes {
    frame(PONG, payload)
}

fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(10 + payload.len());
    out.push(FIN | opcode);
    match payload.len() {
        length @ ..LENGTH_16 => out.push(length as u8),
        length @ ..=0xFFFF => {
            out.push(LENGTH_16 as u8);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(LENGTH_64 as u8);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out.into()
}

/// Messages of a client that a viewer's connection acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// To be answered with a [`pong`] of the same payload.
    Ping(Vec<u8>),
    /// It sends nothing more, and expects a close frame in return.
    Close,
}

/// The reason a client's frames cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WebSocketError {
    /// Section 5.1: a client masks all it sends.
    #[error("a WebSocket frame without a mask")]
    Unmasked,
    /// Section 5.5.
    #[error("a WebSocket control frame in pieces, or of more than {CONTROL_MAX_BYTES} bytes")]
    Control,
}

/// Reads what a client sends. Messages with data have no meaning here and are skipped, whatever their size.
#[derive(Debug, Default)]
pub struct ClientReader {
    /// The frame that has begun: at most its head, or a whole control frame.
    pending: Vec<u8>,
    /// Payload of a data frame that is yet to come.
    skip_bytes: u64,
}

enum Parsed {
    Partial,
    Data { size_bytes: u64 },
    Control { opcode: u8, payload: Vec<u8> },
}

impl ClientReader {
    /// Takes what the client sent, in any pieces, and hands its messages to `push`.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut push: impl FnMut(ClientMessage),
    ) -> Result<(), WebSocketError> {
        while !bytes.is_empty() {
            let skipped = self.skip_bytes.min(bytes.len() as u64);
            self.skip_bytes -= skipped;
            bytes = bytes.get(skipped as usize..).unwrap_or_default();
            let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
            self.pending.push(*first);
            bytes = rest;
            match parse(&self.pending)? {
                Parsed::Partial => continue,
                Parsed::Data { size_bytes } => self.skip_bytes = size_bytes,
                Parsed::Control { opcode: PING, payload } => push(ClientMessage::Ping(payload)),
                Parsed::Control { opcode: CLOSE, .. } => push(ClientMessage::Close),
                Parsed::Control { .. } => {}
            }
            self.pending.clear();
        }
        Ok(())
    }
}

fn parse(frame: &[u8]) -> Result<Parsed, WebSocketError> {
    let Some(([first, second], rest)) = frame.split_first_chunk() else { return Ok(Parsed::Partial) };
    if second & MASKED == 0 {
        return Err(WebSocketError::Unmasked);
    }
    let (opcode, length) = (first & OPCODE_MASK, usize::from(second & !MASKED));
    let is_control = opcode & CONTROL_BIT != 0;
    if is_control && (first & FIN == 0 || length > CONTROL_MAX_BYTES) {
        return Err(WebSocketError::Control);
    }
    let Some((size_bytes, rest)) = split_length(length, rest) else { return Ok(Parsed::Partial) };
    let Some((mask, masked)) = rest.split_first_chunk::<MASK_BYTES>() else { return Ok(Parsed::Partial) };
    if !is_control {
        return Ok(Parsed::Data { size_bytes });
    }
    if (masked.len() as u64) < size_bytes {
        return Ok(Parsed::Partial);
    }
    let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Ok(Parsed::Control { opcode, payload })
}

/// The length of a payload, and what follows it.
fn split_length(length: usize, rest: &[u8]) -> Option<(u64, &[u8])> {
    match length {
        LENGTH_16 => {
            rest.split_first_chunk().map(|(length, rest)| (u16::from_be_bytes(*length).into(), rest))
        }
        LENGTH_64 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest)),
        _ => Some((length as u64, rest)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as a client sends it.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let plain = frame(first & OPCODE_MASK, payload);
        let head_bytes = plain.len() - payload.len();
        let mut out = plain[..head_bytes].to_vec();
        out[0] = first;
        out[1] |= MASKED;
        out.extend(mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }

    fn messages(bytes: &[u8], piece_bytes: usize) -> Result<Vec<ClientMessage>, WebSocketError> {
        let (mut reader, mut messages) = (ClientReader::default(), Vec::new());
        for piece in bytes.chunks(piece_bytes) {
            reader.feed(piece, |message| messages.push(message))?;
        }
        Ok(messages)
    }

    #[test]
    fn frames_are_the_bytes_of_the_specification() {
        assert_eq!(binary(b"abc"), b"\x82\x03abc"[..]);
        assert_eq!(binary(&[0; 125])[..2], [0x82, 125]);
        assert_eq!(binary(&[0; 126])[..4], [0x82, 126, 0, 126]);
        assert_eq!(binary(&[0; 65_535])[..4], [0x82, 126, 0xFF, 0xFF]);
        assert_eq!(binary(&[0; 65_536])[..10], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(close(), b"\x88\x02\x03\xE8"[..]);
        assert_eq!(pong(b"x"), b"\x8A\x01x"[..]);
        assert!(binary(b"").is_empty());
    }

    #[test]
    fn pings_and_closes_are_found_between_what_means_nothing() {
        let bytes = [
            masked(0x82, &[7; 300]),
            masked(0x89, b"hello"),
            masked(0x01, &[0x88; 70_000]),
            masked(0x8A, b"pong"),
            masked(0x80, b""),
            masked(0x89, b""),
            masked(0x88, &[3, 0xE9]),
        ]
        .concat();
        let expected =
            [ClientMessage::Ping(b"hello".into()), ClientMessage::Ping(vec![]), ClientMessage::Close];
        for piece_bytes in [1, 7, 1024, bytes.len()] {
            assert_eq!(messages(&bytes, piece_bytes).unwrap(), expected);
        }
    }

    #[test]
    fn what_no_client_may_send_is_an_error() {
        assert_eq!(messages(b"\x82\x03abc", 1), Err(WebSocketError::Unmasked));
        assert_eq!(messages(&masked(0x09, b"piece"), 1), Err(WebSocketError::Control));
        assert_eq!(messages(&[0x89, 0xFE, 0, 126], 4), Err(WebSocketError::Control));
    }

    proptest! {
        #[test]
        fn any_bytes_take_bounded_memory(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = ClientReader::default();
            let _ = reader.feed(&bytes, drop);
            prop_assert!(reader.pending.len() <= 14 + CONTROL_MAX_BYTES);
        }
    }
}
