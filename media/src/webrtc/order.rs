//! The order in which frames are shown, which over WebRTC has to be the order in which they come.
//!
//! Browsers' receivers put frames in the order of their RTP times, and give up on a stream with B-frames: they decode one or
//! two frames a second. Frames that nothing depends on can be left out instead. Others cannot, because the rest would be
//! decoded wrongly.

/// The order of a stream's frames, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FrameOrder {
    /// Frames are shown in the order in which they come.
    #[default]
    InOrder,
    /// Some come late, and nothing depends on them: they are left out.
    LateDisposable,
    /// Frames that others depend on come late. The stream cannot be watched over WebRTC.
    LateReferences,
}

/// The properties of a frame that decide what follows from its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameTraits {
    /// No later frame needs it.
    pub is_disposable: bool,
    /// Decoding begins anew with it, and so does the order.
    pub is_refresh: bool,
    /// It brings frames that are shown later, or shows one that came before, as AV1 does instead of reordering its units.
    pub is_reordered: bool,
}

/// The fate of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is sent.
    Send,
    /// It is left out.
    LeaveOut,
}

/// Watches the order of one publisher's frames.
#[derive(Debug, Default)]
pub struct OrderWatch {
    order: FrameOrder,
    newest_ms: Option<i64>,
    /// The SPS allows this many frames to come late, and no keyframe has shown whether they do.
    announced: u32,
}

impl OrderWatch {
    /// Starts with what the sequence header says: so many frames may come late.
    pub fn announced(reorder_frames: Option<u32>) -> Self {
        Self { announced: reorder_frames.unwrap_or_default(), ..Self::default() }
    }

    /// Returns what is known of the order.
    pub fn order(&self) -> FrameOrder {
        self.order
    }

    /// Looks at the next frame. `later_ms`: how much later than it is decoded it is shown.
    pub fn next(&mut self, shown_ms: i64, later_ms: i64, traits: FrameTraits) -> Turn {
        if traits.is_reordered {
            self.order = FrameOrder::LateReferences;
        }
        if traits.is_refresh {
            self.believe_announcement(later_ms);
            self.newest_ms = Some(shown_ms);
            return Turn::Send;
        }
        if self.newest_ms.is_none_or(|newest_ms| shown_ms >= newest_ms) {
            self.newest_ms = Some(shown_ms);
            return Turn::Send;
        }
        if traits.is_disposable {
            self.order = self.order.max(FrameOrder::LateDisposable);
        } else {
            self.order = FrameOrder::LateReferences;
        }
        Turn::LeaveOut
    }

    /// Encoders that reorder frames show their keyframes later than they are decoded; some announce it and never do.
    fn believe_announcement(&mut self, later_ms: i64) {
        let announced = std::mem::take(&mut self.announced);
        if later_ms > 0 {
            self.order = self.order.max(match announced {
                0 => FrameOrder::InOrder,
                1 => FrameOrder::LateDisposable,
                _ => FrameOrder::LateReferences,
            });
        }
    }
}

impl FrameOrder {
    fn max(self, other: Self) -> Self {
        match (self, other) {
            (Self::LateReferences, _) | (_, Self::LateReferences) => Self::LateReferences,
            (Self::LateDisposable, _) | (_, Self::LateDisposable) => Self::LateDisposable,
            (Self::InOrder, Self::InOrder) => Self::InOrder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDR: FrameTraits = FrameTraits { is_disposable: false, is_refresh: true, is_reordered: false };

    /// Frames by the time they are shown at, in ms, and whether nothing depends on them.
    fn watch(frames: &[(i64, bool)]) -> (FrameOrder, Vec<i64>) {
        let mut watch = OrderWatch::default();
        let mut sent = Vec::new();
        for (at, &(shown_ms, is_disposable)) in frames.iter().enumerate() {
            let traits = FrameTraits { is_disposable, is_refresh: at == 0, is_reordered: false };
            if watch.next(shown_ms, 0, traits) == Turn::Send {
                sent.push(shown_ms);
            }
        }
        (watch.order(), sent)
    }

    #[test]
    fn frames_in_order_are_all_sent() {
        let frames = [(0, false), (33, true), (66, false), (66, false)];
        assert_eq!(watch(&frames), (FrameOrder::InOrder, vec![0, 33, 66, 66]));
    }

    #[test]
    fn late_frames_that_nothing_depends_on_are_left_out() {
        let frames = [(0, false), (99, false), (33, true), (66, true), (132, false)];
        assert_eq!(watch(&frames), (FrameOrder::LateDisposable, vec![0, 99, 132]));
    }

    #[test]
    fn a_late_reference_makes_the_stream_unplayable_for_good() {
        let frames = [(0, false), (132, false), (66, false), (33, true), (99, true), (165, false)];
        assert_eq!(watch(&frames).0, FrameOrder::LateReferences);
    }

    #[test]
    fn an_idr_begins_anew_also_at_an_earlier_time() {
        let mut watch = OrderWatch::default();
        assert_eq!(watch.next(90_000, 0, IDR), Turn::Send);
        assert_eq!(watch.next(500, 0, IDR), Turn::Send);
        assert_eq!(watch.order(), FrameOrder::InOrder);
    }

    #[test]
    fn an_announcement_counts_if_the_first_keyframe_is_shown_late() {
        for (announced, later_ms, order) in [
            (None, 66, FrameOrder::InOrder),
            (Some(0), 66, FrameOrder::InOrder),
            (Some(1), 33, FrameOrder::LateDisposable),
            (Some(2), 66, FrameOrder::LateReferences),
            (Some(2), 0, FrameOrder::InOrder),
        ] {
            let mut watch = OrderWatch::announced(announced);
            watch.next(66, later_ms, IDR);
            assert_eq!(watch.order(), order, "{announced:?}");
        }
    }
}
