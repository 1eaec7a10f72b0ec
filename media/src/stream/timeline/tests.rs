use proptest::prelude::*;

use super::*;

fn times(timeline: &mut Timeline, timestamps_ms: &[u32]) -> Vec<i64> {
    timestamps_ms.iter().map(|at| timeline.place(Track::Video, *at)).collect()
}

#[test]
fn a_stream_begins_near_0_whatever_the_clock_says() {
    for (first_ms, begin_ms) in [(0, 0), (10_000, 10_000), (10_001, 500), (1 << 31, 500), (u32::MAX - 9, 500)]
    {
        let second_ms = first_ms.wrapping_add(33);
        let found = times(&mut Timeline::default(), &[first_ms, second_ms]);
        assert_eq!(found, [begin_ms, begin_ms + 33], "{first_ms}");
    }
}

#[test]
fn a_track_that_begins_before_the_first_frame_is_in_step_with_it() {
    let mut timeline = Timeline::default();
    assert_eq!(timeline.place(Track::Audio, 3_000_000_000), 500);
    assert_eq!(timeline.place(Track::Video, 2_999_999_600), 100);
}

#[test]
fn no_time_is_below_0() {
    let mut timeline = Timeline::default();
    assert_eq!(timeline.place(Track::Audio, 3_000_000_000), 500);
    assert_eq!(times(&mut timeline, &[2_999_999_000, 2_999_999_040, 2_999_999_540]), [0, 1, 40]);
}

#[test]
fn times_go_on_where_32_bits_wrap() {
    let last = u32::MAX - 9;
    assert_eq!(times(&mut Timeline::default(), &[last, 0, 30]), [500, 510, 540]);
}

#[test]
fn another_publisher_goes_on_behind_the_last_frame() {
    let mut timeline = Timeline::default();
    times(&mut timeline, &[400, 433]);
    timeline.end_clock();
    let begin_ms = 433 + SPLICE_STEP_MS;
    assert_eq!(timeline.place(Track::Video, 80), begin_ms);
    assert_eq!(timeline.place(Track::Audio, 0), begin_ms, "not before the first publisher's last");
    assert_eq!(timeline.place(Track::Audio, 100), begin_ms + 20, "in step with the video");
    assert_eq!(times(&mut timeline, &[113]), [begin_ms + 33]);
}

#[test]
fn a_clock_that_jumps_is_spliced_in_both_directions() {
    let mut timeline = Timeline::default();
    assert_eq!(times(&mut timeline, &[60_000, 0, 33]), [500, 533, 566]);
    assert_eq!(times(&mut timeline, &[4_000_000, 4_000_033]), [599, 632]);
}

#[test]
fn tracks_that_jump_together_stay_in_step() {
    let mut timeline = Timeline::default();
    assert_eq!(timeline.place(Track::Video, 60_000), 500);
    assert_eq!(timeline.place(Track::Audio, 60_010), 510);
    assert_eq!(timeline.place(Track::Video, 0), 543);
    assert_eq!(timeline.place(Track::Audio, 10), 553);
    assert_eq!(timeline.place(Track::Video, 33), 576);
}

#[test]
fn tracks_that_are_seconds_apart_keep_their_distance_and_their_pace() {
    let mut timeline = Timeline::default();
    for at in (0..100).map(|at| 5_000 + at * 33) {
        assert_eq!(timeline.place(Track::Video, at), i64::from(at));
        assert_eq!(timeline.place(Track::Audio, at - 1_500), i64::from(at) - 1_500);
    }
}

#[test]
fn tracks_with_clocks_of_their_own_run_side_by_side() {
    let mut timeline = Timeline::default();
    for at in (0..100).map(|at| at * 33) {
        let video_ms = timeline.place(Track::Video, 3_600_000 + at);
        let audio_ms = timeline.place(Track::Audio, at);
        assert_eq!(video_ms, BEGIN_MS + i64::from(at));
        assert_eq!(audio_ms, video_ms + SPLICE_STEP_MS);
    }
}

#[test]
fn tracks_interleaved_out_of_order_keep_their_times() {
    let mut timeline = Timeline::default();
    assert_eq!(timeline.place(Track::Video, 500), 500);
    assert_eq!(timeline.place(Track::Audio, 420), 420);
    assert_eq!(timeline.place(Track::Audio, 443), 443);
    assert_eq!(timeline.place(Track::Video, 533), 533);
}

