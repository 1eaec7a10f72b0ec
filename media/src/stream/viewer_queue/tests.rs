use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    flv::{FILE_HEADER_BYTES, tags},
    samples,
    stream::{batcher::Batcher, frame::Frame, headers::HeaderSet, tracks::Tracks},
};

const LIMITS: LagLimits =
    LagLimits { queue_max_bytes: 1_000, queue_max_ms: 4_000, stall_max: Duration::from_secs(30) };

/// A stream of one frame a batch; a letter for each: `K`eyframe or `p`icture, at 100 ms steps.
fn stream(pattern: &str) -> Vec<Arc<Batch>> {
    let mut batcher = Batcher::default();
    batcher.push(samples::video_header()).unwrap();
    let frame = |(at, letter)| match letter {
        'K' => samples::keyframe(at as u32 * 100),
        _ => samples::inter(at as u32 * 100),
    };
    pattern
        .chars()
        .enumerate()
        .flat_map(|at| {
            batcher.push(frame(at)).unwrap();
            batcher.flush()
        })
        .filter(|batch| batch.tracks.video)
        .collect()
}

fn queue() -> (ViewerQueue, Instant) {
    let now = epoch();
    (ViewerQueue::new(WireFormat::Flv, now), now)
}

#[allow(clippy::disallowed_methods, reason = "an Instant has no other beginning; the tests only add to it")]
fn epoch() -> Instant {
    Instant::now()
}

/// Sends up to `room` bytes and returns them.
fn send(queue: &mut ViewerQueue, room: usize, now: Instant) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); 8];
    let filled = queue.fill(&mut slices);
    let mut sent: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
    sent.truncate(room);
    queue.advance(sent.len(), now);
    sent
}

fn send_all(queue: &mut ViewerQueue, now: Instant) -> Vec<u8> {
    let mut sent = Vec::new();
    while !queue.is_empty() {
        sent.extend(send(queue, usize::MAX, now));
    }
    sent
}

/// The tags a viewer got: `H`eaders, `K`, `p`, each with its time in units of 100 ms.
fn seen(sent: &[u8]) -> String {
    tags(&sent[FILE_HEADER_BYTES.min(sent.len())..])
        .map(|tag| {
            let letter = match tag.body {
                [0x17, 0, ..] => 'H',
                [0x17, ..] => 'K',
                _ => 'p',
            };
            format!("{letter}{} ", tag.timestamp_ms / 100)
        })
        .collect()
}

#[test]
fn a_pause_takes_nothing_and_what_follows_begins_like_a_join() {
    let (mut queue, now) = queue();
    let batches = stream("KppKpp");
    for batch in &batches[..2] {
        queue.push(batch, now);
    }
    send(&mut queue, 1, now);
    queue.pause();
    let begun = send(&mut queue, usize::MAX, now);
    assert!(!begun.is_empty(), "what was begun is finished");
    for batch in &batches[2..4] {
        queue.miss();
        queue.push(batch, now);
    }
    let point = JoinPoint {
        headers: Arc::new(HeaderSet::default().at(0, Tracks::ALL)),
        batches: vec![batches[3].clone()],
    };
    queue.join(&point, now);
    assert!(queue.is_empty(), "neither media nor a late join");
    queue.restart();
    queue.push(&batches[4], now);
    assert!(queue.is_empty(), "it waits for where decoding can start");
    queue.join(&point, now);
    queue.push(&batches[4], now);
    let sent = send(&mut queue, usize::MAX, now);
    assert!(sent.ends_with(&[&batches[3].flv()[..], batches[4].flv()].concat()));
    assert_eq!(queue.dropped(), Dropped::default());
}

#[test]
fn a_viewer_without_a_join_point_begins_at_the_next_keyframe() {
    let (mut queue, now) = queue();
    for batch in &stream("KppKp")[1..] {
        queue.push(batch, now);
    }
    assert_eq!(seen(&send_all(&mut queue, now)), "H3 K3 p4 ");
    assert_eq!(queue.dropped(), Dropped::default());
}

