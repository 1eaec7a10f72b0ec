//! The server's handshake (RTMP 1.0 section 5.2): C0 and C1 in, S0, S1 and S2 out, C2 in.

use thiserror::Error;

use super::rtmp_crate::{self, HANDSHAKE_SIZE_BYTES, RtmpCrateError};

const VERSION: u8 = 3;
const TLS_FIRST_BYTE: u8 = 22;
const C0C1_SIZE_BYTES: usize = 1 + HANDSHAKE_SIZE_BYTES;

/// The reason a peer cannot be talked to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The connection begins like TLS: a handshake record.
    #[error("TLS came to the plain port")]
    Tls,
    /// C0 is not 3: not plain RTMP. 6 would be RTMPE; 71 is an HTTP client.
    #[error("the peer speaks version {0}, not RTMP version 3")]
    Version(u8),
    /// S0, S1 and S2 could not be made.
    #[error(transparent)]
    Reply(#[from] RtmpCrateError),
}

/// The progress of a handshake.
#[derive(Debug)]
enum Stage {
    C0C1(Vec<u8>),
    C2 { left_bytes: usize },
    Done,
}

/// The state of one handshake. It has no clock: the connection's owner limits its time.
#[derive(Debug)]
pub struct Handshake {
    stage: Stage,
}

impl Default for Handshake {
    fn default() -> Self {
        Self::new()
    }
}

impl Handshake {
    /// Expects C0.
    pub fn new() -> Self {
        Self { stage: Stage::C0C1(Vec::new()) }
    }

    /// A handshake that has ended.
    pub fn done() -> Self {
        Self { stage: Stage::Done }
    }

    /// Consumes the handshake's bytes from `input`, and appends the reply to `output` once C1 is whole. Bytes behind C2
    /// stay in `input`. C2 is consumed and not verified: several encoders send something else there.
    pub fn feed(&mut self, input: &mut &[u8], output: &mut Vec<u8>) -> Result<(), HandshakeError> {
        if let Stage::C0C1(arrived) = &mut self.stage {
            arrived.extend_from_slice(take(input, C0C1_SIZE_BYTES.saturating_sub(arrived.len())));
            match arrived.first() {
                Some(&VERSION) | None => {}
                Some(&TLS_FIRST_BYTE) => return Err(HandshakeError::Tls),
                Some(&version) => return Err(HandshakeError::Version(version)),
            }
            if arrived.len() < C0C1_SIZE_BYTES {
                return Ok(());
            }
            output.extend_from_slice(&rtmp_crate::handshake_reply(arrived)?);
            self.stage = Stage::C2 { left_bytes: HANDSHAKE_SIZE_BYTES };
        }
        if let Stage::C2 { left_bytes } = &mut self.stage {
            *left_bytes -= take(input, *left_bytes).len();
            if *left_bytes == 0 {
                self.stage = Stage::Done;
            }
        }
        Ok(())
    }

    /// Returns `true` once C2 has been consumed.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }
}

fn take<'a>(input: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at_checked(len).unwrap_or((input, &[]));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::{super::rtmp_crate::digests, *};

    fn simple_c0c1() -> Vec<u8> {
        let mut bytes = vec![3, 0, 0, 0, 7, 0, 0, 0, 0];
        bytes.extend((0..1528).map(|i| i as u8));
        bytes
    }

    fn digest_c0c1() -> Vec<u8> {
        let c1: Vec<u8> = (0..1536).map(|i| (i * 31 % 251) as u8).collect();
        [vec![3], digests::sign_c1(&c1)].concat()
    }

    fn reply_to(c0c1: &[u8]) -> Vec<u8> {
        let (mut handshake, mut output) = (Handshake::new(), Vec::new());
        handshake.feed(&mut &*c0c1, &mut output).unwrap();
        assert!(!handshake.is_done());
        output
    }

    #[test]
    fn a_plain_c1_is_echoed_in_s2() {
        let c0c1 = simple_c0c1();
        let reply = reply_to(&c0c1);
        assert_eq!((reply.len(), reply[0]), (1 + 2 * 1536, 3));
        assert_eq!(reply[1537..], c0c1[1..]);
    }

    #[test]
    fn a_c1_with_a_digest_gets_digests_back() {
        let c0c1 = digest_c0c1();
        let reply = reply_to(&c0c1);
        let (s1, s2) = reply[1..].split_at(1536);
        assert!(digests::is_s1_signed(s1));
        assert!(digests::is_s2_signed(s2, &c0c1[1..]));
    }

    #[test]
    fn single_bytes_work_and_what_follows_c2_stays() {
        for c0c1 in [simple_c0c1(), digest_c0c1()] {
            let bytes = [&c0c1[..], &[9; 1536], b"connect"].concat();
            let (mut handshake, mut output) = (Handshake::new(), Vec::new());
            for (sent, byte) in bytes.iter().enumerate() {
                let mut input = std::slice::from_ref(byte);
                handshake.feed(&mut input, &mut output).unwrap();
                assert_eq!(handshake.is_done(), sent >= 1537 + 1536 - 1);
                assert_eq!(input.len(), usize::from(sent >= 1537 + 1536));
            }
            let (mut handshake, mut output, mut input) = (Handshake::new(), Vec::new(), &bytes[..]);
            handshake.feed(&mut input, &mut output).unwrap();
            assert!(handshake.is_done());
            assert_eq!((input, output.len()), (&b"connect"[..], 3073));
        }
    }

    #[test]
    fn another_version_is_refused_at_its_first_byte() {
        for version in [0, 6, b'G'] {
            let refused = Handshake::new().feed(&mut &[version][..], &mut Vec::new());
            assert_eq!(refused, Err(HandshakeError::Version(version)));
        }
        let tls = Handshake::new().feed(&mut &[TLS_FIRST_BYTE][..], &mut Vec::new());
        assert_eq!(tls, Err(HandshakeError::Tls));
    }
}
