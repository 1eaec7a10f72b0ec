//! Tracks that are sent apart.

use super::*;

/// A stream whose audio is sent before the video of its time, or behind it.
fn with_skew(source: Source, ahead_ms: i64) -> Vec<Message> {
    let mut media = source.media();
    media.sort_by_key(|(track, time_ms, _)| time_ms - if *track == Track::Audio { ahead_ms } else { 0 });
    [source.headers(), media].concat()
}

#[test]
fn tracks_that_are_sent_apart_are_put_in_order() {
    for ahead_ms in [300, 1_500, 2_900, -300, -1_500, -2_900] {
        let mut segmenter = segmenter();
        let segments = cut_by(&mut segmenter, &with_skew(SOURCE, ahead_ms));
        assert_eq!(durations_ms(&segments)[..9], [2_000; 9]);
        assert_eq!((segmenter.late_frames(), segmenter.dropped_frames()), (0, u64::from(ahead_ms > 0)));
        for segment in checked(&segments) {
            assert!(segment.starts_with_keyframe && segment.video.len() == 50);
            let (audio, first) = (&segment.audio, segment.video[0].pts);
            assert!(audio[0].pts - first < 30 * 90 && audio[audio.len() - 1].pts - first < 2_000 * 90);
        }
    }
}

#[test]
fn audio_without_a_header_that_was_announced_is_put_in_order_from_the_start() {
    let mut messages = with_skew(SOURCE, -1_500);
    messages.remove(1);
    for message in messages.iter_mut().filter(|message| message.0 == Track::Audio) {
        message.2 = Bytes::from_static(b"\x2F\xFF\xFB\x90\x64mp3");
    }
    let late_frames = |announced: Option<AnnouncedTracks>| {
        let mut segmenter = segmenter();
        announced.into_iter().for_each(|announced| segmenter.set_tracks(announced));
        cut_by(&mut segmenter, &messages);
        segmenter.late_frames()
    };
    assert!(late_frames(None) > 0);
    assert_eq!(late_frames(Some(AnnouncedTracks { video: true, audio: true })), 0);
}

#[test]
fn tracks_that_are_sent_too_far_apart_are_counted() {
    let mut segmenter = segmenter();
    let segments = cut_by(&mut segmenter, &with_skew(Source { length_ms: 40_000, ..SOURCE }, -8_000));
    assert!(segmenter.late_frames() > 1_000, "{}", segmenter.late_frames());
    assert_eq!(durations_ms(&segments)[..19], [2_000; 19]);
}

#[test]
fn a_keyframe_that_comes_late_still_begins_the_segment() {
    let source = Source { gop_ms: Some(2_000), length_ms: 12_000, ..SOURCE };
    let mut messages = source.all();
    let is_late = |message: &Message| message.0 == Track::Video && (6_000..7_200).contains(&message.1);
    messages.sort_by_key(|message| if is_late(message) { 7_200 } else { message.1 });
    let segments = cut(&messages);
    assert!(segments.iter().all(|segment| segment.independent), "{:?}", durations_ms(&segments));
    assert_eq!(segments.len(), 6);
}
