//! Viewers outlive the node of their publisher: they keep their sockets and their time goes on, wherever the room is
//! published next.

use crate::{
    lives::{assert_went_on, life, until_end_of},
    nodes::Cluster,
};

#[test]
fn when_the_node_dies() {
    let cluster = Cluster::default();
    let (first, second) = (cluster.node("n1", &[]), cluster.node("n2", &[]));
    let third = cluster.node("n3", &[]);
    let lives = [life(60_000, 0), life(0, 100)];
    let mut publisher = first.publish("r");
    publisher.send_all(&lives[0]);
    let mut viewers = [&second, &third].map(|node| (node.watch("r"), Vec::new()));
    until_end_of(&mut viewers, &lives[0]);
    first.die();

    let mut publisher = second.publish_when_free("r");
    publisher.send_all(&lives[1]);
    until_end_of(&mut viewers, &lives[1]);
    assert_went_on(&viewers, &lives);
}

#[test]
fn when_the_publisher_moves_from_node_to_node() {
    let cluster = Cluster::default();
    let nodes = [cluster.node("n1", &[]), cluster.node("n2", &[])];
    let lives = [life(60_000, 0), life(0, 100), life(u32::MAX - 20, 200)];
    let mut publisher = nodes[0].publish("r");
    publisher.send_all(&lives[0]);
    let mut viewers = [&nodes[0], &nodes[1]].map(|node| (node.watch("r"), Vec::new()));
    until_end_of(&mut viewers, &lives[0]);
    for (at, life) in lives.iter().enumerate().skip(1) {
        publisher.unpublish();
        publisher = nodes[at % 2].publish_when_free("r");
        publisher.send_all(life);
        until_end_of(&mut viewers, life);
    }
    assert_went_on(&viewers, &lives);
}

#[test]
fn when_the_publisher_moves_all_the_time() {
    let cluster = Cluster::default();
    let nodes = ["n1", "n2", "n3"].map(|name| cluster.node(name, &[]));
    // To another node, or to the same one.
    let hops = [0, 1, 2, 0, 0, 2, 1, 1, 0, 1, 0, 2];
    let lives: Vec<_> = (0..hops.len() as u32).map(|at| life(at * 0x1555_5555, at * 10)).collect();
    let mut viewers = Vec::new();
    for (hop, life) in hops.into_iter().zip(&lives) {
        let mut publisher = nodes[hop].publish_when_free("r");
        publisher.send_all(life);
        if viewers.is_empty() {
            viewers.extend(nodes.iter().map(|node| (node.watch("r"), Vec::new())));
        }
        until_end_of(&mut viewers, life);
        publisher.reset();
    }
    assert_went_on(&viewers, &lives);
}

#[test]
fn when_the_publisher_comes_back_to_the_same_node() {
    let cluster = Cluster::default();
    let (origin, edge) = (cluster.node("n1", &[]), cluster.node("n2", &[]));
    let lives = [life(60_000, 0), life(0, 100)];
    let mut publisher = origin.publish("r");
    publisher.send_all(&lives[0]);
    let mut viewers = [(edge.watch("r"), Vec::new())];
    until_end_of(&mut viewers, &lives[0]);
    publisher.reset();
    let mut publisher = origin.publish_when_free("r");
    publisher.send_all(&lives[1]);
    until_end_of(&mut viewers, &lives[1]);
    assert_went_on(&viewers, &lives);
}

#[test]
fn to_the_end_if_nobody_publishes_it_again() {
    let cluster = Cluster::default();
    let (origin, edge) = (cluster.node("n1", &[]), cluster.node("n2", &["--pull-grace-s", "1"]));
    let mut publisher = origin.publish("r");
    let life = life(0, 0);
    publisher.send_all(&life);
    let mut viewer = edge.watch("r");
    viewer.frames_until(life.last().expect("a life has frames"));
    publisher.unpublish();
    assert_eq!(viewer.next_frame(), None);
}
