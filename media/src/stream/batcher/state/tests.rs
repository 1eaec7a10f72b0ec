//! A batcher that was restored makes the same batches as one that was not.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    samples,
    stream::{batch::Batch, frame::Frame, tracks::Tracks, wire_format::WireFormat},
    upgrade::testing::read_again,
};

/// Something that happens to a stream.
#[derive(Debug, Clone)]
enum Step {
    Frame { of: fn(u32) -> Frame, step_ms: i32 },
    Flush,
    Open,
    Outgrow,
    EndPublisher,
    JoinOrigin,
}

fn header(frame: Frame) -> Frame {
    Frame { timestamp_ms: 0, ..frame }
}

/// A frame that is presented 80 ms after it is decoded.
fn reordered(timestamp_ms: u32) -> Frame {
    Frame {
        payload: Bytes::from_static(b"\x27\x01\0\0\x50\0\0\0\x06\x41inter"),
        ..samples::inter(timestamp_ms)
    }
}

/// Parameter sets in a tag of their own, which go in front of the next frame.
fn parameter_sets(timestamp_ms: u32) -> Frame {
    let payload = b"\x27\x01\0\0\0\0\0\0\x04\x67\x4d\x40\x1e\0\0\0\x04\x68\xef\x38\x80";
    Frame { payload: Bytes::from_static(payload), ..samples::inter(timestamp_ms) }
}

fn colour(_: u32) -> Frame {
    Frame { payload: Bytes::from_static(b"\x94hvc1\x02"), ..samples::video_header() }
}

fn another_header(_: u32) -> Frame {
    let mut payload = samples::video_header().payload.to_vec();
    payload[7] ^= 1;
    Frame { payload: payload.into(), ..samples::video_header() }
}

fn any_step() -> impl Strategy<Value = Step> {
    let common: [fn(u32) -> Frame; 4] = [samples::keyframe, samples::inter, samples::inter, samples::audio];
    let rare: [fn(u32) -> Frame; 8] = [
        |_| header(samples::metadata(true, true)),
        |_| header(samples::metadata(true, false)),
        |_| samples::video_header(),
        |_| samples::audio_header(),
        another_header,
        colour,
        reordered,
        parameter_sets,
    ];
    let step_ms = || prop_oneof![8 => 0_i32..60, 1 => -120_i32..0, 1 => -9_000_i32..9_000];
    let frame = |of: Vec<fn(u32) -> Frame>| {
        (prop::sample::select(of), step_ms()).prop_map(|(of, step_ms)| Step::Frame { of, step_ms })
    };
    let other = prop::sample::select(vec![
        Step::Flush,
        Step::Flush,
        Step::Flush,
        Step::Open,
        Step::Outgrow,
        Step::EndPublisher,
        Step::JoinOrigin,
    ]);
    prop_oneof![12 => frame(common.to_vec()), 2 => frame(rare.to_vec()), 4 => other]
}

/// All that viewers, the cache and the log get of a flush.
type Seen = (Vec<(Bytes, Option<Bytes>, i64, i64, u32, Tracks)>, Vec<StreamNote>);

fn flushed(batcher: &mut Batcher) -> Seen {
    let seen = |batch: &Arc<Batch>| {
        let start = batch.start.as_ref().map(|headers| headers.bytes(WireFormat::Flv));
        (batch.flv().clone(), start, batch.first_ms, batch.last_ms, batch.tag_count, batch.tracks)
    };
    (batcher.flush().iter().map(seen).collect(), batcher.take_notes())
}

fn take(batcher: &mut Batcher, step: &Step, clock_ms: u32) -> (Option<bool>, Option<Seen>) {
    match step {
        Step::Frame { of, .. } => return (batcher.push(of(clock_ms)).ok(), None),
        Step::Flush => return (None, Some(flushed(batcher))),
        Step::Open => batcher.open(),
        Step::Outgrow => batcher.gop_outgrown(),
        Step::EndPublisher => batcher.end_publisher(),
        Step::JoinOrigin => batcher.join_origin(),
    }
    (None, None)
}

fn restored(batcher: &Batcher) -> Batcher {
    let mut blobs = Blobs::default();
    let state = batcher.state(&mut blobs);
    let (state, blobs) = read_again(&state, &blobs);
    Batcher::restore(state, EntryLimits::default(), &blobs).unwrap()
}

proptest! {
    #[test]
    fn a_restored_batcher_makes_the_batches_that_the_one_before_would_have(
        first_ms: u32,
        steps in prop::collection::vec(any_step(), 1..120),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(steps.len())).collect();
        let (mut kept, mut moved) = (Batcher::default(), Batcher::default());
        let mut clock_ms = first_ms;
        for (at, step) in steps.iter().enumerate() {
            if let Step::Frame { step_ms, .. } = step {
                clock_ms = clock_ms.wrapping_add_signed(*step_ms);
            }
            if cuts.contains(&at) {
                moved = restored(&moved);
            }
            prop_assert_eq!(take(&mut moved, step, clock_ms), take(&mut kept, step, clock_ms));
            prop_assert_eq!(moved.tracks(), kept.tracks());
            prop_assert_eq!(moved.is_opening(), kept.is_opening());
            prop_assert_eq!(moved.last_keyframe_ms(), kept.last_keyframe_ms());
            prop_assert_eq!(moved.video_after_audio_ms(), kept.video_after_audio_ms());
            prop_assert_eq!(moved.has_b_frames(), kept.has_b_frames());
            prop_assert_eq!(moved.headers_for_audio_first().is_some(), kept.headers_for_audio_first().is_some());
        }
        prop_assert_eq!(flushed(&mut moved), flushed(&mut kept));
    }
}

#[test]
fn a_batcher_that_no_stream_has_is_refused() {
    let mut batcher = Batcher::default();
    for frame in [samples::video_header(), samples::keyframe(0), samples::audio(0), samples::inter(33)] {
        batcher.push(frame).unwrap();
    }
    let mut blobs = Blobs::default();
    let state = batcher.state(&mut blobs);
    let refused = |change: &dyn Fn(&mut BatcherState)| {
        let mut changed = state.clone();
        change(&mut changed);
        Batcher::restore(changed, EntryLimits::default(), &blobs).is_err()
    };
    assert!(!refused(&|_| {}));
    assert!(refused(&|state| state.parameter_sets = vec![0; 1 << 20]));
    assert!(refused(&|state| state.pending[0].time_ms = i64::MAX));
    assert!(refused(&|state| state.last_audio_start_ms = Some(i64::MAX)));
    assert!(refused(&|state| state.video_after_audio_ms = Some(i64::MIN)));
    assert!(refused(&|state| {
        state.entry = VideoEntry::Keyframes { last_ms: i64::MIN, is_outgrown: false };
    }));
}
