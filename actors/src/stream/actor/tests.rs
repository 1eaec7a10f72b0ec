use std::time::Duration;

use synctv_media::{
    flv::{audio::AudioCodec, video::VideoCodec},
    samples,
    stream::gop::GopLimits,
};

use super::{flush::AUDIO_WAIT, *};
use crate::{
    events::{Flush, Relocation, ViewerId},
    stream::{Refused, StreamHandle},
    testing::{
        Answers, FakeStore, GRACE, Got, ProbeHandle, node, node_with, opening, room, settings, to_play,
        to_publish,
    },
};

const V: u8 = 9;
const A: u8 = 8;

/// A room that is published by a probe.
struct Live {
    directory: crate::directory::StreamDirectory,
    stream: StreamHandle,
    publication: Publication,
    publisher: ProbeHandle,
}

async fn live_with(settings: StreamSettings) -> Live {
    tokio::time::pause();
    live_on(node(settings, 10)).await
}

async fn live_with_store(store: FakeStore) -> Live {
    tokio::time::pause();
    live_on(node_with(settings(), 10, move || store)).await
}

async fn live_on(directory: crate::directory::StreamDirectory) -> Live {
    let mut publisher = ProbeHandle::start();
    let publication =
        directory.publish(&to_publish(room("r")), Relocation::AT_ONCE, publisher.events()).await.unwrap();
    assert_eq!(publisher.next().await, Got::PublisherEvent(PublisherEvent::ViewersLeft));
    let stream = directory.open(&to_play(room("r"))).await.unwrap();
    Live { directory, stream, publication, publisher }
}

async fn live() -> Live {
    live_with(settings()).await
}

fn media(tags: &[(u8, u32)]) -> Got {
    Got::Media { after_gap: false, tags: tags.to_vec() }
}

#[actix_rt::test]
async fn a_viewer_gets_the_cached_gop_and_then_the_live_media_in_order() {
    let live = live().await;
    live.publication.send(opening(0)).await.unwrap();
    live.publication.send(vec![samples::inter(33)]).await.unwrap();
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 7);
    live.publication.send(vec![samples::inter(66)]).await.unwrap();
    assert_eq!(viewer.next().await, Got::Join { viewer: 7, tags: vec![(V, 0), (V, 33)] });
    assert_eq!(viewer.next().await, media(&[(V, 66)]));
}

#[actix_rt::test]
async fn one_subscription_serves_all_viewers_of_a_thread() {
    let live = live().await;
    live.publication.send(opening(0)).await.unwrap();
    let mut viewers = ProbeHandle::start();
    viewers.join(&live.stream, 1);
    viewers.join(&live.stream, 2);
    live.publication.send(vec![samples::inter(33)]).await.unwrap();
    assert!(matches!(viewers.next().await, Got::Join { viewer: 1, .. }));
    assert!(matches!(viewers.next().await, Got::Join { viewer: 2, .. }));
    assert_eq!(viewers.next().await, media(&[(V, 33)]));
    assert!(viewers.is_quiet().await, "the media came once");
}

#[actix_rt::test]
async fn audio_is_sent_with_the_next_video_frame_and_waits_no_longer_than_the_limit() {
    let live = live().await;
    live.publication.send(opening(0)).await.unwrap();
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    viewer.next().await;
    live.publication.send(vec![samples::audio(10)]).await.unwrap();
    assert!(viewer.is_quiet().await);
    live.publication.send(vec![samples::inter(33)]).await.unwrap();
    assert_eq!(viewer.next().await, media(&[(A, 10), (V, 33)]));

    live.publication.send(vec![samples::audio(40)]).await.unwrap();
    let sent = Instant::now();
    assert_eq!(viewer.next().await, media(&[(A, 40)]));
    let waited = sent.elapsed();
    assert!(waited >= AUDIO_WAIT && waited < AUDIO_WAIT + Duration::from_millis(10), "{waited:?}");
}

/// A keyframe first, then frames that need it.
fn video(at_ms: u32) -> Frame {
    if at_ms == 0 { samples::keyframe(0) } else { samples::inter(at_ms) }
}

const INTERVAL: Duration = Duration::from_millis(100);

