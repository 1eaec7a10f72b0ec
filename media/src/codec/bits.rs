//! Bits, front to back, as parameter sets have them.

/// Reads bits; every read is `None` once they are used up.
#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// Up to 32 bits, the first of which is the highest.
    pub fn bits(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    pub fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|at| *at <= self.bytes.len() * 8)?;
        Some(())
    }

    /// A number coded as ue(v) (ISO/IEC 14496-10, section 9.1).
    pub fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// A number coded as se(v) (section 9.1.1).
    pub fn signed_exp_golomb(&mut self) -> Option<i64> {
        let code = i64::from(self.exp_golomb()?);
        Some(if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_order() {
        // 1 | 010 | 011 | 00100 | 101 | padding
        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_1010]);
        let codes: Vec<_> = (0..4).map(|_| bits.exp_golomb().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3]);
        assert_eq!(bits.bits(3), Some(0b101));
        assert_eq!(bits.bits(2), None);
    }

    #[test]
    fn signed_numbers_alternate() {
        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| bits.signed_exp_golomb().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn the_end_is_none_and_so_is_a_number_over_32_bits() {
        assert_eq!(BitReader::new(&[]).flag(), None);
        assert_eq!(BitReader::new(&[0]).skip(9), None);
        assert_eq!(BitReader::new(&[0, 0, 0, 0, 0x80, 0, 0, 0, 0]).exp_golomb(), None);
        assert_eq!(BitReader::new(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]).exp_golomb(), Some(u32::MAX - 1));
    }
}
