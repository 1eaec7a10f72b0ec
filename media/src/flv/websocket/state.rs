//! The state of a reader of a client's messages.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{CONTROL_MAX_BYTES, ClientReader, MASK_BYTES, Parsed, parse};
use crate::upgrade::{BlobId, Blobs, StateError};

const PART: &str = "a WebSocket reader";

/// The longest head of a frame: two bytes, a length of eight, a mask.
const HEAD_MAX_BYTES: usize = 10 + MASK_BYTES;

/// The state of a [`ClientReader`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientReaderState {
    pending: BlobId,
    skip_bytes: u64,
}

impl ClientReader {
    /// Gives its state. An incomplete frame goes into `blobs`.
    pub fn state(&self, blobs: &mut Blobs) -> ClientReaderState {
        let pending = blobs.put(&Bytes::copy_from_slice(&self.pending));
        ClientReaderState { pending, skip_bytes: self.skip_bytes }
    }

    /// Restores the reader; refuses a frame that it would have refused, or have read to its end.
    pub fn restore(state: ClientReaderState, blobs: &Blobs) -> Result<Self, StateError> {
        let pending = blobs.get(state.pending)?;
        let is_short = pending.len() <= HEAD_MAX_BYTES + CONTROL_MAX_BYTES;
        let is_partial = is_short && matches!(parse(&pending), Ok(Parsed::Partial));
        StateError::unless(is_partial, PART, "no frame is arriving")?;
        Ok(Self { pending: pending.into(), skip_bytes: state.skip_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upgrade::testing::read_again;

    fn restored(reader: &ClientReader) -> ClientReader {
        let mut blobs = Blobs::default();
        let state = reader.state(&mut blobs);
        let (state, blobs) = read_again(&state, &blobs);
        ClientReader::restore(state, &blobs).unwrap()
    }

    #[test]
    fn a_reader_is_restored_at_every_byte() {
        let text = [&b"\x81\x83mask"[..], b"abc"].concat();
        let long = [&b"\x82\xFE\x00\xC8mask"[..], &[7; 200]].concat();
        let sent = [&text[..], b"\x89\x84maskping", &long, b"\x8A\x80mask", b"\x88\x80mask"].concat();
        let read = |reader: &mut ClientReader, bytes: &[u8]| {
            let mut messages = Vec::new();
            reader.feed(bytes, |message| messages.push(message)).unwrap();
            messages
        };
        let expected = read(&mut ClientReader::default(), &sent);
        assert_eq!(expected.len(), 2);
        for cut in 0..=sent.len() {
            let mut reader = ClientReader::default();
            let mut messages = read(&mut reader, &sent[..cut]);
            messages.extend(read(&mut restored(&reader), &sent[cut..]));
            assert_eq!(messages, expected, "{cut}");
        }
    }

    #[test]
    fn a_frame_that_is_whole_or_none_is_refused() {
        let mut blobs = Blobs::default();
        for pending in [&b"\x89\x84maskping"[..], b"\x89\x04ping", &[0x81; 200]] {
            let pending = blobs.put(&Bytes::copy_from_slice(pending));
            let state = ClientReaderState { pending, skip_bytes: 0 };
            assert!(ClientReader::restore(state, &blobs).is_err());
        }
    }
}
