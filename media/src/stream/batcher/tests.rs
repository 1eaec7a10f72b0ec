use super::*;
use crate::{
    flv::tags,
    samples,
    stream::{headers::HeaderError, metadata::Metadata, opening::OPENING_MAX_MS, wire_format::WireFormat},
};

fn batcher_with(frames: impl IntoIterator<Item = Frame>) -> Batcher {
    let mut batcher = Batcher::default();
    push_all(&mut batcher, frames);
    batcher
}

fn push_all(batcher: &mut Batcher, frames: impl IntoIterator<Item = Frame>) {
    for frame in frames {
        batcher.push(frame).unwrap();
    }
}

/// Announcements and sequence headers of both tracks.
fn headers() -> [Frame; 3] {
    [samples::metadata(true, true), samples::video_header(), samples::audio_header()]
}

/// A stream of both tracks that viewers have begun to watch.
fn running() -> Batcher {
    let mut batcher = batcher_with(headers());
    push_all(&mut batcher, [samples::keyframe(0), samples::audio(0)]);
    batcher.flush();
    batcher.take_notes();
    batcher
}

/// For each batch, whether viewers can begin at it, and its tags.
fn summary(batches: &[Arc<Batch>]) -> Vec<(bool, Vec<(u8, u32)>)> {
    batches
        .iter()
        .map(|batch| {
            (batch.start.is_some(), tags(batch.flv()).map(|tag| (tag.type_id, tag.timestamp_ms)).collect())
        })
        .collect()
}

fn tags_of(batches: &[Arc<Batch>]) -> Vec<(u8, u32)> {
    summary(batches).into_iter().flat_map(|(_, tags)| tags).collect()
}

fn starts_ms(batches: &[Arc<Batch>]) -> Vec<i64> {
    batches.iter().filter(|batch| batch.start.is_some()).map(|batch| batch.first_ms).collect()
}

/// The announcements of the last place to begin at: by the file's header, by the metadata, and by the tags.
fn announced(batches: &[Arc<Batch>]) -> (Tracks, Tracks, Vec<u8>) {
    let headers = batches.iter().rev().find_map(|batch| batch.start.clone()).unwrap();
    let flv = headers.bytes(WireFormat::Flv);
    let of_metadata =
        tags(&flv).find(|tag| tag.type_id == 18).map(|tag| Metadata::parse(tag.body).announced());
    let types = tags(&flv).map(|tag| tag.type_id).collect();
    let flags = headers.preamble(WireFormat::Flv)[4];
    let by_flags = Tracks { audio: flags & 4 != 0, video: flags & 1 != 0 };
    (by_flags, of_metadata.unwrap_or_default(), types)
}

const AUDIO: Tracks = Tracks { audio: true, video: false };
const VIDEO: Tracks = Tracks { audio: false, video: true };

#[test]
fn a_flush_is_cut_where_decoding_can_start() {
    let mut batcher = running();
    push_all(
        &mut batcher,
        [
            samples::inter(20),
            samples::audio(30),
            samples::keyframe(53),
            samples::audio(60),
            samples::inter(86),
        ],
    );
    assert_eq!(
        summary(&batcher.flush()),
        [(false, vec![(9, 20), (8, 30)]), (true, vec![(9, 53), (8, 60), (9, 86)])]
    );
    assert!(batcher.flush().is_empty());
}

#[test]
fn headers_carry_the_time_of_their_keyframe_and_metadata_none() {
    let mut batcher = running();
    push_all(&mut batcher, [samples::keyframe(500)]);
    let headers = batcher.flush().last().and_then(|batch| batch.start.clone()).unwrap();
    let found: Vec<_> =
        tags(&headers.bytes(WireFormat::Flv)).map(|tag| (tag.type_id, tag.timestamp_ms)).collect();
    assert_eq!(found, [(18, 0), (9, 500), (8, 500)]);
}

