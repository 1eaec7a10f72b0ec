//! The header at the front of each frame of MPEG audio (ISO/IEC 11172-3, section 2.4.1.3).

/// Whether a frame is of the lower sampling frequencies that MPEG-2 added (ISO/IEC 13818-3): 24 kHz and less. False as
/// well if no header is at its front.
pub fn is_low_rate(frame: &[u8]) -> bool {
    const VERSION_1: u8 = 3;
    match frame {
        [0xFF, second, ..] if second >> 5 == 0x07 => second >> 3 & 3 != VERSION_1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_second_byte() {
        for (frame, expected) in [
            (&b"\xFF\xFB\x90\x64"[..], false),
            (b"\xFF\xF3\x80\xC4", true),
            (b"\xFF\xE3\x18\xC4", true),
            (b"\xFF\x13", false),
            (b"\xFF", false),
            (b"", false),
        ] {
            assert_eq!(is_low_rate(frame), expected, "{frame:?}");
        }
    }
}
