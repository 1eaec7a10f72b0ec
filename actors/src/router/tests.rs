use super::*;
use crate::testing::{ProbeHandle, node, room, settings};

#[actix_rt::test]
async fn a_room_that_nobody_publishes_is_not_found() {
    let router = node(settings(), 10);
    assert_eq!(router.open(room("r")).await.unwrap_err(), OpenError::NotLive(room("r")));
}

#[actix_rt::test]
async fn rooms_over_the_limit_are_refused_by_name_of_the_limit() {
    let router = node(settings(), 1);
    let publisher = ProbeHandle::start();
    let _first = router.publish(room("a"), publisher.notices()).await.unwrap();
    let refused = router.publish(room("b"), publisher.notices()).await;
    assert_eq!(refused.unwrap_err(), PublishError::RoomLimit { max: 1 });
}

#[actix_rt::test]
async fn the_late_end_of_an_earlier_stream_leaves_the_new_one_alone() {
    tokio::time::pause();
    let router = node(settings(), 10);
    let publisher = ProbeHandle::start();
    let _publication = router.publish(room("r"), publisher.notices()).await.unwrap();
    let stream = router.open(room("r")).await.unwrap();
    let other = router.publish(room("other"), publisher.notices()).await.unwrap();
    let earlier = router.open(room("other")).await.unwrap().id();
    drop(other);
    router.address.send(StreamEnded { room: room("r"), id: earlier }).await.unwrap();
    assert_eq!(router.open(room("r")).await.unwrap().id(), stream.id());
}

#[actix_rt::test]
async fn a_room_is_not_found_before_its_first_publisher_is_allowed() {
    tokio::time::pause();
    let router = node(settings(), 10);
    let publisher = ProbeHandle::start();
    let waiting = router.for_publisher(room("r")).await.unwrap();
    assert_eq!(router.open(room("r")).await.unwrap_err(), OpenError::NotLive(room("r")));
    let _publication = waiting.publish(publisher.notices()).await.unwrap();
    assert_eq!(router.open(room("r")).await.unwrap().id(), waiting.id());
}