#[test]
fn the_first_frames_wait_until_all_that_is_announced_has_come() {
    let mut batcher = batcher_with(headers());
    for (frame, is_over) in
        [(samples::keyframe(0), false), (samples::inter(33), false), (samples::audio(5), true)]
    {
        assert!(!batcher.has_pending());
        assert_eq!(batcher.push(frame), Ok(is_over));
    }
    let batches = batcher.flush();
    let expected = [(false, vec![(18, 0), (9, 0), (8, 0)]), (true, vec![(9, 0), (9, 33), (8, 5)])];
    assert_eq!(summary(&batches), expected);
    assert_eq!(announced(&batches), (Tracks::ALL, Tracks::ALL, vec![18, 9, 8]));
    assert!(batcher.take_notes().is_empty(), "there is nothing to say of it");
}

#[test]
fn a_track_that_is_announced_and_does_not_come_is_withdrawn() {
    for (frame, tracks) in
        [(samples::keyframe as fn(u32) -> Frame, VIDEO), (samples::audio as fn(u32) -> Frame, AUDIO)]
    {
        let mut batcher = batcher_with(headers());
        assert!(!batcher.is_opening());
        batcher.push(frame(0)).unwrap();
        assert!(batcher.is_opening() && !batcher.has_pending());
        batcher.open();
        assert_eq!(batcher.tracks(), tracks);
        let (by_flags, by_metadata, types) = announced(&batcher.flush());
        assert_eq!((by_flags, by_metadata), (tracks, tracks));
        assert_eq!(types.len(), 2, "no sequence header of the other one: {types:?}");
    }
}

#[test]
fn an_announced_track_is_waited_for_up_to_a_limit_of_media() {
    let mut batcher = batcher_with(headers());
    let mut at = 0;
    while !batcher.push(samples::audio(at)).unwrap() {
        at += 20;
    }
    assert_eq!(at, OPENING_MAX_MS);
    assert_eq!(starts_ms(&batcher.flush()), [0, 1000, 2000, 3000]);
}

#[test]
fn a_track_that_comes_late_brings_its_headers() {
    let mut batcher = batcher_with(headers());
    batcher.push(samples::audio(0)).unwrap();
    batcher.open();
    batcher.flush();
    push_all(&mut batcher, [samples::audio(6_000), samples::keyframe(6_010), samples::audio(6_020)]);
    let batches = batcher.flush();
    let came: Vec<_> = summary(&batches).into_iter().skip(1).collect();
    assert_eq!(came, [(true, vec![(9, 6_010), (8, 6_020)])]);
    assert_eq!(tags_of(&batches)[..3], [(8, 6_000), (18, 0), (9, 6_010)]);
    assert_eq!(announced(&batches), (Tracks::ALL, Tracks::ALL, vec![18, 9, 8]));
    assert_eq!(batcher.take_notes(), [StreamNote::TrackCame(Track::Video)]);
}

#[test]
fn headers_of_a_track_that_has_not_come_wait_for_its_first_frame() {
    let mut batcher = batcher_with([samples::metadata(true, false), samples::video_header()]);
    batcher.push(samples::keyframe(0)).unwrap();
    batcher.flush();
    batcher.push(samples::audio_header()).unwrap();
    assert!(!batcher.has_pending());
    batcher.push(samples::audio(2_000)).unwrap();
    assert_eq!(tags_of(&batcher.flush()), [(8, 2_000), (8, 2_000)]);
}