/// A viewer of a stream that merges its media.
async fn merged() -> (Live, ProbeHandle) {
    let live = live_with(StreamSettings { flush: Flush::Every(INTERVAL), ..settings() }).await;
    let viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    (live, viewer)
}

#[actix_rt::test]
async fn an_interval_ends_with_the_video_frame_that_completes_it() {
    let (live, mut viewer) = merged().await;
    let start = Instant::now();
    let mut flushes = Vec::new();
    for at_ms in (0..1000).step_by(33) {
        for frame in [video(at_ms), samples::audio(at_ms + 10)] {
            tokio::time::sleep_until(start + Duration::from_millis(frame.timestamp_ms.into())).await;
            live.publication.send(vec![frame]).await.unwrap();
            if !viewer.is_quiet().await {
                flushes.push(at_ms);
            }
        }
    }
    assert_eq!(flushes, (0..1000).step_by(99).collect::<Vec<_>>());
}

#[actix_rt::test]
async fn a_short_interval_is_kept_as_well() {
    let interval = Duration::from_millis(20);
    let live = live_with(StreamSettings { flush: Flush::Every(interval), ..settings() }).await;
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    let mut flushes = 0;
    let start = Instant::now();
    for at in 0..60 {
        tokio::time::sleep_until(start + Duration::from_secs(at) / 60).await;
        live.publication.send(vec![video(at as u32 * 16)]).await.unwrap();
        while viewer.try_next().is_some() {
            flushes += 1;
        }
    }
    assert!((40..=50).contains(&flushes), "{flushes}");
}

#[actix_rt::test]
async fn headers_alone_begin_no_interval() {
    let (live, mut viewer) = merged().await;
    for header in [samples::metadata(true, true), samples::video_header(), samples::audio_header()] {
        live.publication.send(vec![header]).await.unwrap();
        tokio::time::sleep(INTERVAL / 5).await;
    }
    let sent = Instant::now();
    live.publication.send(vec![samples::audio(0), samples::keyframe(0)]).await.unwrap();
    let Got::Media { tags, .. } = viewer.next().await else { panic!("it is media") };
    assert_eq!((tags.len(), tags.last()), (5, Some(&(V, 0))));
    assert!(sent.elapsed() < Duration::from_millis(10), "{:?}", sent.elapsed());
}

#[actix_rt::test]
async fn nothing_waits_long_past_its_interval_for_a_video_frame() {
    let (live, mut viewer) = merged().await;
    live.publication.send(vec![video(0)]).await.unwrap();
    assert_eq!(viewer.next().await, media(&[(V, 0)]));
    let flushed = Instant::now();
    tokio::time::sleep(INTERVAL * 8 / 10).await;
    live.publication.send(vec![samples::inter(80), samples::audio(85)]).await.unwrap();
    assert_eq!(viewer.next().await, media(&[(V, 80), (A, 85)]));
    let waited = flushed.elapsed();
    assert!(waited >= INTERVAL && waited < INTERVAL + Duration::from_millis(10), "{waited:?}");
}

