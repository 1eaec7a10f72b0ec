//! The rate of audio that is transcoded.

/// The rate of stereo, in kbit/s; mono gets two thirds of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusRate(pub u16);

impl Default for OpusRate {
    /// 96: music is transparent to most listeners, and it is little beside the video's rate.
    fn default() -> Self {
        Self(96)
    }
}

impl OpusRate {
    /// Returns the rate of one or two channels, in bit/s.
    pub(super) fn bits_per_s(self, channel_count: usize) -> u32 {
        let stereo = u32::from(self.0) * 1000;
        if channel_count == 1 { stereo * 2 / 3 } else { stereo }
    }
}