#[test]
fn a_track_that_pauses_is_withdrawn_and_announced_again() {
    for (pausing, other, tracks) in [
        (samples::inter as fn(u32) -> Frame, samples::audio as fn(u32) -> Frame, AUDIO),
        (samples::audio as fn(u32) -> Frame, samples::keyframe as fn(u32) -> Frame, VIDEO),
    ] {
        let mut batcher = running();
        batcher.push(pausing(20)).unwrap();
        let track = pausing(0).track;
        push_all(&mut batcher, (40..=3_040).step_by(40).map(other));
        assert_eq!(batcher.take_notes(), [StreamNote::TrackPaused(track)]);
        let (by_flags, by_metadata, _) = announced(&batcher.flush());
        assert_eq!((batcher.tracks(), by_flags, by_metadata), (tracks, tracks, tracks));
        push_all(&mut batcher, [pausing(20_000)]);
        let back = tags_of(&batcher.flush());
        assert_eq!(
            back.iter().map(|(type_id, _)| *type_id).collect::<Vec<_>>(),
            [18, track.type_id(), track.type_id()]
        );
        assert_eq!(batcher.take_notes(), [StreamNote::TrackResumed(track)]);
        assert_eq!(batcher.tracks(), Tracks::ALL);
    }
}

#[test]
fn headers_that_repeat_are_passed_over_and_new_ones_are_not() {
    let mut batcher = running();
    push_all(&mut batcher, headers());
    assert!(!batcher.has_pending());
    let changed = Frame { payload: Bytes::from_static(b"\x90avc1\x02"), ..samples::video_header() };
    assert_eq!(batcher.push(changed), Err(HeaderError::Empty.into()), "it has no parameter sets");
    let changed = Frame { payload: Bytes::from_static(b"\x90hvc1\x02"), ..samples::video_header() };
    batcher.push(changed).unwrap();
    assert_eq!(summary(&batcher.flush()), [(false, vec![(9, 0)])]);
}

#[test]
fn headers_that_change_while_frames_are_held_count_from_there_on() {
    let mut batcher = batcher_with(headers());
    let second = Frame { payload: Bytes::from_static(b"\x90hvc1\x02"), ..samples::video_header() };
    push_all(&mut batcher, [samples::keyframe(0), second.clone(), samples::keyframe(500)]);
    let batches = batcher.flush();
    let headers: Vec<_> = batches.iter().filter_map(|batch| batch.start.as_ref()).collect();
    let video = |headers: &SharedHeaders| {
        let flv = headers.bytes(WireFormat::Flv);
        tags(&flv).find(|tag| tag.type_id == 9).unwrap().body.to_vec()
    };
    assert_eq!(video(headers[0]), samples::video_header().payload);
    assert_eq!(video(headers[1]), second.payload);
}

#[test]
fn headers_that_come_once_are_kept_for_viewers_who_join() {
    let extra = |track, payload: &'static [u8]| Frame {
        track,
        timestamp_ms: 77,
        payload: Bytes::from_static(payload),
    };
    let colour = extra(Track::Video, b"\x94avc1\x02\0\x09colorInfo");
    let channels = extra(Track::Audio, b"\x94mp4a\x01\x06");
    let second = extra(Track::Video, b"\x96\0avc1\x01record");
    let mut batcher = batcher_with(headers());
    push_all(&mut batcher, [colour.clone(), channels.clone(), second.clone()]);
    push_all(&mut batcher, [samples::keyframe(100), samples::audio(100)]);
    let payloads = |bytes: &Bytes| tags(bytes).map(|tag| tag.body.to_vec()).collect::<Vec<_>>();
    let expected: Vec<Vec<u8>> = [
        samples::metadata(true, true),
        samples::video_header(),
        colour.clone(),
        samples::audio_header(),
        channels,
        second,
    ]
    .iter()
    .map(|frame| frame.payload.to_vec())
    .collect();
    let batches = batcher.flush();
    assert_eq!(payloads(batches[0].flv()), expected, "in front of all");
    let joined = batches[1].start.clone().unwrap();
    assert_eq!(payloads(&joined.bytes(WireFormat::Flv)), expected, "for viewers who join");
    push_all(&mut batcher, [colour]);
    assert!(!batcher.has_pending(), "it repeats what is known");
}