#[actix_rt::test]
async fn sound_alone_is_merged_as_well() {
    let (live, mut viewer) = merged().await;
    live.publication.send(vec![samples::metadata(false, true)]).await.unwrap();
    let mut received = Vec::new();
    for at_ms in (0..500).step_by(20) {
        live.publication.send(vec![samples::audio(at_ms)]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        while let Some(got) = viewer.try_next() {
            let Got::Media { tags, .. } = got else { panic!("{got:?}") };
            received.push(tags.len());
        }
    }
    assert_eq!(received, [2, 5, 5, 5, 5], "the metadata first");
}

#[actix_rt::test]
async fn a_keyframe_within_an_interval_goes_out_with_it_and_a_viewer_can_start_there() {
    let (live, mut viewer) = merged().await;
    live.publication.send(vec![video(0)]).await.unwrap();
    viewer.next().await;
    let frames = vec![samples::inter(2033), samples::keyframe(2066), samples::inter(2099)];
    live.publication.send(frames).await.unwrap();
    assert_eq!(viewer.next().await, media(&[(V, 2033), (V, 2066), (V, 2099)]));
    viewer.join(&live.stream, 1);
    assert_eq!(viewer.next().await, Got::Join { viewer: 1, tags: vec![(V, 2066), (V, 2099)] });
}

#[actix_rt::test]
async fn every_tag_goes_out_at_once_if_so_set() {
    let live = live_with(StreamSettings { flush: Flush::EveryTag, ..settings() }).await;
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    live.publication.send(vec![video(0)]).await.unwrap();
    live.publication.send(vec![samples::audio(10)]).await.unwrap();
    assert_eq!(viewer.next().await, media(&[(V, 0)]));
    assert_eq!(viewer.next().await, media(&[(A, 10)]));
}

#[actix_rt::test]
async fn a_track_that_is_announced_and_does_not_come_is_waited_for_a_second() {
    let live = live().await;
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    let frames = [samples::metadata(true, true), samples::video_header(), samples::keyframe(0)];
    live.publication.send(frames.to_vec()).await.unwrap();
    let sent = Instant::now();
    assert_eq!(viewer.next().await, media(&[(18, 0), (V, 0), (V, 0)]));
    assert!(sent.elapsed() >= Duration::from_secs(1), "{:?}", sent.elapsed());
    live.publication.send(vec![samples::audio_header(), samples::audio(1500)]).await.unwrap();
    assert_eq!(viewer.next().await, media(&[(18, 0), (A, 1500), (A, 1500)]), "with what announces it");
}

#[actix_rt::test]
async fn what_a_publisher_sent_before_it_left_is_not_lost_with_it() {
    let live = live().await;
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    let frames = [samples::metadata(true, true), samples::video_header(), samples::keyframe(0)];
    live.publication.send(frames.to_vec()).await.unwrap();
    drop(live.publication);
    assert_eq!(viewer.next().await, media(&[(18, 0), (V, 0), (V, 0)]));
}

#[actix_rt::test]
async fn a_viewer_for_whom_no_gop_is_kept_gets_audio_at_once() {
    let gop = GopLimits { gops_max: 2, size_max_bytes: 100, window_ms: 0 };
    let live = live_with(StreamSettings { gop, ..settings() }).await;
    live.publication.send(opening(0)).await.unwrap();
    live.publication.send(vec![samples::audio(10)]).await.unwrap();
    for at_ms in (33..330).step_by(33) {
        live.publication.send(vec![samples::inter(at_ms)]).await.unwrap();
    }
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 7);
    assert_eq!(viewer.next().await, Got::Join { viewer: 7, tags: vec![] });
}

#[actix_rt::test]
async fn a_second_publisher_is_refused_and_the_first_goes_on() {
    let mut live = live().await;
    let second = ProbeHandle::start();
    let refused = live.directory.publish(&to_publish(room("r")), Relocation::AT_ONCE, second.events()).await;
    assert_eq!(refused.unwrap_err(), PublishError::Busy);
    live.publication.send(opening(0)).await.unwrap();
    assert!(live.publisher.is_quiet().await, "the first was not evicted");
}

#[actix_rt::test]
async fn viewers_go_on_with_the_next_publisher_and_their_time_never_goes_back() {
    let live = live().await;
    live.publication.send(opening(5000)).await.unwrap();
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    viewer.next().await;
    drop(live.publication);
    tokio::time::sleep(GRACE - Duration::from_secs(1)).await;

    let again = live
        .directory
        .publish(&to_publish(room("r")), Relocation::AT_ONCE, live.publisher.events())
        .await
        .unwrap();
    again.send(vec![samples::video_header(), samples::keyframe(0)]).await.unwrap();
    assert_eq!(viewer.next().await, media(&[(V, 5000), (V, 5033)]), "the new sequence header first");
    tokio::time::sleep(2 * GRACE).await;
    assert!(viewer.is_quiet().await, "the grace is over, and forgotten");
}

#[actix_rt::test]
async fn viewers_are_let_go_after_the_grace_and_the_room_is_gone() {
    let live = live().await;
    live.publication.send(opening(0)).await.unwrap();
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    viewer.next().await;
    drop(live.publication);
    let left = Instant::now();
    assert_eq!(viewer.next().await, Got::End(EndReason::PublisherLeft));
    assert!(left.elapsed() >= GRACE);
    assert!(live.directory.open(&to_play(room("r"))).await.is_err());
    assert!(
        live.directory
            .publish(&to_publish(room("r")), Relocation::AT_ONCE, live.publisher.events())
            .await
            .is_ok()
    );
}

