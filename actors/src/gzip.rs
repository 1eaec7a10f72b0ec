//! Texts as gzip, for clients that take it.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// Texts rarely compress to less than a third.
const EXPECTED_RATIO: usize = 3;

/// The time that compressing may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For a text that is replaced every few seconds.
    Fast,
    /// For a text that stays.
    Thorough,
}

/// Compresses a text.
pub fn gzip(text: &[u8], effort: Effort) -> io::Result<Bytes> {
    let level = match effort {
        Effort::Fast => Compression::fast(),
        Effort::Thorough => Compression::default(),
    };
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / EXPECTED_RATIO), level);
    encoder.write_all(text)?;
    Ok(encoder.finish()?.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn a_text_is_smaller_and_comes_back() {
        let text = "#EXTINF:2.000,\nseg-1.ts\n".repeat(20);
        for effort in [Effort::Fast, Effort::Thorough] {
            let compressed = gzip(text.as_bytes(), effort).unwrap();
            assert!(compressed.len() < text.len() / 3);
            let mut read = String::new();
            GzDecoder::new(&compressed[..]).read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
        }
    }
}
