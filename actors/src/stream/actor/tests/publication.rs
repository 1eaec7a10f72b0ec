//! A room has one publisher, for as long as its claim is held.

use super::*;
use crate::{
    cluster::registry::ClaimLost,
    events::{PublisherId, PublisherProfile},
    stream::PublishError,
};

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
async fn a_second_publisher_is_refused_and_the_first_goes_on() {
    let mut live = live().await;
    let second = ProbeHandle::start();
    let refused = live.directory.publish(&to_publish(room("r")), Relocation::AT_ONCE, second.events()).await;
    assert_eq!(refused.unwrap_err(), PublishError::Busy);
    live.publication.send(opening(0)).await.unwrap();
    assert!(live.publisher.is_quiet().await, "the first was not evicted");
}

#[actix_rt::test]
async fn a_publication_whose_asker_has_left_does_not_block_the_room() {
    let live = live().await;
    live.publication.send(opening(0)).await.unwrap();
    drop(live.publication);
    let asked = live.stream.publish(PublisherProfile::default(), live.publisher.events());
    assert!(futures::FutureExt::now_or_never(asked).is_none(), "the asker gave up");
    assert!(takes_publisher(&live.directory, &live.publisher).await);
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
    assert!(takes_publisher(&live.directory, &live.publisher).await);
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

#[actix_rt::test]
async fn a_publisher_learns_whether_anyone_watches() {
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
async fn a_publisher_whose_viewers_are_there_before_it_learns_so() {
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