#[actix_rt::test]
async fn a_viewer_who_comes_in_the_grace_waits_for_the_next_publisher() {
    let live = live().await;
    live.publication.send(opening(0)).await.unwrap();
    drop(live.publication);
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    assert!(viewer.is_quiet().await, "what the last publisher sent is past");
    let again = live
        .directory
        .publish(&to_publish(room("r")), Relocation::AT_ONCE, live.publisher.events())
        .await
        .unwrap();
    again.send(vec![samples::keyframe(0)]).await.unwrap();
    assert_eq!(viewer.next().await, media(&[(V, 33)]));
}

#[actix_rt::test]
async fn a_publication_whose_asker_is_gone_does_not_block_the_room() {
    let live = live().await;
    live.publication.send(opening(0)).await.unwrap();
    drop(live.publication);
    let asked = live.stream.publish(PublisherProfile::default(), live.publisher.events());
    assert!(futures::FutureExt::now_or_never(asked).is_none(), "the asker gave up");
    assert!(
        live.directory
            .publish(&to_publish(room("r")), Relocation::AT_ONCE, live.publisher.events())
            .await
            .is_ok()
    );
}

#[actix_rt::test]
async fn a_late_frame_of_an_earlier_publisher_is_turned_down() {
    let live = live().await;
    live.publication.send(opening(0)).await.unwrap();
    let late = live.publication.send(opening(0));
    drop(live.publication);
    let _now = live
        .directory
        .publish(&to_publish(room("r")), Relocation::AT_ONCE, live.publisher.events())
        .await
        .unwrap();
    late.await.unwrap();
    let stale = Publication::new(
        live.stream.address().clone().recipient(),
        live.stream.address().clone().recipient(),
        PublisherId(1),
    );
    assert!(stale.send(opening(0)).await.is_err());
}

#[actix_rt::test]
async fn a_stream_that_does_not_follow_turns_frames_down_and_loses_none() {
    let live = live_with(StreamSettings { flush: Flush::EveryTag, ..settings() }).await;
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    // No other task runs until the test waits, so the mailbox fills.
    let refused =
        (0..).find_map(|at| match live.publication.try_send(vec![samples::keyframe(at)], Instant::now()) {
            Ok(()) => None,
            Err(Refused::Busy(frames)) => Some((at, frames)),
            Err(Refused::Gone) => panic!("the stream is there"),
        });
    let (count, frames) = refused.unwrap();
    assert!(count < 100, "the mailbox is bounded");
    live.publication.send(frames).await.unwrap();
    for at in 0..=count {
        assert_eq!(viewer.next().await, media(&[(V, at)]));
    }
}

#[actix_rt::test]
async fn a_lost_claim_evicts_the_publisher_and_frees_the_room() {
    let mut live = live().await;
    live.stream.address().send(ClaimLost { epoch: 99 }).await.unwrap();
    assert!(live.publisher.is_quiet().await, "another epoch's loss");
    live.stream.address().send(ClaimLost { epoch: 1 }).await.unwrap();
    assert_eq!(live.publisher.next().await, Got::PublisherEvent(PublisherEvent::Evicted(Evicted::TakenOver)));
    assert!(live.publication.send(opening(0)).await.is_err());
    assert!(
        live.directory
            .publish(&to_publish(room("r")), Relocation::AT_ONCE, live.publisher.events())
            .await
            .is_ok()
    );
}

#[actix_rt::test]
async fn without_a_cache_viewers_begin_at_the_next_keyframe() {
    let gop = GopLimits { gops_max: 0, size_max_bytes: 0, window_ms: 0 };
    let live = live_with(StreamSettings { gop, ..settings() }).await;
    live.publication.send(opening(0)).await.unwrap();
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    live.publication.send(vec![samples::keyframe(33)]).await.unwrap();
    assert_eq!(viewer.next().await, media(&[(V, 33)]));
}

#[actix_rt::test]
async fn a_subscriber_that_left_gets_nothing_more() {
    let live = live().await;
    let mut viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    live.stream.leave(viewer.id);
    live.publication.send(opening(0)).await.unwrap();
    assert!(viewer.is_quiet().await);
}

