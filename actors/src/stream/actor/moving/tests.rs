use std::time::Duration;

use synctv_media::{access::Confidential, samples};

use super::*;
use crate::{
    directory::StreamDirectory,
    events::MOVE_WAIT_MAX,
    stream::Publication,
    testing::{Answers, FakeStore, Got, ProbeHandle, node_with, opening, room, settings, to_publish},
};

const HANDOVER: Duration = Duration::from_secs(15);

/// A room whose publisher sends a keyframe each second.
struct Live {
    store: FakeStore,
    directory: StreamDirectory,
    publisher: ProbeHandle,
    wait_max: Duration,
    _publication: Publication,
}

fn after(returns_after_ms: u64) -> Relocation {
    Relocation::AfterClose(Duration::from_millis(returns_after_ms))
}

/// A publisher that moves so. So many keyframes came, the last one just now.
async fn live(relocation: Relocation, keyframes: u32) -> Live {
    let store = FakeStore::new();
    let of_node = store.clone();
    let directory = node_with(settings(), 10, move || of_node);
    let mut publisher = ProbeHandle::start();
    let grant = to_publish(room("r")).known_as(Some(Confidential::new("key=1")));
    let publication = directory.publish(&grant, relocation, publisher.events()).await.unwrap();
    publisher.next().await;
    publication.send(opening(0)).await.unwrap();
    for second in 1..keyframes {
        tokio::time::sleep(Duration::from_secs(1)).await;
        publication.send(vec![samples::keyframe(second * 1000)]).await.unwrap();
    }
    Live { store, directory, publisher, wait_max: MOVE_WAIT_MAX, _publication: publication }
}

impl Live {
    /// Sends the publisher away, and gives the time until it was let go.
    async fn move_away(&mut self) -> Duration {
        let (begin, directory, wait_max) = (Instant::now(), self.directory.clone(), self.wait_max);
        let ((), moved) = futures::join!(
            async {
                let let_go = self.publisher.next().await;
                assert_eq!(let_go, Got::PublisherEvent(PublisherEvent::Evicted(Evicted::Draining)));
            },
            directory.move_publishers(HANDOVER, wait_max, None)
        );
        moved.unwrap();
        begin.elapsed()
    }
}

/// Timers have milliseconds.
fn is_about(time: Duration, expected_ms: u64) -> bool {
    time.abs_diff(Duration::from_millis(expected_ms)) <= Duration::from_millis(10)
}

#[actix_rt::test]
async fn a_publisher_is_let_go_so_long_before_a_keyframe_as_it_takes_to_come_back() {
    tokio::time::pause();
    for (returns_after_ms, expected_ms) in [(150, 850), (2_100, 900), (0, 1_000)] {
        let mut live = live(after(returns_after_ms), 3).await;
        let waited = live.move_away().await;
        assert!(is_about(waited, expected_ms), "{waited:?} for {returns_after_ms} ms");
        assert_eq!(live.store.calls(), ["claim", "offer", "release"]);
    }
}

#[actix_rt::test]
async fn a_publisher_that_looks_for_the_close_at_times_is_let_go_before_it_looks() {
    tokio::time::pause();
    let opening = u32::try_from(opening(0).len()).unwrap();
    // Two more keyframes came: this one looks behind the next, or behind the one after it.
    for (looks_each, expected_ms) in [(opening + 3, 950), (opening + 4, 1_950)] {
        let relocation = Relocation::AtLook { looks_each, lead: Duration::from_millis(50) };
        let waited = live(relocation, 3).await.move_away().await;
        assert!(is_about(waited, expected_ms), "{waited:?} for {looks_each} messages");
    }
}

#[actix_rt::test]
async fn a_publisher_without_a_rhythm_is_let_go_at_once() {
    tokio::time::pause();
    let mut live = live(after(150), 1).await;
    assert!(is_about(live.move_away().await, 0));
}

#[actix_rt::test]
async fn a_store_that_does_not_answer_keeps_a_publisher_no_longer() {
    tokio::time::pause();
    let mut live = live(after(150), 1).await;
    live.store.answer(Answers::Never);
    assert!(is_about(live.move_away().await, 1_000));
}

#[actix_rt::test]
async fn a_publisher_that_takes_requests_is_asked_and_keeps_its_room_until_it_leaves() {
    tokio::time::pause();
    let Live { store, directory, mut publisher, _publication, .. } = live(Relocation::OnRequest, 1).await;
    let mover = directory.clone();
    let moved = actix_rt::spawn(async move { mover.move_publishers(HANDOVER, MOVE_WAIT_MAX, None).await });
    assert_eq!(publisher.next().await, Got::PublisherEvent(PublisherEvent::Reconnect { to: None }));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(publisher.is_quiet().await && !moved.is_finished(), "it may take its time");
    _publication.send(vec![samples::keyframe(1000)]).await.expect("it still feeds its stream");
    drop(_publication);
    moved.await.unwrap().unwrap();
    assert_eq!(store.calls(), ["claim", "offer", "release"]);
}

#[actix_rt::test]
async fn a_publisher_that_does_not_do_as_it_is_asked_is_let_go_in_the_end() {
    tokio::time::pause();
    let mut live = live(Relocation::OnRequest, 1).await;
    let mover = live.directory.clone();
    let begin = Instant::now();
    let moved = actix_rt::spawn(async move { mover.move_publishers(HANDOVER, MOVE_WAIT_MAX, None).await });
    assert_eq!(live.publisher.next().await, Got::PublisherEvent(PublisherEvent::Reconnect { to: None }));
    let let_go = live.publisher.next().await;
    assert_eq!(let_go, Got::PublisherEvent(PublisherEvent::Evicted(Evicted::Draining)));
    moved.await.unwrap().unwrap();
    assert!(is_about(begin.elapsed(), MOVE_WAIT_MAX.as_millis() as u64));
}

#[actix_rt::test]
async fn a_moment_that_comes_after_the_end_of_the_drain_is_not_waited_for() {
    tokio::time::pause();
    let mut live = Live { wait_max: Duration::from_millis(500), ..live(after(150), 3).await };
    let waited = live.move_away().await;
    assert!(is_about(waited, 0), "{waited:?}: its moment would come after 850 ms");
}

#[actix_rt::test]
async fn a_publisher_that_is_asked_may_stay_no_longer_than_the_drain_takes() {
    tokio::time::pause();
    let Live { directory, mut publisher, _publication, .. } = live(Relocation::OnRequest, 1).await;
    let begin = Instant::now();
    let wait_max = Duration::from_millis(500);
    let moved = actix_rt::spawn(async move { directory.move_publishers(HANDOVER, wait_max, None).await });
    assert_eq!(publisher.next().await, Got::PublisherEvent(PublisherEvent::Reconnect { to: None }));
    assert_eq!(publisher.next().await, Got::PublisherEvent(PublisherEvent::Evicted(Evicted::Draining)));
    moved.await.unwrap().unwrap();
    assert!(is_about(begin.elapsed(), 500), "{:?}", begin.elapsed());
}
