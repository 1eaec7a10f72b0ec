//! A playlist by what the RFC says and by what players rely on.

use proptest::prelude::*;

use super::{date_time::put_date_time, target_duration::to_seconds, *};
use crate::hls::{container::Container, ts::container::TsContainer};

fn config(first_sequence: u64) -> PlaylistConfig {
    PlaylistConfig {
        format: TsContainer::FORMAT,
        window: 6,
        target_ms: 2_000,
        first_sequence,
        first_discontinuity_sequence: 0,
        parts: None,
    }
}

fn playlist(first_sequence: u64) -> Playlist {
    Playlist::new(config(first_sequence))
}

fn info(sequence: u64, duration_ms: u64) -> SegmentInfo {
    SegmentInfo {
        sequence,
        duration_ms,
        discontinuity: false,
        independent: true,
        program_date_time_ms: 1_795_384_800_000 + sequence % 1_000 * 2_000,
        size_bytes: 188,
        init: None,
    }
}

fn filled(durations_ms: &[u64]) -> Playlist {
    let mut playlist = playlist(0);
    for (sequence, duration_ms) in durations_ms.iter().enumerate() {
        playlist.push(info(sequence as u64, *duration_ms), 0).unwrap();
    }
    playlist
}

#[test]
fn a_live_playlist_reads_as_the_rfc_says() {
    let mut playlist = playlist(41);
    assert_eq!(playlist.render("", Detail::Segments), None);
    playlist.push(info(41, 2_000), 0).unwrap();
    playlist.push(SegmentInfo { discontinuity: true, ..info(42, 1_983) }, 0).unwrap();
    let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:41\n\
        #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-INDEPENDENT-SEGMENTS\n\
        #EXT-X-PROGRAM-DATE-TIME:2026-11-22T22:01:22.000Z\n#EXTINF:2.000,\nroom/seg-41.ts\n\
        #EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T22:01:24.000Z\n#EXTINF:1.983,\nroom/seg-42.ts\n";
    assert_eq!(playlist.render("room/", Detail::Segments).unwrap(), expected);
    playlist.end();
    assert_eq!(playlist.render("room/", Detail::Segments).unwrap(), format!("{expected}#EXT-X-ENDLIST\n"));
    assert_eq!(playlist.push(info(43, 1), 0), Err(PlaylistError::Ended));
}

#[test]
fn the_target_is_decided_by_the_first_segment_and_raised_only_if_it_must() {
    assert_eq!(filled(&[2_000]).target_s(), 2);
    assert_eq!(filled(&[2_002, 1_960, 2_499]).target_s(), 2);
    assert_eq!(filled(&[2_300]).target_s(), 3);
    assert_eq!(filled(&[4_000, 4_000]).target_s(), 4);
    assert_eq!(filled(&[400]).target_s(), 2);
    assert_eq!(filled(&[1_000, 2_000]).target_s(), 2);
    assert_eq!(filled(&[1_500, 3_000]).target_s(), 3);
    assert_eq!(filled(&[0]).target_s(), 2);
    assert_eq!(filled(&[2_000, 2_500]).target_s(), 3);
    assert_eq!(filled(&[2_000, 10_000, 2_000]).target_s(), 10);
}

#[test]
fn a_target_that_was_raised_is_lowered_after_a_minute_in_which_nothing_needed_it() {
    let mut playlist = filled(&[2_000, 10_000]);
    let targets: Vec<_> = (2..34)
        .map(|at| {
            playlist.push(info(at, if at == 20 { 3_000 } else { 2_000 }), 0).unwrap();
            playlist.target_s()
        })
        .collect();
    assert_eq!((targets[28], targets[29], targets[31]), (10, 3, 3));
    let listed: Vec<_> = (34..70)
        .map(|at| {
            playlist.push(info(at, 2_000), 0).unwrap();
            playlist.segments().count()
        })
        .collect();
    assert!(listed.windows(2).all(|pair| pair[1] + 1 >= pair[0]), "viewers further behind have a moment");
    assert_eq!((playlist.target_s(), playlist.segments().count()), (2, 6));
}