#[actix_rt::test]
async fn a_stream_without_media_has_nothing_to_wait_for() {
    let live = live().await;
    drop(live.publication);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!live.stream.is_alive());
    assert!(live.directory.open(&to_play(room("r"))).await.is_err());
}

#[actix_rt::test]
async fn a_claim_that_is_refused_does_not_make_the_grace_longer() {
    let store = FakeStore::new();
    store.claim_once();
    let live = live_with_store(store).await;
    live.publication.send(opening(0)).await.unwrap();
    drop(live.publication);
    for _ in 0..8 {
        tokio::time::sleep(GRACE / 10).await;
        assert!(live.stream.is_alive());
        assert!(live.stream.publish(PublisherProfile::default(), live.publisher.events()).await.is_err());
    }
    tokio::time::sleep(GRACE / 4).await;
    assert!(!live.stream.is_alive());
}

#[actix_rt::test]
async fn a_claim_that_is_lost_before_its_answer_comes_is_refused() {
    let store = FakeStore::new();
    store.answer(Answers::After(CLAIM_DELAY));
    let live = live_with_store(store).await;
    live.publication.send(opening(0)).await.unwrap();
    drop(live.publication);
    let asked = actix_rt::spawn({
        let (stream, events) = (live.stream.clone(), live.publisher.events());
        async move { stream.publish(PublisherProfile::default(), events).await }
    });
    tokio::time::sleep(CLAIM_DELAY / 2).await;
    live.stream.address().send(ClaimLost { epoch: 1 }).await.unwrap();
    assert_eq!(asked.await.unwrap().unwrap_err(), PublishError::Busy);
}

/// Duration of a request to a slow store.
const CLAIM_DELAY: Duration = Duration::from_secs(1);

#[actix_rt::test]
async fn a_publisher_is_told_whether_anyone_watches() {
    let mut live = live().await;
    let (first, second) = (ProbeHandle::start(), ProbeHandle::start());
    first.join(&live.stream, 0);
    second.join(&live.stream, 0);
    assert_eq!(live.publisher.next().await, Got::PublisherEvent(PublisherEvent::ViewersCame));
    live.stream.leave(first.id);
    assert!(live.publisher.is_quiet().await, "the second is still there");
    live.stream.leave(second.id);
    assert_eq!(live.publisher.next().await, Got::PublisherEvent(PublisherEvent::ViewersLeft));
}

#[actix_rt::test]
async fn a_publisher_whose_viewers_are_there_before_it_is_told_so() {
    let live = live().await;
    live.publication.send(opening(0)).await.unwrap();
    let viewer = ProbeHandle::start();
    viewer.join(&live.stream, 0);
    drop(live.publication);
    let mut next = ProbeHandle::start();
    let _again =
        live.directory.publish(&to_publish(room("r")), Relocation::AT_ONCE, next.events()).await.unwrap();
    assert_eq!(next.next().await, Got::PublisherEvent(PublisherEvent::ViewersCame));
}

#[actix_rt::test]
async fn segments_are_no_reason_for_haste() {
    let mut live = live().await;
    let segmenter = ProbeHandle::start();
    live.stream.join(
        segmenter.id,
        SubscriberRole::Segmenter,
        ViewerId(0),
        segmenter.address.clone().recipient(),
    );
    assert!(live.publisher.is_quiet().await);
}

#[actix_rt::test]
async fn a_stream_tells_what_it_has_and_nothing_of_it_when_its_publisher_is_gone() {
    let directory = node(settings(), 10);
    let probe = ProbeHandle::start();
    let publication =
        directory.publish(&to_publish(room("r")), Relocation::AT_ONCE, probe.events()).await.unwrap();
    publication.send(opening(0)).await.unwrap();
    publication.send(vec![samples::audio(0)]).await.unwrap();
    let stream = directory.open(&to_play(room("r"))).await.unwrap();
    let stats = stream.stats().await.unwrap();
    assert!(stats.since_unix_ms.is_some());
    assert_eq!((stats.video, stats.audio), (Some(VideoCodec::H264), Some(AudioCodec::Aac)));
    drop(publication);
    let stats = stream.stats().await.unwrap();
    assert_eq!((stats.since_unix_ms, stats.video, stats.bitrate_kbps), (None, None, None));
}
