use std::net::IpAddr;

use actix::Message;

use super::*;
use crate::{
    access::Grant,
    events::{PublisherProfile, Relocation},
    testing::{GRACE, ProbeHandle, node, opening, room, settings, to_play, to_publish},
};

#[actix_rt::test]
async fn a_room_without_a_publisher_is_not_found() {
    let directory = node(settings(), 10);
    assert_eq!(directory.open(&to_play(room("r"))).await.unwrap_err(), OpenError::NotLive(room("r")));
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
    let _publication =
        directory.publish(&to_publish(room("r")), Relocation::AT_ONCE, publisher.events()).await.unwrap();
    assert!(directory.address.send(Panic).await.is_err());
    assert_eq!(directory.open(&to_play(room("r"))).await.unwrap_err(), OpenError::Directory(DirectoryEnded));
    assert_eq!(directory.look(&to_play(room("r"))).await.unwrap_err(), OpenError::Directory(DirectoryEnded));
    assert_eq!(directory.open_local(&Grant::of(room("r"))).await.unwrap_err(), DirectoryEnded);
    assert_eq!(directory.streams().await.unwrap_err(), DirectoryEnded);
    assert_eq!(directory.phase().await, Err(DirectoryEnded));
    assert_eq!(directory.close().await, Err(DirectoryEnded));
    let refused = directory.publish(&to_publish(room("s")), Relocation::AT_ONCE, publisher.events()).await;
    assert_eq!(refused.unwrap_err(), PublishError::DirectoryEnded);
}

#[actix_rt::test]
async fn rooms_over_the_limit_are_refused_by_name_of_the_limit() {
    let directory = node(settings(), 1);
    let publisher = ProbeHandle::start();
    let _first =
        directory.publish(&to_publish(room("a")), Relocation::AT_ONCE, publisher.events()).await.unwrap();
    let refused = directory.publish(&to_publish(room("b")), Relocation::AT_ONCE, publisher.events()).await;
    assert_eq!(refused.unwrap_err(), PublishError::RoomLimit { max: 1 });
}

#[actix_rt::test]
async fn the_late_end_of_an_earlier_stream_leaves_the_new_one_alone() {
    tokio::time::pause();
    let directory = node(settings(), 10);
    let publisher = ProbeHandle::start();
    let _publication =
        directory.publish(&to_publish(room("r")), Relocation::AT_ONCE, publisher.events()).await.unwrap();
    let stream = directory.open(&to_play(room("r"))).await.unwrap();
    let other =
        directory.publish(&to_publish(room("other")), Relocation::AT_ONCE, publisher.events()).await.unwrap();
    let earlier = directory.open(&to_play(room("other"))).await.unwrap().id();
    drop(other);
    directory.address.send(StreamEnded { room: room("r"), id: earlier }).await.unwrap();
    assert_eq!(directory.open(&to_play(room("r"))).await.unwrap().id(), stream.id());
}

#[actix_rt::test]
async fn a_room_is_not_found_before_its_first_publisher_is_allowed() {
    tokio::time::pause();
    let directory = node(settings(), 10);
    let publisher = ProbeHandle::start();
    let waiting = directory.for_publisher(&to_publish(room("r"))).await.unwrap();
    assert_eq!(directory.open(&to_play(room("r"))).await.unwrap_err(), OpenError::NotLive(room("r")));
    let _publication = waiting.publish(PublisherProfile::default(), publisher.events()).await.unwrap();
    assert_eq!(directory.open(&to_play(room("r"))).await.unwrap().id(), waiting.id());
}

#[actix_rt::test]
async fn an_address_that_leaves_room_after_room_gets_no_other_one() {
    tokio::time::pause();
    let directory = node(settings(), 1000);
    let publisher = ProbeHandle::start();
    let publish = async |name: &str, last| {
        let address = AddressKey::from(IpAddr::from([10, 0, 0, last]));
        let grant = Grant::of(room(name)).at_address(address);
        directory.publish(&grant, Relocation::AT_ONCE, publisher.events()).await
    };
    for at in 0..100 {
        let publication = publish(&format!("r{at}"), 1).await.unwrap();
        publication.send(opening(0)).await.unwrap();
    }
    assert_eq!(publish("one-more", 1).await.unwrap_err(), PublishError::LeftRooms { max: 100 });
    assert!(publish("r7", 1).await.is_ok(), "it comes back");
    assert!(publish("another", 2).await.is_ok(), "others are not to blame");
    tokio::time::sleep(GRACE).await;
    assert!(publish("one-more", 1).await.is_ok(), "the rooms have ended");
}
