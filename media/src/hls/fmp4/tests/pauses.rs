//! The video track while video pauses.

use super::*;

const TICKS_A_MS: u64 = 90;

/// Video's samples of a stream without video between two times: all of it, and from which time on it came back.
fn samples_with_pause(from_ms: i64, to_ms: i64, part_ms: Option<u32>) -> (Vec<(u64, u64)>, u64) {
    let mut messages = Source { gop_ms: 1_000.0, length_ms: 20_000.0, ..SOURCE }.messages();
    messages.retain(|(track, time_ms, _)| *track == Track::Audio || !(from_ms..to_ms).contains(time_ms));
    let (outputs, _) = cut(&messages, part_ms);
    let fragments: Vec<_> = segments(&outputs).iter().flat_map(|segment| fragments(&segment.bytes)).collect();
    let back_ms = messages.iter().filter(|(track, time_ms, _)| *track == Track::Video && *time_ms >= to_ms);
    let back_ms = back_ms.map(|(_, time_ms, _)| *time_ms).min().unwrap_or(i64::MAX / 1_000);
    (samples(&fragments, 1), (u64::try_from(back_ms).unwrap() + 500) * TICKS_A_MS)
}

#[test]
fn video_has_no_holes() {
    // Less than a pause, back with a frame that is no keyframe, back with one, and never back.
    for (from_ms, to_ms) in
        [(3_480, 4_280), (3_480, 9_520), (4_000, 11_000), (5_120, 6_900), (7_320, i64::MAX)]
    {
        for part_ms in [None, Some(PART_MS), Some(200)] {
            let (samples, back) = samples_with_pause(from_ms, to_ms, part_ms);
            for pair in samples.windows(2) {
                let [(at, duration), (next, _)] = *pair else { unreachable!() };
                let case = format!("{from_ms} to {to_ms} in {part_ms:?}: {at} + {duration}, {next}");
                assert!(next >= at, "{case}");
                assert!(at + duration + TICKS_A_MS >= next, "a hole: {case}");
                // Media that was written in advance is too long when video comes back; nothing else is.
                assert!(next == back || at + duration <= next + TICKS_A_MS, "{case}");
            }
            let last = samples.last().map_or(0, |(at, duration)| at + duration);
            assert!(last >= 20_300 * TICKS_A_MS, "video goes on to the end: {last}");
        }
    }
}