#[test]
fn a_target_that_is_needed_again_and_again_stays() {
    let durations_ms: Vec<_> = (0..100).map(|at| if at % 12 == 5 { 8_000 } else { 2_000 }).collect();
    assert_eq!(filled(&durations_ms).target_s(), 8);
}

#[test]
fn a_playlist_with_a_segment_that_depends_on_another_does_not_deny_it() {
    let mut playlist = playlist(0);
    playlist.push(SegmentInfo { independent: false, ..info(0, 2_000) }, 0).unwrap();
    assert!(!playlist.render("", Detail::Segments).unwrap().contains("INDEPENDENT"));
}

#[test]
fn a_discontinuity_that_leaves_is_counted() {
    let mut playlist = playlist(0);
    for sequence in 0..8 {
        playlist.push(SegmentInfo { discontinuity: sequence == 1, ..info(sequence, 2_000) }, 0).unwrap();
    }
    let text = playlist.render("", Detail::Segments).unwrap();
    assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:2\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
    assert!(!text.contains("#EXT-X-DISCONTINUITY\n"));
}

#[test]
fn a_segment_stays_for_its_playlist_s_duration_after_it_left() {
    let mut playlist = filled(&[2_000; 6]);
    let left = playlist.push(info(6, 2_000), 10_000).unwrap();
    assert_eq!(left, [info(0, 2_000)]);
    assert!(playlist.expired(10_000 + 13_999).is_empty());
    assert_eq!(playlist.expired(10_000 + 14_000), [0]);
    assert!(playlist.expired(u64::MAX).is_empty());
}

#[test]
fn three_target_durations_stay_listed() {
    let mut playlist = filled(&[10_000, 2_000, 2_000, 2_000, 2_000, 2_000]);
    let left: Vec<_> = (6..20).map(|at| playlist.push(info(at, 2_000), 0).unwrap().len()).collect();
    assert_eq!(left, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
}

#[test]
fn sequence_numbers_have_no_gaps() {
    let mut playlist = playlist(7);
    let error = |expected, got| Err(PlaylistError::Sequence { expected, got });
    assert_eq!(playlist.push(info(0, 1), 0), error(7, 0));
    playlist.push(info(7, 2_000), 0).unwrap();
    assert_eq!(playlist.push(info(7, 2_000), 0), error(8, 7));
    assert_eq!(playlist.push(info(9, 2_000), 0), error(8, 9));
}

/// Three segments of four parts each, numbers 7 to 9, and parts of the next one.
fn with_parts(parts: Option<PartConfig>, open_count: usize) -> Playlist {
    let mut playlist = Playlist::new(PlaylistConfig { parts, ..config(7) });
    let part = SegmentPart { duration_ms: 500, size_bytes: 1, independent: false };
    let open = OpenInfo { discontinuity: false, independent: true, program_date_time_ms: 0, init: None };
    for sequence in 7..10 {
        (0..4).for_each(|_| playlist.push_part(open, part));
        playlist.push(info(sequence, 2_000), 0).unwrap();
    }
    (0..open_count).for_each(|_| playlist.push_part(open, part));
    playlist
}

#[test]
fn requests_are_held_for_what_is_about_to_come_and_for_nothing_else() {
    let (ready, hold, too_far) = (Ok(Reload::Ready), Ok(Reload::Hold), Err(DirectiveError::TooFar));
    // The request, and the answer while the open segment has two parts, and while it has none.
    let table = [
        ((0, None), ready, ready),
        ((6, Some(3)), ready, ready),
        ((9, None), ready, ready),
        ((9, Some(3)), ready, ready),
        // Behind the last part of a segment is the first one of the next.
        ((9, Some(4)), ready, hold),
        ((10, None), hold, hold),
        ((10, Some(0)), ready, hold),
        ((10, Some(1)), ready, hold),
        ((10, Some(2)), hold, hold),
        ((10, Some(5)), hold, hold),
        // Three seconds of parts ahead.
        ((10, Some(7)), hold, too_far),
        ((10, Some(8)), too_far, too_far),
        ((11, None), hold, hold),
        ((11, Some(0)), hold, hold),
        ((11, Some(6)), too_far, too_far),
        ((12, None), too_far, too_far),
        ((12, Some(0)), too_far, too_far),
        ((u64::MAX, Some(u32::MAX)), too_far, too_far),
    ];
    let parts = Some(PartConfig::new(500, None));
    for ((sequence, part), with_two, with_none) in table {
        let request = BlockingRequest { sequence, part };
        assert_eq!(with_parts(parts, 2).reload(request), with_two, "{request}");
        assert_eq!(with_parts(parts, 0).reload(request), with_none, "{request}, without open parts");
        assert_eq!(with_parts(None, 2).reload(request), ready, "{request}, without parts at all");
        let mut ended = with_parts(parts, 2);
        ended.end();
        assert_eq!(ended.reload(request), ready, "{request}, at the end");
    }
}

#[test]
fn the_announced_part_and_the_one_behind_it_are_awaited() {
    let awaits = |playlist: &Playlist| {
        let all = (8..13).flat_map(|sequence| (0..6).map(move |index| (sequence, index)));
        all.filter(|(sequence, index)| playlist.awaits_part(*sequence, *index)).collect::<Vec<_>>()
    };
    let mut playlist = with_parts(Some(PartConfig::new(500, None)), 2);
    assert_eq!(awaits(&playlist), [(10, 2), (10, 3), (11, 0)]);
    playlist.end();
    assert_eq!(awaits(&playlist), []);
    assert_eq!(awaits(&with_parts(None, 2)), []);
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (unix_ms, expected) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_123, "2000-02-29T00:00:00.123Z"),
        (951_868_799_999, "2000-02-29T23:59:59.999Z"),
        (1_709_251_199_000, "2024-02-29T23:59:59.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    ] {
        let mut text = String::new();
        put_date_time(&mut text, unix_ms);
        assert_eq!(text, expected);
    }
}