#[test]
fn announced_audio_alone_starts_at_once_and_every_second() {
    let mut batcher = batcher_with([samples::metadata(false, true), samples::audio_header()]);
    push_all(&mut batcher, (0..2500).step_by(23).map(samples::audio));
    assert_eq!(starts_ms(&batcher.flush()), [0, 1012, 2024]);
}

#[test]
fn audio_starts_batches_while_the_video_pauses() {
    let mut batcher = running();
    push_all(&mut batcher, (500..6_000).step_by(500).map(samples::audio));
    assert_eq!(starts_ms(&batcher.flush()), [3_000, 4_000, 5_000]);
}

#[test]
fn the_next_publisher_brings_headers_of_its_own() {
    let mut batcher = running();
    batcher.end_publisher();
    push_all(&mut batcher, [samples::metadata(true, false), samples::video_header(), samples::keyframe(0)]);
    let batches = batcher.flush();
    assert_eq!(announced(&batches), (VIDEO, VIDEO, vec![18, 9]));
    assert!(batches.last().unwrap().first_ms > 0, "its time does not start over");
}

#[test]
fn the_video_of_every_publisher_waits_for_its_first_keyframe() {
    let mut batcher = running();
    batcher.end_publisher();
    push_all(&mut batcher, headers());
    let within = [
        samples::inter(5_000),
        samples::audio(5_010),
        samples::inter(5_040),
        samples::keyframe(5_080),
        samples::inter(5_120),
    ];
    push_all(&mut batcher, within);
    let coded: Vec<u8> = tags_of(&batcher.flush()).into_iter().skip(3).map(|(type_id, _)| type_id).collect();
    assert_eq!(coded, [8, 9, 9]);
    let dropped = StreamNote::Entry(EntryChange::FirstKeyframe { dropped_frames: 2 });
    assert_eq!(batcher.take_notes(), [dropped]);
}

#[test]
fn without_keyframes_viewers_get_audio_at_once_and_video_when_waiting_is_in_vain() {
    let mut batcher = running();
    assert!(batcher.headers_for_audio_first().is_none(), "the GOP is kept");
    batcher.gop_outgrown();
    let headers = batcher.headers_for_audio_first().unwrap();
    assert_eq!(headers.tracks(), Tracks::ALL);
    let wait_ms = EntryLimits::default().keyframe_wait_ms as u32;
    let frames =
        |from: u32, to: u32| (from..to).step_by(40).flat_map(|at| [samples::inter(at), samples::audio(at)]);
    push_all(&mut batcher, frames(40, wait_ms));
    assert_eq!(starts_ms(&batcher.flush()), [0_i64; 0]);
    push_all(&mut batcher, frames(wait_ms, wait_ms + 2_000));
    assert_eq!(starts_ms(&batcher.flush()), [i64::from(wait_ms), i64::from(wait_ms) + 1_000]);
    assert!(batcher.lacks_keyframes() && batcher.headers_for_audio_first().is_none());
    assert_eq!(batcher.take_notes(), [StreamNote::Entry(EntryChange::WithoutKeyframes)]);
}

#[test]
fn a_flush_is_best_made_with_video_or_with_audio_where_there_is_none() {
    let mut batcher = batcher_with([samples::metadata(false, true), samples::audio_header()]);
    let cases = [
        (samples::audio(0), true),
        (samples::audio(23), true),
        (samples::video_header(), false),
        (samples::keyframe(33), true),
        (samples::audio(46), false),
        (samples::video_header(), false),
        (samples::inter(66), true),
    ];
    for (frame, expected) in cases {
        assert_eq!(batcher.push(frame.clone()), Ok(expected), "{frame:?}");
    }
}

#[test]
fn several_tracks_in_one_do_not_hide_the_codec_of_the_one() {
    let mut batcher = running();
    let codecs = |batcher: &Batcher| (batcher.headers().video_codec(), batcher.headers().audio_codec());
    let before = codecs(&batcher);
    for (frame, payload) in [(samples::audio(23), b"\x95\x01mp4a\0"), (samples::inter(33), b"\x96\x01avc1\0")]
    {
        batcher.push(Frame { payload: Bytes::from_static(payload), ..frame }).unwrap();
    }
    assert_eq!(codecs(&batcher), before);
    assert_eq!(tags_of(&batcher.flush()), [(8, 23), (9, 33)], "they keep their times");
}

