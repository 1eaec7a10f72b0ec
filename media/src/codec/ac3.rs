//! AC-3 and E-AC-3 (ETSI TS 102 366): their sequence headers are empty, so that frames describe the stream.

use super::bits::BitReader;

/// Samples per channel in a frame of AC-3, and in one block of E-AC-3.
const AC3_SAMPLES: u32 = 1_536;
const BLOCK_SAMPLES: u32 = 256;

const RATES_HZ: [u32; 3] = [48_000, 44_100, 32_000];
const SYNC_WORD: u32 = 0x0B77;

/// The properties that all frames of a stream share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ac3Info {
    /// The index of the sampling frequency.
    pub rate_code: u8,
    /// The sampling frequency, in Hz.
    pub rate_hz: u32,
    /// The bit stream's version.
    pub bsid: u8,
    /// The bit stream's mode: the main service is 0.
    pub bsmod: u8,
    /// The layout of channels (table 4.3).
    pub acmod: u8,
    /// There is a channel for low frequencies.
    pub has_lfe: bool,
    /// AC-3: the index of the bit rate. E-AC-3: the bit rate in kbit/s.
    pub bit_rate: u16,
    /// Samples per channel that the packet plays.
    pub samples: u32,
}

impl Ac3Info {
    /// The number of channels.
    pub fn channels(&self) -> u8 {
        const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
        CHANNELS.get(usize::from(self.acmod)).copied().unwrap_or(2) + u8::from(self.has_lfe)
    }

    /// Reads the front of an AC-3 frame (section 4.3).
    pub fn ac3(frame: &[u8]) -> Option<Self> {
        let mut bits = synchronised(frame)?;
        bits.skip(16)?;
        let rate_code = bits.bits(2)? as u8;
        let bit_rate = bits.bits(6)? as u16 >> 1;
        let (bsid, bsmod, acmod) = (bits.bits(5)? as u8, bits.bits(3)? as u8, bits.bits(3)? as u8);
        if bsid > 8 {
            return None;
        }
        if acmod & 1 == 1 && acmod != 1 {
            bits.skip(2)?;
        }
        if acmod & 4 != 0 {
            bits.skip(2)?;
        }
        if acmod == 2 {
            bits.skip(2)?;
        }
        let has_lfe = bits.flag()?;
        let rate_hz = RATES_HZ.get(usize::from(rate_code)).copied()?;
        Some(Self { rate_code, rate_hz, bsid, bsmod, acmod, has_lfe, bit_rate, samples: AC3_SAMPLES })
    }

    /// Reads a packet of E-AC-3 (annex E): its first frame describes the stream, and all of the first substream count.
    pub fn eac3(packet: &[u8]) -> Option<Self> {
        let (mut info, mut rest, mut samples) = (None, packet, 0);
        while let Some(frame) = Eac3Frame::parse(rest) {
            if frame.is_first_substream {
                samples += frame.info.samples;
                info.get_or_insert(frame.info);
            }
            rest = rest.get(frame.size_bytes..).unwrap_or_default();
        }
        info.map(|info: Self| {
            let bit_rate = packet.len() as u64 * 8 * u64::from(info.rate_hz) / u64::from(samples) / 1_000;
            Self { samples, bit_rate: bit_rate.min(0x1FFF) as u16, ..info }
        })
    }
}

struct Eac3Frame {
    info: Ac3Info,
    size_bytes: usize,
    is_first_substream: bool,
}

impl Eac3Frame {
    fn parse(frame: &[u8]) -> Option<Self> {
        let mut bits = synchronised(frame)?;
        let (kind, substream) = (bits.bits(2)?, bits.bits(3)?);
        let size_bytes = (bits.bits(11)? as usize + 1) * 2;
        let rate_code = bits.bits(2)? as u8;
        let (rate_hz, block_count) = if rate_code == 3 {
            (RATES_HZ.get(bits.bits(2)? as usize).copied()? / 2, 6)
        } else {
            let block_count = [1, 2, 3, 6].get(bits.bits(2)? as usize).copied()?;
            (RATES_HZ.get(usize::from(rate_code)).copied()?, block_count)
        };
        let (acmod, has_lfe, bsid) = (bits.bits(3)? as u8, bits.flag()?, bits.bits(5)? as u8);
        if !(11..=16).contains(&bsid) {
            return None;
        }
        let samples = block_count * BLOCK_SAMPLES;
        let info = Ac3Info { rate_code, rate_hz, bsid, bsmod: 0, acmod, has_lfe, bit_rate: 0, samples };
        Some(Self { info, size_bytes, is_first_substream: kind == 0 && substream == 0 })
    }
}

/// The fields behind the sync word.
fn synchronised(frame: &[u8]) -> Option<BitReader<'_>> {
    let mut bits = BitReader::new(frame);
    (bits.bits(16)? == SYNC_WORD).then_some(bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stereo_frame_of_ac3_is_read() {
        // FFmpeg, 48 kHz stereo, 192 kbit/s.
        let info = Ac3Info::ac3(&[0x0B, 0x77, 0x5B, 0xB6, 0x14, 0x40, 0x43, 0xE1]).unwrap();
        assert_eq!((info.rate_hz, info.channels(), info.bit_rate, info.bsid), (48_000, 2, 10, 8));
    }

    #[test]
    fn frames_of_one_eac3_packet_are_added_up() {
        // Independent, substream 0, 8 bytes, 48 kHz, one block, stereo, no LFE, bsid 16.
        let frame = [0x0B, 0x77, 0x00, 0x03, 0b0000_0100, 0b1000_0000, 0, 0];
        let info = Ac3Info::eac3(&frame.repeat(6)).unwrap();
        assert_eq!((info.rate_hz, info.channels(), info.samples), (48_000, 2, 1_536));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..32)) {
            let framed = [&[0x0B, 0x77][..], &bytes].concat();
            let _ = (Ac3Info::ac3(&framed), Ac3Info::eac3(&framed));
        }
    }
}
