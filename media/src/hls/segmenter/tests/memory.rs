//! The memory that segments keep.

use super::*;

#[test]
fn a_segment_that_is_too_large_is_cut_without_a_keyframe() {
    let large = large_frame();
    let mut messages = Source { length_ms: 40, sample_rate_hz: None, ..SOURCE }.all();
    messages.extend((1..12).map(|at| (Track::Video, at * 40, large.clone())));
    let segments = cut(&messages);
    assert_eq!(durations_ms(&segments), [9 * 40, 3 * 40]);
    assert!(segments[0].forced_cut && segments[0].bytes.len() < SEGMENT_MAX_BYTES + 2 * large.len());
}

#[test]
fn what_is_left_out_counts_as_frames_beside_it_may_keep_it_in_memory() {
    let large = large_frame();
    let mut messages = Source { length_ms: 40, ..SOURCE }.all();
    messages.push((Track::Video, 40, Bytes::from_static(OTHER_AVCC)));
    for at in 1..12 {
        let track = if at % 2 == 0 { Track::Video } else { Track::Data };
        messages.extend([(track, at * 40, large.clone()), SOURCE.sound(at * 40)]);
    }
    let segments = cut(&messages);
    assert!(segments.len() == 2 && segments[0].forced_cut && segments[0].duration_ms == 8 * 40);
}

#[test]
fn a_segment_holds_no_frame_in_memory_when_it_is_cut() {
    let mut segmenter = segmenter();
    let messages = SOURCE.all();
    let second = messages.iter().position(|message| message.1 >= 2_000).unwrap();
    assert!(feed(&mut segmenter, &messages[..second]).is_empty());
    assert!(messages[4..second].iter().all(|message| !message.2.is_unique()));
    assert_eq!(feed(&mut segmenter, &messages[second..second + 3]).len(), 1);
    assert!(messages[2..second].iter().all(|message| message.2.is_unique()));
}

#[test]
fn sound_that_is_held_back_does_not_keep_its_batch_in_memory() {
    let mut segmenter = Segmenter::new(SegmenterConfig::default(), BufferPool::new(0));
    segmenter.push(Track::Audio, 0, &Bytes::from_static(AAC_44100)).unwrap();
    let batch = Bytes::from(vec![[0xAF, 1]; 1_000].concat());
    segmenter.push(Track::Audio, 0, &batch.slice(..20)).unwrap();
    assert!(batch.is_unique());
    assert_eq!(finished(&mut segmenter), [], "it was still held");
    assert_eq!(segmenter.dropped_frames(), 1);
}