#[test]
fn a_track_comes_back_from_a_pause_where_the_other_one_is() {
    for lag_ms in [0, 1_500] {
        for pause_ms in [8_000, 12_000, 120_000] {
            let mut timeline = Timeline::default();
            timeline.place(Track::Video, 1_500);
            for at in (1_500..=1_500 + pause_ms + lag_ms).step_by(20) {
                timeline.place(Track::Audio, at);
            }
            let back_ms = 1_500 + pause_ms;
            let what = format!("{lag_ms} ms behind after {pause_ms} ms");
            assert_eq!(timeline.place(Track::Video, back_ms), i64::from(back_ms), "{what}");
            assert_eq!(timeline.place(Track::Audio, back_ms + lag_ms + 20), i64::from(back_ms + lag_ms + 20));
        }
    }
}

#[test]
fn a_frame_every_15_s_is_in_step_with_the_audio_between() {
    let mut timeline = Timeline::default();
    for at in (0..60_000).step_by(20) {
        assert_eq!(timeline.place(Track::Audio, at), i64::from(at));
        if at % 15_000 == 0 {
            assert_eq!(timeline.place(Track::Video, at), i64::from(at));
        }
    }
}

#[test]
fn frames_that_go_back_are_kept_apart() {
    let mut timeline = Timeline::default();
    assert_eq!(times(&mut timeline, &[0, 120, 40, 80, 160]), [0, 120, 121, 122, 160]);
}

#[test]
fn presentation_times_become_decoding_times_and_the_distance_to_them() {
    let mut timeline = Timeline::default();
    let stamps = (0..30).flat_map(|group| [3, 1, 2].map(|at| (group * 3 + at) * 40));
    let placed: Vec<(Placed, i64)> =
        stamps.map(|at| (timeline.place_decoded(Track::Video, at), i64::from(at))).collect();
    let settled = &placed[12..];
    assert!(settled.windows(2).all(|two| two[1].0.time_ms - two[0].0.time_ms == 40), "{settled:?}");
    let presented = |placed: &Placed| placed.time_ms + placed.presented_later_ms;
    assert!(settled.iter().all(|(placed, stamp_ms)| presented(placed) == *stamp_ms), "{settled:?}");
}

#[test]
fn the_timeline_starts_over_before_players_lose_it() {
    let mut timeline = Timeline::default();
    let mut at = 0_u32;
    while timeline.now_ms() < RESTART_MS {
        assert!(!timeline.restart_if_due());
        at = at.wrapping_add(10_000);
        timeline.place(Track::Video, at);
        timeline.place(Track::Audio, at - 20);
    }
    assert!(timeline.restart_if_due());
    assert_eq!(timeline.place(Track::Video, at + 40), BEGIN_MS + 40);
    assert_eq!(timeline.place(Track::Audio, at + 40), BEGIN_MS + 40, "still in step");
}

#[test]
fn no_time_is_past_31_bits() {
    let mut timeline = Timeline::default();
    for at in (0..300_000_u32).map(|at| at.wrapping_mul(10_000)) {
        let time_ms = timeline.place(Track::Audio, at);
        assert!((0..=i64::from(i32::MAX)).contains(&time_ms), "{time_ms}");
    }
}

proptest! {
    #[test]
    fn no_track_ever_goes_back_nor_behind_an_earlier_publisher(
        steps in proptest::collection::vec((any::<bool>(), any::<u32>(), 0..4_u8), 1..200),
    ) {
        let mut timeline = Timeline::default();
        let mut last = [i64::MIN; 2];
        let mut floor = i64::MIN;
        let mut at = 0_u32;
        for (video, value, how) in steps {
            at = match how {
                0 => value,
                1 => {
                    floor = timeline.newest_ms().unwrap_or(floor);
                    timeline.end_clock();
                    value
                }
                2 => at.wrapping_sub(value % 2_000),
                _ => at.wrapping_add(value % 2_000),
            };
            let time_ms = timeline.place(if video { Track::Video } else { Track::Audio }, at);
            prop_assert!(time_ms >= last[usize::from(video)]);
            prop_assert!(time_ms >= floor);
            last[usize::from(video)] = time_ms;
        }
    }
}
