//! HLS is cut at the node of the publisher alone.

use super::*;

#[actix_rt::test]
async fn only_what_is_published_here_is_cut_for_hls() {
    is_cut_once_it_is_published_here(HlsMode::Always).await;
}

#[actix_rt::test]
async fn only_what_is_published_here_is_cut_on_demand() {
    is_cut_once_it_is_published_here(HlsMode::OnDemand).await;
}

async fn is_cut_once_it_is_published_here(mode: HlsMode) {
    let storage = tempfile::tempdir().unwrap();
    let hls = HlsSessions::start(hls_settings(mode, storage.path()));
    let bench = Bench::with(settings(), Some(hls.clone())).await;
    let (_viewer, _stream, _pulled) = bench.watched().await;
    assert!(hls.open(&bench.directory, &to_play(room("r")), HlsForm::Ts, 0).await.unwrap().is_none());
    let publication = bench.publish(&ProbeHandle::start()).await.unwrap();
    publication.send(opening(0)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(hls.open(&bench.directory, &to_play(room("r")), HlsForm::Ts, 0).await.unwrap().is_some());
}

#[actix_rt::test]
async fn a_room_that_waits_for_its_publisher_is_not_cut_on_demand() {
    let storage = tempfile::tempdir().unwrap();
    let hls = HlsSessions::start(hls_settings(HlsMode::OnDemand, storage.path()));
    let bench = Bench::with(settings(), Some(hls.clone())).await;
    let publication = bench.publish(&ProbeHandle::start()).await.unwrap();
    publication.send(opening(0)).await.unwrap();
    drop(publication);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(bench.directory.find(room("r")).await.unwrap().is_some(), "it waits");
    assert!(
        hls.open(&bench.directory, &to_play(room("r")), HlsForm::Ts, 0).await.unwrap().is_none(),
        "another node may have it by now"
    );
}
