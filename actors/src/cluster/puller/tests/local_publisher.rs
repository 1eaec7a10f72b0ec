//! A publisher of this node takes the place of a pull, and a pull that of a publisher.

use super::*;

#[actix_rt::test]
async fn a_publisher_of_this_node_takes_over_from_a_pull_and_viewers_stay() {
    let bench = Bench::new().await;
    let (mut viewer, stream, mut pulled) = bench.watched().await;
    let publisher = ProbeHandle::start();
    let publication = bench.publish(&publisher).await.unwrap();
    publication.send(vec![samples::video_header(), samples::inter(0)]).await.unwrap();
    pulled.send(vec![samples::inter(33)]).await;
    assert_eq!(all_video(&mut viewer, 33).await, [33], "up to the first keyframe of the new publisher");
    publication.send(opening(40)).await.unwrap();
    pulled.send(vec![samples::inter(66)]).await;
    assert_eq!(all_video(&mut viewer, 66).await, [66], "which waits for what is on its way");
    assert!(!stream.is_published_here(), "other nodes would get what they have");
    assert_eq!(all_video(&mut viewer, 99).await, [66, 99], "headers, then the keyframe");
    assert!(stream.is_published_here());
    assert!(pulled.is_closed().await);
}

#[actix_rt::test]
async fn a_publisher_of_this_node_takes_over_at_once_when_the_pull_ends() {
    let bench = Bench::new().await;
    let (mut viewer, stream, pulled) = bench.watched().await;
    let publisher = ProbeHandle::start();
    let publication = bench.publish(&publisher).await.unwrap();
    drop(pulled);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(stream.is_published_here());
    publication.send(opening(0)).await.unwrap();
    assert_eq!(all_video(&mut viewer, 33).await, [0, 33]);
}

#[actix_rt::test]
async fn a_publisher_who_is_refused_leaves_the_pull_as_it_is() {
    let bench = Bench::new().await;
    let (mut viewer, _stream, mut pulled) = bench.watched().await;
    bench.store.claim_as(Err(ClaimError::Taken { node: "n2".to_owned() }));
    let refused = bench.publish(&ProbeHandle::start()).await;
    assert_eq!(refused.unwrap_err(), PublishError::Busy);
    pulled.send(vec![samples::inter(33)]).await;
    assert_eq!(all_video(&mut viewer, 33).await, [33]);
}

#[actix_rt::test]
async fn viewers_of_a_publisher_who_went_to_another_node_follow() {
    let bench = Bench::new().await;
    bench.store.locate_at(Ok(None));
    let publisher = ProbeHandle::start();
    let publication = bench.publish(&publisher).await.unwrap();
    let stream = bench.watch().await.unwrap();
    let mut viewer = ProbeHandle::start();
    viewer.join(&stream, 0);
    publication.send(opening(1_000)).await.unwrap();
    all_video(&mut viewer, 1_000).await;
    drop(publication);
    tokio::time::sleep(GRACE / 2).await;
    bench.store.locate_at(Ok(Some(bench.port.origin("n2", 2))));
    let _pulled = bench.port.serve(opening(0)).await;
    assert_eq!(all_video(&mut viewer, 1_033).await, [1_000, 1_033]);
    assert_eq!(stream.state(), StreamState::Live(Source::Remote));
}