proptest! {
    #[test]
    fn what_a_player_relies_on_holds(
        segments in proptest::collection::vec((prop_oneof![0..12_000_u64, Just(2_000), any::<u64>()], any::<bool>()), 1..60),
        first_sequence in 0..u64::MAX / 2,
        window in 0..10_usize,
    ) {
        let mut playlist = Playlist::new(PlaylistConfig { window, first_discontinuity_sequence: 7, ..config(first_sequence) });
        let (mut last_media_sequence, mut left_count) = (0, 0);
        let mut discontinuities = Vec::new();
        for (at, (duration_ms, discontinuity)) in segments.iter().enumerate() {
            let sequence = first_sequence + at as u64;
            discontinuities.push(*discontinuity);
            let left = playlist.push(SegmentInfo { discontinuity: *discontinuity, ..info(sequence, *duration_ms) }, 0).unwrap();
            left_count += left.len();
            let listed: Vec<_> = playlist.segments().copied().collect();
            let media_sequence = listed[0].sequence;
            prop_assert_eq!(media_sequence, first_sequence + left_count as u64);
            prop_assert!(media_sequence >= last_media_sequence);
            prop_assert!(listed.iter().all(|info| to_seconds(info.duration_ms) <= playlist.target_s()));
            prop_assert!(listed.len() <= window.max(3) * WINDOWS_MAX);
            let counted = discontinuities[..left_count].iter().filter(|discontinuity| **discontinuity).count();
            prop_assert_eq!(playlist.discontinuity_sequence, 7 + counted as u64);
            let of_newest = discontinuities.iter().filter(|discontinuity| **discontinuity).count();
            prop_assert_eq!(playlist.last_discontinuity_sequence(), 7 + of_newest as u64);
            prop_assert!(playlist.render("", Detail::Segments).is_some());
            last_media_sequence = media_sequence;
        }
        prop_assert_eq!(playlist.expired(u64::MAX).len(), left_count);
    }

    #[test]
    fn even_segments_fill_the_window_exactly(duration_ms in 1_950..10_000_u64, count in 7..40_u64) {
        let playlist = filled(&vec![duration_ms; count as usize]);
        prop_assert_eq!(playlist.segments().count(), 6);
    }
}
