//! Tracks and publishers that come late, or in the place of others.

use super::*;

#[test]
fn sound_that_comes_late_joins_and_is_a_discontinuity_only_later() {
    let source = Source { length_ms: 8_000, ..SOURCE };
    let from = |first_ms: i64| {
        let mut messages = source.media();
        messages.retain(|message| message.0 == Track::Video || message.1 >= first_ms);
        let at = messages.iter().position(|message| message.0 == Track::Audio).unwrap();
        messages.insert(at, (Track::Audio, first_ms, Bytes::from_static(AAC_44100)));
        messages.insert(0, (Track::Video, 0, Bytes::from_static(AVCC)));
        let segments = cut(&messages);
        checked(&segments);
        segments.iter().map(|segment| segment.discontinuity).collect::<Vec<_>>()
    };
    assert_eq!(from(500), [false; 4]);
    assert_eq!(from(4_500), [false, false, true, false]);
}

#[test]
fn video_that_comes_late_begins_at_its_keyframe() {
    let source = Source { length_ms: 10_000, ..SOURCE };
    let mut messages = source.all();
    messages.remove(0);
    messages.retain(|message| message.0 == Track::Audio || message.1 >= 5_000);
    let at = messages.iter().position(|message| message.1 >= 5_000).unwrap();
    messages.insert(at, (Track::Video, 5_000, Bytes::from_static(AVCC)));
    let segments = cut(&messages);
    let checked = checked(&segments);
    let with_video: Vec<_> = checked.iter().map(|segment| segment.video_type.is_some()).collect();
    assert_eq!(with_video, [false, false, false, true, true]);
    assert_eq!((segments[3].first_ms, segments[3].discontinuity), (6_000, true));
    assert_adjacent(&segments);
}

#[test]
fn a_hint_saves_the_wait() {
    let source = Source { gop_ms: None, length_ms: 300, ..SOURCE };
    assert!(cut(&source.all()).is_empty());
    let mut segmenter = segmenter();
    segmenter.set_tracks(AnnouncedTracks { video: false, audio: true });
    assert!(feed(&mut segmenter, &source.all()).is_empty());
    assert_holds(&finished(&mut segmenter), &source.media());
}

#[test]
fn another_publisher_is_a_discontinuity() {
    let first = Source { length_ms: 3_000, ..SOURCE };
    let second = Source { start_ms: 5_000, length_ms: 4_000, ..SOURCE };
    let mut segmenter = segmenter();
    segmenter.discontinuity();
    let mut segments = feed(&mut segmenter, &first.all());
    segmenter.discontinuity();
    segments.extend(taken(&mut segmenter));
    segmenter.discontinuity();
    assert_eq!(segmenter.next_segment(), None);
    segments.extend(feed(&mut segmenter, &second.all()));
    segments.extend(finished(&mut segmenter));
    assert_eq!(finished(&mut segmenter), []);
    assert_eq!(durations_ms(&segments), [2_000, 1_000, 2_000, 2_000]);
    assert_eq!(
        segments.iter().map(|segment| segment.discontinuity).collect::<Vec<_>>(),
        [false, false, true, false]
    );
    assert_holds(&segments, &[first.media(), second.media()].concat());
}

#[test]
fn a_publisher_without_video_may_follow_one_with_it() {
    let second = Source { start_ms: 5_000, length_ms: 4_000, gop_ms: None, ..SOURCE };
    let mut segmenter = segmenter();
    let mut segments = feed(&mut segmenter, &SOURCE.all()[..100]);
    segmenter.discontinuity();
    segments.extend(taken(&mut segmenter));
    let before = segments.len();
    segments.extend(feed(&mut segmenter, &second.all()));
    segments.extend(finished(&mut segmenter));
    let checked = checked(&segments);
    assert_eq!((checked[before].video_type, checked[before].audio_type), (None, Some(0x0F)));
    assert!(segments[before].discontinuity && segments[before].first_ms == 5_000);
}

#[test]
fn a_leap_is_a_discontinuity_and_no_long_segment() {
    let after = Source { start_ms: 3_600_000, length_ms: 4_000, ..SOURCE };
    let messages = [Source { length_ms: 3_000, ..SOURCE }.all(), after.all()].concat();
    let segments = cut(&messages);
    assert_eq!(durations_ms(&segments), [2_000, 1_000, 2_000, 2_000]);
    assert!(segments[2].discontinuity && segments[2].first_ms == 3_600_000);
}
