use super::*;
use crate::testing::{ProbeHandle, node, room, settings};

#[actix_rt::test]
async fn a_room_that_nobody_publishes_is_not_found() {
    let directory = node(settings(), 10);
    assert_eq!(directory.open(room("r")).await.unwrap_err(), OpenError::NotLive(room("r")));
}

/// Makes the directory panic.
#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for StreamDirectoryActor {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("for a test");
    }
}

#[actix_rt::test]
async fn a_directory_that_died_is_an_error_and_not_a_node_without_streams() {
    let directory = node(settings(), 10);
    let publisher = ProbeHandle::start();
    let _publication = directory.publish(room("r"), publisher.events()).await.unwrap();
    assert!(directory.address.send(Panic).await.is_err());
    assert_eq!(directory.open(room("r")).await.unwrap_err(), OpenError::Directory(DirectoryEnded));
    assert_eq!(directory.look(room("r")).await.unwrap_err(), OpenError::Directory(DirectoryEnded));
    assert_eq!(directory.open_local(room("r")).await.unwrap_err(), DirectoryEnded);
    assert_eq!(directory.streams().await.unwrap_err(), DirectoryEnded);
    assert_eq!(directory.phase().await, Err(DirectoryEnded));
    assert_eq!(directory.drain().await, Err(DirectoryEnded));
    let refused = directory.publish(room("s"), publisher.events()).await;
    assert_eq!(refused.unwrap_err(), PublishError::DirectoryEnded);
}

#[actix_rt::test]
async fn rooms_over_the_limit_are_refused_by_name_of_the_limit() {
    let directory = node(settings(), 1);
    let publisher = ProbeHandle::start();
    let _first = directory.publish(room("a"), publisher.events()).await.unwrap();
    let refused = directory.publish(room("b"), publisher.events()).await;
    assert_eq!(refused.unwrap_err(), PublishError::RoomLimit { max: 1 });
}

#[actix_rt::test]
async fn the_late_end_of_an_earlier_stream_leaves_the_new_one_alone() {
    tokio::time::pause();
    let directory = node(settings(), 10);
    let publisher = ProbeHandle::start();
    let _publication = directory.publish(room("r"), publisher.events()).await.unwrap();
    let stream = directory.open(room("r")).await.unwrap();
    let other = directory.publish(room("other"), publisher.events()).await.unwrap();
    let earlier = directory.open(room("other")).await.unwrap().id();
    drop(other);
    directory.address.send(StreamEnded { room: room("r"), id: earlier }).await.unwrap();
    assert_eq!(directory.open(room("r")).await.unwrap().id(), stream.id());
}

#[actix_rt::test]
async fn a_room_is_not_found_before_its_first_publisher_is_allowed() {
    tokio::time::pause();
    let directory = node(settings(), 10);
    let publisher = ProbeHandle::start();
    let waiting = directory.for_publisher(room("r")).await.unwrap();
    assert_eq!(directory.open(room("r")).await.unwrap_err(), OpenError::NotLive(room("r")));
    let _publication = waiting.publish(publisher.events()).await.unwrap();
    assert_eq!(directory.open(room("r")).await.unwrap().id(), waiting.id());
}
