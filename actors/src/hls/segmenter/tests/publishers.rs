//! Numbers go on over all publishers of a room, here and on other nodes.

use super::*;

#[actix::test]
async fn a_publisher_who_comes_back_is_a_discontinuity_of_the_same_playlist() {
    let mut bench = Bench::new(HlsMode::Always).await;
    bench.publisher_comes().await;
    bench.frames(60).await;
    bench.tell(StreamEvent::PublisherLeft).await;
    let before = bench.playlist().await;
    assert_eq!(durations(&before), ["1.000,", "1.400,"], "what came is not held back");
    bench.publisher_comes().await;
    bench.frames(51).await;
    let after = bench.playlist().await;
    assert!(after.starts_with(&before));
    assert_eq!(after.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    assert!(!after.contains("ENDLIST"));
}

#[actix::test]
async fn a_playlist_whose_publisher_left_may_be_continued_elsewhere() {
    let mut bench = Bench::new(HlsMode::Always).await;
    for _ in 0..2 {
        bench.publisher_comes().await;
        assert!(bench.session().await.unwrap().is_published());
        bench.tell(StreamEvent::PublisherLeft).await;
        assert!(!bench.session().await.unwrap().is_published());
    }
    bench.frames(26).await;
    bench.end().await;
    assert!(!bench.session().await.unwrap().is_published());
}

#[actix::test]
async fn in_a_cluster_the_first_segment_follows_one_of_another_node() {
    for (in_cluster, discontinuities) in [(false, 0), (true, 1)] {
        let mut bench = Bench::start(HlsMode::Always, in_cluster).await;
        bench.publisher_comes().await;
        bench.frames(76).await;
        let playlist = bench.playlist().await;
        assert_eq!(playlist.matches("#EXTINF").count(), 2);
        assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), discontinuities);
        assert!(playlist.find("#EXT-X-DISCONTINUITY\n") < playlist.find("#EXTINF"));
    }
}

#[actix::test]
async fn a_room_that_is_published_again_goes_on_above_what_it_had() {
    let mut bench = Bench::new(HlsMode::Always).await;
    bench.publisher_comes().await;
    bench.frames(60).await;
    bench.end().await;
    let before = bench.playlist().await;
    let old_sequence = value(&before, "#EXT-X-MEDIA-SEQUENCE:");
    bench.segmenter = start_segmenter(&bench.hls, &bench.stream, bench.form).await;
    bench.publisher_comes().await;
    let session = bench.session().await.unwrap();
    assert!(
        matches!(session.playlist_state(Duration::ZERO).await, PlaylistState::Pending),
        "the old one is not shown"
    );
    bench.frames(51).await;
    let after = bench.playlist().await;
    assert!(value(&after, "#EXT-X-MEDIA-SEQUENCE:") >= old_sequence + 2);
    let number = "#EXT-X-DISCONTINUITY-SEQUENCE:";
    assert!(value(&after, number) > value(&before, number));
    assert_eq!(after.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    assert!(
        bench.hls.piece(&to_play(room()), segment_name(old_sequence)).is_some(),
        "old segments are still there"
    );
}

#[actix::test]
async fn a_room_that_goes_to_another_node_ends_here_and_begins_anew_when_it_is_back() {
    pause();
    let mut bench = Bench::new(HlsMode::Always).await;
    bench.publisher_comes().await;
    bench.frames(60).await;
    let session = bench.session().await.unwrap();
    bench.tell(StreamEvent::PublisherCame(Arrival::Remote)).await;
    let before = text(&session).await;
    assert_eq!(durations(&before), ["1.000,", "1.400,"], "what came is not held back");
    assert!(!before.contains("#EXT-X-ENDLIST"), "it goes on elsewhere");
    bench.frames(100).await;
    assert_eq!(text(&session).await, before, "another node's media is not cut");

    // The stream of the bench is published on this node, as its next segmenter learns.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let next = bench.session().await.unwrap();
    assert!(matches!(next.playlist_state(Duration::ZERO).await, PlaylistState::Pending));
    let sequence = value(&before, "#EXT-X-MEDIA-SEQUENCE:");
    assert!(
        bench.hls.piece(&to_play(room()), segment_name(sequence)).is_some(),
        "old segments are still there"
    );
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(bench.hls.piece(&to_play(room()), segment_name(sequence)).is_none());
}

#[actix::test]
async fn a_room_that_was_elsewhere_without_viewers_here_goes_on_above_what_was_used_there() {
    pause();
    let mut bench = Bench::new(HlsMode::Always).await;
    bench.publisher_comes().await;
    bench.frames(60).await;
    bench.tell(StreamEvent::PublisherLeft).await;
    let old = bench.session().await.unwrap();
    let first_sequence = value(&text(&old).await, "#EXT-X-MEDIA-SEQUENCE:");
    let elsewhere = old.next_numbers().plus(500);
    bench.reserve = NumberReserve::unmanaged(elsewhere, false);
    bench.publisher_comes().await;
    bench.frames(60).await;
    let after = bench.playlist().await;
    assert_eq!(value(&after, "#EXT-X-MEDIA-SEQUENCE:"), elsewhere.sequence);
    assert!(value(&after, "#EXT-X-DISCONTINUITY-SEQUENCE:") >= elsewhere.discontinuity);
    assert!(!text(&old).await.contains("#EXT-X-ENDLIST") && !old.is_published());
    assert!(
        bench.hls.piece(&to_play(room()), segment_name(first_sequence)).is_some(),
        "old segments are still there"
    );
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert!(bench.hls.piece(&to_play(room()), segment_name(first_sequence)).is_none());
    assert!(bench.hls.piece(&to_play(room()), segment_name(elsewhere.sequence)).is_some());
}

#[actix::test]
async fn what_is_left_over_when_the_claim_has_ended_gets_no_number_that_was_not_reserved() {
    let mut bench = Bench::new(HlsMode::Always).await;
    let first = bench.session().await.unwrap().next_numbers();
    bench.reserve = NumberReserve::unmanaged(first, true);
    bench.reserve.end_for_test();
    bench.publisher_comes().await;
    bench.frames(25 * 100).await;
    let next = bench.session().await.unwrap().next_numbers();
    assert_eq!(next.sequence, first.sequence + RESERVE);
}
