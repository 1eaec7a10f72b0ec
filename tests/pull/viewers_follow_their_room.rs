//! Viewers outlive the node of their publisher: they keep their sockets and their time goes on, wherever the room is
//! published next.

use synctv_testkit::{
    nodes::TestCluster,
    room_history::{RoomHistory, assert_histories, publication, read_to_end_of},
};

#[test]
fn when_the_node_dies() {
    let cluster = TestCluster::default();
    let (first, second) = (cluster.node("n1", &[]), cluster.node("n2", &[]));
    let third = cluster.node("n3", &[]);
    let publications = [publication(60_000, 0), publication(0, 100)];
    let mut publisher = first.publish("r");
    publisher.send_all(&publications[0]);
    let mut viewers = [&second, &third].map(|node| RoomHistory::of(node.watch("r")));
    read_to_end_of(&mut viewers, &publications[0]);
    first.die();

    let mut publisher = second.publish_when_free("r");
    publisher.send_all(&publications[1]);
    read_to_end_of(&mut viewers, &publications[1]);
    assert_histories(&viewers, &publications);
}

#[test]
fn when_the_publisher_moves_from_node_to_node() {
    let cluster = TestCluster::default();
    let nodes = [cluster.node("n1", &[]), cluster.node("n2", &[])];
    let publications = [publication(60_000, 0), publication(0, 100), publication(u32::MAX - 20, 200)];
    let mut publisher = nodes[0].publish("r");
    publisher.send_all(&publications[0]);
    let mut viewers = [&nodes[0], &nodes[1]].map(|node| RoomHistory::of(node.watch("r")));
    read_to_end_of(&mut viewers, &publications[0]);
    for (at, publication) in publications.iter().enumerate().skip(1) {
        publisher.unpublish();
        publisher = nodes[at % 2].publish_when_free("r");
        publisher.send_all(publication);
        read_to_end_of(&mut viewers, publication);
    }
    assert_histories(&viewers, &publications);
}

#[test]
fn when_the_publisher_moves_all_the_time() {
    let cluster = TestCluster::default();
    let nodes = ["n1", "n2", "n3"].map(|name| cluster.node(name, &[]));
    // To another node, or to the same one.
    let hops = [0, 1, 2, 0, 0, 2, 1, 1, 0, 1, 0, 2];
    let publications: Vec<_> =
        (0..hops.len() as u32).map(|at| publication(at * 0x1555_5555, at * 10)).collect();
    let mut viewers = Vec::new();
    for (hop, publication) in hops.into_iter().zip(&publications) {
        let mut publisher = nodes[hop].publish_when_free("r");
        publisher.send_all(publication);
        if viewers.is_empty() {
            viewers.extend(nodes.iter().map(|node| RoomHistory::of(node.watch("r"))));
        }
        read_to_end_of(&mut viewers, publication);
        publisher.reset();
    }
    assert_histories(&viewers, &publications);
}

#[test]
fn when_the_publisher_comes_back_to_the_same_node() {
    let cluster = TestCluster::default();
    let (origin, edge) = (cluster.node("n1", &[]), cluster.node("n2", &[]));
    let publications = [publication(60_000, 0), publication(0, 100)];
    let mut publisher = origin.publish("r");
    publisher.send_all(&publications[0]);
    let mut viewers = [RoomHistory::of(edge.watch("r"))];
    read_to_end_of(&mut viewers, &publications[0]);
    publisher.reset();
    let mut publisher = origin.publish_when_free("r");
    publisher.send_all(&publications[1]);
    read_to_end_of(&mut viewers, &publications[1]);
    assert_histories(&viewers, &publications);
}

#[test]
fn to_the_end_if_the_room_is_not_published_again() {
    let cluster = TestCluster::default();
    let (origin, edge) = (cluster.node("n1", &[]), cluster.node("n2", &["--pull-grace-s", "1"]));
    let mut publisher = origin.publish("r");
    let publication = publication(0, 0);
    publisher.send_all(&publication);
    let mut viewer = edge.watch("r");
    viewer.frames_until(publication.last().expect("a publication has frames"));
    publisher.unpublish();
    assert_eq!(viewer.next_frame(), None);
}
