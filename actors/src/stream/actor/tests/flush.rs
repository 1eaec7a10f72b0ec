//! Media is sent when the setting says so.

use super::*;
use crate::stream::actor::flush::AUDIO_WAIT;

const INTERVAL: Duration = Duration::from_millis(100);

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
async fn audio_alone_is_merged_as_well() {
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