#[test]
fn a_batch_goes_past_an_empty_queue_and_its_rest_through_it() {
    let (mut queue, now) = queue();
    let batches = stream("Kp");
    assert!(!queue.is_direct());
    queue.push(&batches[0], now);
    let mut sent = send_all(&mut queue, now);
    assert!(queue.is_direct());
    sent.extend_from_slice(&batches[1].flv()[..5]);
    queue.push_rest(&batches[1], 5, now);
    assert!(!queue.is_direct());
    sent.extend(send_all(&mut queue, now));
    assert_eq!(seen(&sent), "H0 K0 p1 ");
}

#[test]
fn tags_of_the_connection_come_between_those_of_the_media() {
    let (mut queue, now) = queue();
    let own = crate::flv::moving::tag(Duration::ZERO);
    queue.push_tags(&own, now);
    assert!(queue.is_empty(), "the file header comes first");
    for batch in stream("Kp") {
        queue.push(&batch, now);
        queue.push_tags(&own, now);
    }
    queue.finish(now);
    queue.push_tags(&own, now);
    let sent = send_all(&mut queue, now);
    let types: Vec<_> = tags(&sent[FILE_HEADER_BYTES..]).map(|tag| tag.type_id).collect();
    assert_eq!(types, [9, 9, 18, 9, 18]);
}

#[test]
fn a_slow_viewer_goes_on_at_the_newest_keyframe_that_waits_with_headers() {
    let (mut queue, now) = queue();
    let limits = LagLimits { queue_max_ms: 400, ..LIMITS };
    let mut skips = 0;
    for batch in stream("KppKpp") {
        queue.push(&batch, now);
        skips += usize::from(queue.enforce(&limits));
    }
    assert_eq!(skips, 1);
    assert_eq!(seen(&send_all(&mut queue, now)), "H3 K3 p4 p5 ");
    assert_eq!(queue.dropped(), Dropped { tags: 3, skips: 1 });
}

#[test]
fn a_slow_viewer_waits_for_a_keyframe_when_none_is_queued() {
    let (mut queue, now) = queue();
    let limits = LagLimits { queue_max_ms: 200, ..LIMITS };
    for batch in stream("KppppKp") {
        queue.push(&batch, now);
        queue.enforce(&limits);
    }
    assert_eq!(seen(&send_all(&mut queue, now)), "H5 K5 p6 ");
    assert_eq!(queue.dropped(), Dropped { tags: 5, skips: 1 });
}

#[test]
fn what_was_begun_is_finished_before_the_skip() {
    let (mut queue, now) = queue();
    let limits = LagLimits { queue_max_ms: 200, ..LIMITS };
    let batches = stream("KppppKp");
    queue.push(&batches[0], now);
    let headers_bytes = batches[0].start.as_ref().unwrap().bytes(WireFormat::Flv).len();
    let begin = FILE_HEADER_BYTES + headers_bytes + 5;
    let mut sent = send(&mut queue, begin, now);
    for batch in &batches[1..] {
        queue.push(batch, now);
        queue.enforce(&limits);
    }
    sent.extend(send_all(&mut queue, now));
    assert_eq!(seen(&sent), "H0 K0 H5 K5 p6 ");
}

#[test]
fn the_media_of_the_join_does_not_count_against_the_limits() {
    let (mut queue, now) = queue();
    let batches = stream(&format!("K{}", "p".repeat(60)));
    let (cached, live) = batches.split_at(59);
    let headers = batches[0].start.clone().unwrap();
    queue.join(&JoinPoint { headers, batches: cached.to_vec() }, now);
    for batch in live {
        queue.push(batch, now);
        assert!(!queue.enforce(&LIMITS));
    }
    assert!(seen(&send_all(&mut queue, now)).ends_with("p59 p60 "));
}

#[test]
fn the_start_of_a_gop_may_be_larger_than_the_queue() {
    let (mut queue, now) = queue();
    let batches = stream("KppKpp");
    let limits = LagLimits { queue_max_bytes: batches[1].flv().len() * 2, ..LIMITS };
    assert!(batches[0].flv().len() + batches[1].flv().len() > limits.queue_max_bytes);
    let mut sent = Vec::new();
    for batch in &batches[..3] {
        queue.push(batch, now);
        sent.extend(send(&mut queue, 1, now));
        assert!(!queue.enforce(&limits));
    }
    for batch in &batches[3..] {
        queue.push(batch, now);
        queue.enforce(&limits);
    }
    sent.extend(send_all(&mut queue, now));
    assert!(seen(&sent).ends_with("H3 K3 p4 p5 "), "{}", seen(&sent));
}