#[test]
fn headers_over_the_limit_are_left_out() {
    let mut batcher = Batcher::default();
    for header in headers() {
        let payload = [&header.payload[..], &[0; crate::stream::headers::HEADER_MAX_BYTES]].concat().into();
        let refused = batcher.push(Frame { payload, ..header });
        assert!(matches!(refused, Err(FrameError::Header(HeaderError::TooLarge(_)))));
    }
    assert!(!batcher.has_pending());
}

#[test]
fn a_frame_that_cannot_be_read_is_an_error_and_nothing_else_is_lost() {
    let mut batcher = running();
    let broken = Frame { payload: Bytes::from_static(b"\x17"), ..samples::keyframe(33) };
    assert!(batcher.push(broken).is_err());
    let empty = Frame { payload: Bytes::from_static(b"\xaf\x01"), ..samples::audio(40) };
    assert_eq!(batcher.push(empty), Err(FrameError::Empty));
    batcher.push(samples::inter(66)).unwrap();
    assert_eq!(summary(&batcher.flush()), [(false, vec![(9, 66)])]);
}

#[test]
fn what_allows_flash_to_look_inside_is_not_passed_on() {
    let mut batcher = running();
    let payload = Bytes::from_static(b"\x02\0\x11|RtmpSampleAccess\x01\x01\x01\x01");
    batcher.push(Frame { track: Track::Data, timestamp_ms: 0, payload }).unwrap();
    assert!(!batcher.has_pending());
}

#[test]
fn presentation_times_become_composition_times() {
    let mut batcher = running();
    let stamps = (0..40).flat_map(|group| [3, 1, 2].map(|at| (group * 3 + at) * 40));
    push_all(&mut batcher, stamps.clone().map(samples::inter));
    let batches = batcher.flush();
    let found: Vec<(u32, u32)> = tags(batches[0].flv())
        .map(|tag| {
            let header = VideoHeader::parse(tag.body).unwrap();
            (tag.timestamp_ms, tag.timestamp_ms.wrapping_add_signed(header.composition_time_ms))
        })
        .collect();
    let settled = 30;
    assert!(found[settled..].windows(2).all(|two| two[1].0 - two[0].0 == 40), "{found:?}");
    let presented: Vec<u32> = found.iter().map(|(_, presented)| *presented).skip(settled).collect();
    assert_eq!(presented, stamps.skip(settled).collect::<Vec<_>>());
}

#[test]
fn tracks_that_are_sent_far_apart_are_noted_once() {
    let mut batcher = running();
    for at in (0..10_000).step_by(40) {
        push_all(&mut batcher, [samples::inter(at), samples::audio(at + 2_500)]);
    }
    let apart = |note: &&StreamNote| matches!(note, StreamNote::Apart(behind_ms) if *behind_ms < -2_000);
    assert_eq!(batcher.take_notes().iter().filter(apart).count(), 1);
}

#[test]
fn a_timeline_that_starts_over_does_so_at_a_keyframe() {
    let mut batcher = running();
    let mut at = 0_u32;
    while batcher.newest_ms() < Some(crate::stream::timeline::RESTART_MS) {
        at += 10_000;
        push_all(&mut batcher, [samples::inter(at), samples::audio(at)]);
    }
    batcher.flush();
    push_all(&mut batcher, [samples::inter(at + 40), samples::keyframe(at + 80), samples::audio(at + 80)]);
    let batches = batcher.flush();
    assert_eq!(summary(&batches[1..]), [(true, vec![(9, 540), (8, 540)])]);
    assert!(batcher.take_notes().contains(&StreamNote::Restarted));
}
