use proptest::prelude::*;

use super::*;

const VIDEO_STEP_MS: i64 = 40;
const AUDIO_STEP_MS: i64 = 23;

/// Frames of both tracks in the order in which they are sent: audio `ahead_ms` before the video of its time.
fn sent(length_ms: i64, ahead_ms: i64) -> Vec<(Lane, i64)> {
    let video = (0..length_ms).step_by(VIDEO_STEP_MS as usize).map(|at_ms| (Lane::Video, at_ms));
    let audio = (0..length_ms).step_by(AUDIO_STEP_MS as usize).map(|at_ms| (Lane::Audio, at_ms));
    let mut frames: Vec<_> = video.chain(audio).collect();
    frames.sort_by_key(|(lane, at_ms)| at_ms - if *lane == Lane::Audio { ahead_ms } else { 0 });
    frames
}

fn expecting_both() -> Interleaver<()> {
    let mut interleaver = Interleaver::new();
    interleaver.announce(Lane::Video);
    interleaver.announce(Lane::Audio);
    interleaver
}

/// The frames that go out, with the time that each waited for others to come.
fn through(interleaver: &mut Interleaver<()>, frames: &[(Lane, i64)]) -> Vec<Released<()>> {
    let mut released = Vec::new();
    for (lane, at_ms) in frames {
        interleaver.push(*lane, *at_ms, ());
        released.extend(std::iter::from_fn(|| interleaver.pop()));
    }
    released.extend(std::iter::from_fn(|| interleaver.pop_at_once()));
    released
}

fn order(released: &[Released<()>]) -> Vec<(Lane, i64)> {
    released.iter().map(|released| (released.lane, released.time_ms)).collect()
}

#[test]
fn what_comes_in_order_keeps_its_order() {
    let frames = sent(5_000, 0);
    assert_eq!(order(&through(&mut expecting_both(), &frames)), frames);
    let mut tied = vec![(Lane::Video, 0), (Lane::Audio, 0), (Lane::Audio, 40), (Lane::Video, 40)];
    assert_eq!(order(&through(&mut expecting_both(), &tied)), tied);
    tied.swap(0, 1);
    assert_eq!(order(&through(&mut expecting_both(), &tied)), tied);
}

#[test]
fn a_track_alone_does_not_wait() {
    for lane in [Lane::Video, Lane::Audio] {
        let mut interleaver = Interleaver::new();
        interleaver.announce(lane);
        interleaver.push(lane, 7, ());
        assert_eq!(interleaver.pop().map(|released| released.time_ms), Some(7));
    }
}

#[test]
fn a_track_that_was_announced_and_does_not_come_is_waited_for_once() {
    let mut interleaver = expecting_both();
    let mut waited = 0;
    for at_ms in (0..10_000).step_by(40) {
        interleaver.push(Lane::Video, at_ms, ());
        let released: Vec<_> = std::iter::from_fn(|| interleaver.pop()).collect();
        waited += usize::from(released.is_empty());
    }
    assert_eq!(waited as i64, SKEW_MAX_MS / VIDEO_STEP_MS + 1);
}

#[test]
fn a_track_that_stops_is_waited_for_a_second() {
    let mut interleaver = expecting_both();
    through(&mut interleaver, &sent(4_000, 0));
    assert!(!interleaver.has_paused(Lane::Video));
    for at_ms in (4_000..5_100).step_by(23) {
        interleaver.push(Lane::Audio, at_ms, ());
    }
    assert!(interleaver.has_paused(Lane::Video) && !interleaver.has_paused(Lane::Audio));
    assert_eq!(interleaver.pop().map(|released| released.time_ms), Some(4_000));
    interleaver.push(Lane::Video, 5_100, ());
    assert!(!interleaver.has_paused(Lane::Video));
}

#[test]
fn a_track_that_is_sent_behind_the_other_has_not_paused() {
    let mut interleaver = expecting_both();
    for (lane, at_ms) in sent(20_000, 1_500) {
        interleaver.push(lane, at_ms, ());
        while interleaver.pop().is_some() {}
        let is_steady = (2_000..18_000).contains(&at_ms);
        assert!(!is_steady || !interleaver.has_paused(Lane::Video), "{at_ms}");
    }
}

#[test]
fn one_frame_a_second_is_no_pause_and_one_every_five_seconds_is() {
    for (step_ms, expected) in [(1_000, false), (5_000, true)] {
        let mut interleaver = expecting_both();
        let mut paused = false;
        for at_ms in 0..30_000_i64 {
            if at_ms % step_ms == 0 {
                interleaver.push(Lane::Video, at_ms, ());
            }
            if at_ms % 23 == 0 {
                interleaver.push(Lane::Audio, at_ms, ());
            }
            while interleaver.pop().is_some() {}
            paused |= interleaver.has_paused(Lane::Video);
        }
        assert_eq!(paused, expected, "{step_ms}");
    }
}

#[test]
fn what_waits_is_bounded() {
    let mut interleaver = expecting_both();
    let mut held = 0;
    for _ in 0..40 {
        interleaver.note_tag(1024 * 1024);
        interleaver.push(Lane::Video, 0, ());
        held += 1;
        while interleaver.pop().is_some() {
            held -= 1;
        }
        assert!(held <= 16);
    }
}

#[test]
fn beyond_the_bound_frames_go_out_late() {
    let released = through(&mut expecting_both(), &sent(30_000, -5_000));
    let latest = released.iter().map(|released| released.late_ms).max();
    assert_eq!(latest, Some(5_000));
}

proptest! {
    #[test]
    fn any_skew_up_to_the_bound_is_put_in_order(ahead_ms in 100 - SKEW_MAX_MS..SKEW_MAX_MS - 100) {
        let frames = sent(20_000, ahead_ms);
        let released = through(&mut expecting_both(), &frames);
        prop_assert_eq!(released.len(), frames.len());
        prop_assert!(released.iter().all(|released| released.late_ms == 0));
    }

    #[test]
    fn nothing_is_lost_and_tracks_keep_their_order(
        frames in proptest::collection::vec((any::<bool>(), any::<i64>()), 0..100),
    ) {
        let frames: Vec<_> =
            frames.into_iter().map(|(video, at_ms)| (if video { Lane::Video } else { Lane::Audio }, at_ms)).collect();
        let released = order(&through(&mut expecting_both(), &frames));
        for lane in [Lane::Video, Lane::Audio] {
            let of_lane = |frames: &[(Lane, i64)]| frames.iter().filter(|(of, _)| *of == lane).copied().collect::<Vec<_>>();
            prop_assert_eq!(of_lane(&released), of_lane(&frames));
        }
    }
}
