//! Opus: the head of a stream (RFC 7845, section 5.1) and how long a packet plays (RFC 6716, section 3.1).

/// The rate of Opus' clock, whatever was fed to the encoder.
pub const OPUS_RATE_HZ: u32 = 48_000;

const MAGIC: &[u8] = b"OpusHead";

/// The identification header without its magic, with its fixed fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpusHead<'a> {
    /// Output channels, never 0.
    pub channels: u8,
    /// Samples at the front that are not to be played.
    pub pre_skip: u16,
    /// The encoder's input rate, in Hz.
    pub input_rate_hz: u32,
    /// Gain in steps of 1/256 dB.
    pub output_gain: i16,
    /// The mapping family, and the mapping table of all families but 0.
    pub mapping: &'a [u8],
}

impl<'a> OpusHead<'a> {
    /// Reads a header; `None` if it is another one, or cut short.
    pub fn parse(head: &'a [u8]) -> Option<Self> {
        let [_version, channels, s0, s1, r0, r1, r2, r3, g0, g1, ref mapping @ ..] =
            *head.strip_prefix(MAGIC)?
        else {
            return None;
        };
        let family = *mapping.first()?;
        let table_bytes = if family == 0 { 0 } else { 2 + usize::from(channels) };
        (channels > 0).then_some(Self {
            channels,
            pre_skip: u16::from_le_bytes([s0, s1]),
            input_rate_hz: u32::from_le_bytes([r0, r1, r2, r3]),
            output_gain: i16::from_le_bytes([g0, g1]),
            mapping: mapping.get(..1 + table_bytes)?,
        })
    }
}

/// Samples at 48 kHz that a packet plays; `None` if it is malformed. None plays longer than 120 ms.
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    const SAMPLES_MAX: u32 = OPUS_RATE_HZ / 1_000 * 120;
    let toc = *packet.first()?;
    let frame_samples = match toc >> 3 {
        mode @ 0..=11 => [480, 960, 1_920, 2_880].get(usize::from(mode & 3)).copied()?,
        mode @ 12..=15 => 480 << (mode & 1),
        mode => 120 << (mode & 3),
    };
    let frame_count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3F),
    };
    Some(frame_samples * frame_count).filter(|samples| (1..=SAMPLES_MAX).contains(samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_all_modes_have_their_length() {
        for (packet, expected) in [
            (&[0x78][..], Some(960)),
            (&[0x00], Some(480)),
            (&[0x18], Some(2_880)),
            (&[0x68], Some(960)),
            (&[0x80], Some(120)),
            (&[0xFC], Some(960)),
            (&[0xFD], Some(1_920)),
            (&[0xFF, 3], Some(2_880)),
            (&[0xFF, 0], None),
            (&[0xFF, 63], None),
            (&[0xFF], None),
            (&[], None),
        ] {
            assert_eq!(packet_samples(packet), expected, "{packet:?}");
        }
    }

    #[test]
    fn heads_are_read_with_their_mapping() {
        let head = b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0";
        let expected =
            OpusHead { channels: 2, pre_skip: 312, input_rate_hz: 48_000, output_gain: 0, mapping: &[0] };
        assert_eq!(OpusHead::parse(head), Some(expected));
        assert_eq!(OpusHead::parse(b"OpusHead\x01\0\x38\x01\x80\xBB\0\0\0\0\0"), None);
        assert_eq!(OpusHead::parse(b"OpusHead\x01\x03\x38\x01\x80\xBB\0\0\0\0\x01\x02\x01\0\x01"), None);
        assert_eq!(OpusHead::parse(b"OpusHead"), None);
    }
}