#[test]
fn a_viewer_for_whom_no_gop_is_kept_begins_with_the_audio() {
    let (mut queue, now) = queue();
    let mut batcher = Batcher::default();
    let mut flush = |frames: &[Frame]| {
        for frame in frames {
            batcher.push(frame.clone()).unwrap();
        }
        batcher.flush()
    };
    flush(&[samples::audio_header(), samples::video_header(), samples::keyframe(0), samples::audio(0)]);
    let headers = Arc::new(HeaderSet::default().at(0, Tracks::ALL));
    queue.join(&JoinPoint { headers, batches: Vec::new() }, now);
    for frames in [
        &[samples::inter(100), samples::audio(100)][..],
        &[samples::inter(200)],
        &[samples::keyframe(300), samples::audio(300)],
        &[samples::inter(400)],
    ] {
        flush(frames).iter().for_each(|batch| queue.push(batch, now));
    }
    let sent = send_all(&mut queue, now);
    assert_eq!(sent[4], 5, "both are announced");
    let kinds: Vec<_> = tags(&sent[FILE_HEADER_BYTES..]).map(|tag| (tag.type_id, tag.timestamp_ms)).collect();
    assert_eq!(kinds, [(8, 100), (9, 300), (8, 300), (9, 300), (8, 300), (9, 400)]);
    assert_eq!(queue.dropped(), Dropped::default());
}

#[test]
fn batches_lost_on_the_way_make_a_viewer_wait_for_a_keyframe() {
    let (mut queue, now) = queue();
    let batches = stream("KppKp");
    queue.push(&batches[0], now);
    queue.miss();
    for batch in &batches[2..] {
        queue.push(batch, now);
    }
    assert_eq!(seen(&send_all(&mut queue, now)), "H0 K0 H3 K3 p4 ");
    assert_eq!(queue.dropped(), Dropped { tags: 1, skips: 1 });
}

#[test]
fn a_viewer_that_begins_again_gets_headers_and_a_keyframe_behind_what_was_begun() {
    let (mut queue, now) = queue();
    let batches = stream("KpppKp");
    let headers_bytes = batches[0].start.as_ref().unwrap().bytes(WireFormat::Flv).len();
    for batch in &batches[..3] {
        queue.push(batch, now);
    }
    let mut sent = send(&mut queue, FILE_HEADER_BYTES + headers_bytes + 5, now);
    queue.restart();
    queue.push(&batches[3], now);
    assert!(!queue.is_direct(), "the next media needs a start");
    sent.extend(send_all(&mut queue, now));
    assert_eq!(seen(&sent), "H0 K0 ");
    for batch in &batches[4..] {
        queue.push(batch, now);
    }
    assert_eq!(seen(&send_all(&mut queue, now)), "H4 K4 p5 ");
    assert_eq!(queue.live_bytes, 0);
}

/// The body of chunks, and whether it was ended.
fn dechunked(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(at) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..at]).unwrap(), 16).unwrap();
        if size == 0 {
            assert_eq!(bytes, b"0\r\n\r\n");
            return (body, true);
        }
        body.extend(&bytes[at + 2..at + 2 + size]);
        assert_eq!(&bytes[at + 2 + size..at + 4 + size], b"\r\n");
        bytes = &bytes[at + 4 + size..];
    }
    assert!(bytes.is_empty(), "a chunk is cut off");
    (body, false)
}

#[test]
fn chunks_stay_whole_over_a_skip_and_an_end() {
    let now = epoch();
    let mut queue = ViewerQueue::new(WireFormat::FlvChunks, now);
    let limits = LagLimits { queue_max_ms: 200, ..LIMITS };
    let mut sent = Vec::new();
    for (batch, room) in stream("KppppKpp").iter().zip([60, 40, 1, 0, 0, 0, 30, 1000]) {
        queue.push(batch, now);
        sent.extend(send(&mut queue, room, now));
        queue.enforce(&limits);
    }
    queue.finish(now);
    queue.finish(now);
    queue.push(&stream("K")[0], now);
    assert!(!queue.enforce(&LagLimits { queue_max_bytes: 0, ..LIMITS }));
    sent.extend(send_all(&mut queue, now));
    let (body, is_ended) = dechunked(&sent);
    assert_eq!((seen(&body).as_str(), is_ended), ("H0 K0 H5 K5 p6 p7 ", true));
}

