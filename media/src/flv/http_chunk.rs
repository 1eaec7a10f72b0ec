//! Chunks of an HTTP/1.1 body (RFC 9112 section 7.1), which distinguish the end of a live body from a broken connection.
//!
//! All chunk heads written here have the same size, for which memory is left in front of the media. A flush stays one write
//! of the same bytes for all viewers.

use bytes::Bytes;

/// Eight hexadecimal digits, then CRLF. Zeros in front are legal.
const HEAD_BYTES: usize = 10;

const TAIL: &[u8] = b"\r\n";

/// The last chunk, which ends a body.
pub const END: &[u8] = b"0\r\n\r\n";

/// A chunk in memory that its content shares.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Head, content and tail; empty if the content is, as a chunk without content would end the body.
    pub whole: Bytes,
}

impl Chunk {
    /// Returns the size of the content, in bytes.
    pub fn content_bytes(&self) -> usize {
        self.whole.len().saturating_sub(HEAD_BYTES + TAIL.len())
    }

    /// Returns the content alone. The first reference to the memory besides the chunk's own is an allocation.
    pub fn content(&self) -> Bytes {
        match self.content_bytes() {
            0 => Bytes::new(),
            size_bytes => self.whole.slice(HEAD_BYTES..HEAD_BYTES + size_bytes),
        }
    }
}

/// Allocates a chunk for that much content, which is to be appended.
pub fn begin(content_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + content_bytes + TAIL.len());
    bytes.resize(HEAD_BYTES, 0);
    bytes
}

/// Completes a chunk that was [begun](begin). Content over 4 GiB, more than any limit allows in one batch, is cut off.
pub fn end(mut bytes: Vec<u8>) -> Chunk {
    bytes.truncate(HEAD_BYTES.saturating_add(u32::MAX as usize));
    let Some(size_bytes @ 1..) = bytes.len().checked_sub(HEAD_BYTES) else {
        return Chunk { whole: Bytes::new() };
    };
    let head = head(size_bytes as u32);
    for (byte, of_head) in bytes.iter_mut().zip(head) {
        *byte = of_head;
    }
    bytes.extend_from_slice(TAIL);
    Chunk { whole: Bytes::from(bytes) }
}

impl Chunk {
    /// Returns a chunk that [`end`] gave, from its bytes; `None` if they are no such chunk.
    pub(crate) fn of_whole(whole: Bytes) -> Option<Self> {
        let chunk = Self { whole };
        let size_bytes = u32::try_from(chunk.content_bytes()).ok()?;
        let is_framed = chunk.whole.starts_with(&head(size_bytes)) && chunk.whole.ends_with(TAIL);
        (chunk.whole.is_empty() || (size_bytes > 0 && is_framed)).then_some(chunk)
    }
}

/// The head of a chunk. One is written for each flush of a stream, for which `format!` and its allocations cost 500
/// instructions.
fn head(size_bytes: u32) -> [u8; HEAD_BYTES] {
    let mut head = *b"00000000\r\n";
    for (byte, shift) in head.iter_mut().zip((0..u32::BITS).step_by(4).rev()) {
        let digit = (size_bytes >> shift & 0xF) as u8;
        *byte = if digit < 10 { b'0' + digit } else { b'A' - 10 + digit };
    }
    head
}

/// A chunk of `content`.
pub fn of(content: &[u8]) -> Bytes {
    let mut bytes = begin(content.len());
    bytes.extend_from_slice(content);
    end(bytes).whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_what_the_rfc_says_and_shares_its_content() {
        let mut bytes = begin(26);
        bytes.extend(b"abcdefghijklmnopqrstuvwxyz");
        let chunk = end(bytes);
        let (whole, content) = (&chunk.whole, chunk.content());
        assert_eq!(&whole[..], b"0000001A\r\nabcdefghijklmnopqrstuvwxyz\r\n");
        assert_eq!(&content[..], b"abcdefghijklmnopqrstuvwxyz");
        assert_eq!(chunk.content_bytes(), content.len());
        assert_eq!(content.as_ptr(), whole[HEAD_BYTES..].as_ptr());
        assert_eq!(of(b"x"), b"00000001\r\nx\r\n"[..]);
        assert_eq!(&head(0x9A0F_00EB), b"9A0F00EB\r\n");
    }

    #[test]
    fn a_chunk_is_known_by_its_bytes() {
        for content in [&b""[..], b"x", b"abcdefghijklmnop"] {
            let mut bytes = begin(content.len());
            bytes.extend_from_slice(content);
            let chunk = Chunk::of_whole(end(bytes).whole).unwrap();
            assert_eq!(&chunk.content()[..], content);
        }
        let chunk = of(b"xyz");
        let damaged = [END, &chunk[1..], &chunk[..chunk.len() - 1], b"00000000\r\n\r\n", b"\r\n"];
        for bytes in damaged {
            assert!(Chunk::of_whole(Bytes::copy_from_slice(bytes)).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn memory_is_allocated_once() {
        let bytes = begin(100);
        let capacity = bytes.capacity();
        assert_eq!(capacity, HEAD_BYTES + 100 + 2);
    }

    #[test]
    fn no_content_is_no_chunk() {
        assert!(of(b"").is_empty());
        assert!(end(begin(0)).content().is_empty());
    }
}
