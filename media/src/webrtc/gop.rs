//! The newest GOP in RTP payloads, from which viewers start.

use std::sync::Arc;

use crate::webrtc::packetizer::VideoUnit;

/// The most that is kept of a GOP, in bytes of payload. A viewer who joins within a larger one waits for a keyframe.
const SIZE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The most frames that are kept of a GOP: 60 s at 60 frames a second.
const FRAMES_MAX: usize = 3600;

/// The newest GOP's video. Units are shared with the viewers.
#[derive(Debug, Default)]
pub struct RtpGop {
    units: Vec<Arc<VideoUnit>>,
    size_bytes: usize,
}

impl RtpGop {
    /// Takes the next unit. A GOP over a limit is given up until the next keyframe.
    pub fn push(&mut self, unit: &Arc<VideoUnit>) {
        if unit.is_start {
            self.clear();
        } else if self.units.is_empty() {
            return;
        }
        self.size_bytes += unit.size_bytes();
        self.units.push(unit.clone());
        if self.size_bytes > SIZE_MAX_BYTES || self.units.len() > FRAMES_MAX {
            self.clear();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.units.clear();
        self.size_bytes = 0;
    }

    /// Returns the frames since the newest keyframe; none while nothing is kept.
    pub fn units(&self) -> &[Arc<VideoUnit>] {
        &self.units
    }

    /// Returns the mean rate, in bytes per second, if there is enough to say.
    pub fn bytes_per_second(&self) -> Option<u64> {
        let (first, last) = (self.units.first()?, self.units.last()?);
        let duration_ms = u64::try_from(last.shown_ms - first.shown_ms).ok().filter(|ms| *ms > 0)?;
        Some(self.size_bytes as u64 * 1000 / duration_ms)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A unit of one payload.
    pub fn unit(shown_ms: i64, is_start: bool, size_bytes: usize) -> Arc<VideoUnit> {
        Arc::new(VideoUnit {
            shown_ms,
            is_start,
            payloads: vec![vec![0; size_bytes].into()],
            padding_bytes: 0,
        })
    }

    #[test]
    fn a_keyframe_replaces_the_gop_before_it() {
        let mut gop = RtpGop::default();
        gop.push(&unit(0, false, 10));
        assert!(gop.units().is_empty());
        for (shown_ms, is_start) in [(33, true), (66, false), (1033, false)] {
            gop.push(&unit(shown_ms, is_start, 1000));
        }
        assert_eq!((gop.units().len(), gop.bytes_per_second()), (3, Some(3000)));
        gop.push(&unit(1066, true, 10));
        assert_eq!((gop.units().len(), gop.bytes_per_second()), (1, None));
    }

    #[test]
    fn a_gop_over_the_limit_is_given_up_until_the_next_keyframe() {
        let mut gop = RtpGop::default();
        gop.push(&unit(0, true, SIZE_MAX_BYTES));
        gop.push(&unit(33, false, 1));
        gop.push(&unit(66, false, 1));
        assert!(gop.units().is_empty());
        gop.push(&unit(99, true, 1));
        assert_eq!(gop.units().len(), 1);
    }
}