#[test]
fn nothing_follows_the_end() {
    for format in [WireFormat::Flv, WireFormat::FlvMessages] {
        let now = epoch();
        let mut queue = ViewerQueue::new(format, now);
        queue.finish(now);
        queue.push(&stream("K")[0], now);
        queue.miss();
        queue.push(&stream("K")[0], now);
        assert_eq!(send_all(&mut queue, now), format.end());
    }
}

#[test]
fn what_belongs_to_the_connection_is_never_left_out() {
    let (mut queue, now) = queue();
    let limits = LagLimits { queue_max_ms: 200, ..LIMITS };
    for (at, batch) in stream("KppppK").iter().enumerate() {
        queue.push(batch, now);
        queue.push_control(Bytes::from(format!("<{at}>")), now);
        queue.enforce(&limits);
    }
    let sent = send_all(&mut queue, now);
    for at in 0..6 {
        let reply = format!("<{at}>");
        assert!(sent.windows(3).any(|part| part == reply.as_bytes()), "{reply} is missing");
    }
    assert_eq!(queue.dropped().tags, 5);
}

#[test]
fn a_viewer_is_stalled_once_it_took_nothing_for_the_limit() {
    let (mut queue, now) = queue();
    let later = |secs| now + Duration::from_secs(secs);
    assert!(!queue.is_stalled(&LIMITS, later(100)), "nothing waits");
    queue.push(&stream("K")[0], later(100));
    assert!(!queue.is_stalled(&LIMITS, later(129)));
    assert!(queue.is_stalled(&LIMITS, later(130)));
    send(&mut queue, 1, later(130));
    assert!(!queue.is_stalled(&LIMITS, later(159)));
    assert!(queue.is_stalled(&LIMITS, later(160)));
}

#[test]
fn a_viewer_that_trickles_costs_no_more_than_the_limits() {
    let (mut queue, now) = queue();
    for batch in stream(&"Kppppppp".repeat(500)) {
        queue.push(&batch, now);
        queue.enforce(&LIMITS);
        send(&mut queue, 1, now);
        let waiting: usize = queue.items.iter().map(|item| item.bytes.len()).sum();
        assert!(waiting <= LIMITS.queue_max_bytes + 200, "{waiting}");
    }
    assert!(queue.dropped().tags > 3_000);
}

proptest! {
    #[test]
    fn every_viewer_gets_whole_tags_in_order_and_video_only_behind_its_keyframe(
        pattern in "[Kpp]{1,120}",
        rooms in proptest::collection::vec(0_usize..150, 120),
        queue_max_bytes in 50_usize..600,
        queue_max_ms in 50_i64..3000,
    ) {
        let (mut queue, now) = queue();
        let limits = LagLimits { queue_max_bytes, queue_max_ms, ..LIMITS };
        let mut sent = Vec::new();
        for (batch, room) in stream(&pattern).iter().zip(rooms) {
            queue.push(batch, now);
            sent.extend(send(&mut queue, room, now));
            queue.enforce(&limits);
            prop_assert_eq!(queue.live_bytes, queue.items.iter().map(Item::live_bytes).sum::<usize>());
        }
        sent.extend(send_all(&mut queue, now));
        let seen = seen(&sent);
        let got: Vec<(char, usize)> =
            seen.split_whitespace().map(|tag| (tag.chars().next().unwrap(), tag[1..].parse().unwrap())).collect();
        let mut expected_next = None;
        for (letter, at) in got {
            match letter {
                'K' => prop_assert!(expected_next.is_none_or(|next| at >= next)),
                'p' => prop_assert_eq!(Some(at), expected_next),
                _ => continue,
            }
            expected_next = Some(at + 1);
        }
        let tag_bytes: usize = tags(&sent[FILE_HEADER_BYTES.min(sent.len())..]).map(|tag| tag.body.len() + 15).sum();
        prop_assert_eq!(tag_bytes, sent.len().saturating_sub(FILE_HEADER_BYTES));
    }
}
