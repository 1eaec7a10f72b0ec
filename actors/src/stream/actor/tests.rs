mod flush;
mod publication;

use std::time::Duration;

use synctv_media::{
    flv::{audio::AudioCodec, video::VideoCodec},
    samples,
    stream::gop::GopLimits,
};

use super::*;
use crate::{
    events::{Flush, Relocation, ViewerId},
    stream::{Publication, Refused, StreamHandle},
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

/// Returns whether the room can be published.
async fn takes_publisher(directory: &crate::directory::StreamDirectory, publisher: &ProbeHandle) -> bool {
    directory.publish(&to_publish(room("r")), Relocation::AT_ONCE, publisher.events()).await.is_ok()
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
async fn viewers_are_disconnected_after_the_grace_and_the_room_ends() {
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
    assert!(takes_publisher(&live.directory, &live.publisher).await);
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

/// Duration of a request to a slow store.
const CLAIM_DELAY: Duration = Duration::from_secs(1);

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
async fn a_stream_reports_what_it_has_and_nothing_of_it_when_its_publisher_has_left() {
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
