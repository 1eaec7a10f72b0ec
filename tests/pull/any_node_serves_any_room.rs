//! Whichever node a viewer asks, it gets the room: the same payloads at the same times as from the node of the publisher.

use synctv_testkit::{
    flv::read_file,
    frames,
    nodes::TestCluster,
    tools::{Media, ffmpeg, ffprobe, media_file, push, push_on_and_on},
    waiting_viewers::WaitingViewers,
};

#[test]
fn what_ffmpeg_publishes_arrives_unchanged_over_both_protocols() {
    let cluster = TestCluster::default();
    // On a busy machine FFmpeg takes a while to start, and viewers wait for it.
    let (origin, edge) = (cluster.node("n1", &["--publisher-grace-s", "60"]), cluster.node("n2", &[]));
    let mut viewers = WaitingViewers::join(origin.publish("r"), || edge.watch("r"), || edge.play("r"));
    let file = media_file(Media::AudioVideo);
    let push = push(ffmpeg(), file, &origin.rtmp_url("r"));
    viewers.assert_arrives(&read_file(file));
    push.wait_for_success();
}

#[test]
fn ffprobe_reads_a_room_of_another_node() {
    let cluster = TestCluster::default();
    let (origin, edge) = (cluster.node("n1", &[]), cluster.node("n2", &[]));
    let file = media_file(Media::AudioVideo);
    let _push = push_on_and_on(ffmpeg(), file, &origin.rtmp_url("r"));
    let viewer = edge.watch_when_live("r");
    drop(viewer);
    for url in [edge.flv_url("r"), edge.rtmp_url("r")] {
        let streams = ffprobe(&url)["streams"].to_string();
        assert!(streams.contains("h264") && streams.contains("aac"), "{url}: {streams}");
    }
}

#[test]
fn a_cold_pull_begins_with_the_cached_gop() {
    let cluster = TestCluster::default();
    let (origin, edge) = (cluster.node("n1", &[]), cluster.node("n2", &[]));
    let mut publisher = origin.publish("r");
    publisher.send_all(&frames::video_headers());
    publisher.send_all(&[frames::keyframe(0, 0), frames::inter(40, 1)]);
    origin.watch("r").frames_until(&frames::inter(40, 1));
    // The publisher sends nothing more: what comes is cached.
    let seen = edge.watch("r").frames_until(&frames::inter(40, 1));
    assert_eq!(seen.iter().filter(|frame| frames::is_coded(frame)).count(), 2, "the cached GOP came along");
}

#[test]
fn a_room_without_keyframes_begins_where_its_node_lets_viewers_begin() {
    let cluster = TestCluster::default();
    let origin = cluster.node("n1", &["--keyframe-wait-s", "1"]);
    let edge = cluster.node("n2", &["--keyframe-wait-s", "600"]);
    let mut publisher = origin.publish("r");
    publisher.send_all(&frames::video_headers());
    publisher.send_all((0..50).map(|at| frames::inter(at * 40, at)).collect::<Vec<_>>().iter());
    let last = frames::inter(1_960, 49);
    origin.watch("r").frames_until(&last);
    let seen = edge.watch("r").frames_until(&last);
    assert!(seen.iter().filter(|frame| frames::is_coded(frame)).count() > 1, "from the cache on");
}

#[test]
fn fifty_viewers_of_two_nodes_see_the_same() {
    let cluster = TestCluster::default();
    let origin = cluster.node("n1", &[]);
    let edges = [cluster.node("n2", &[]), cluster.node("n3", &[])];
    let mut publisher = origin.publish("r");
    publisher.send_all(&frames::headers());
    publisher.send_all(&[frames::keyframe(0, 0), frames::audio(10, 1)]);
    origin.watch("r").frames_until(&frames::audio(10, 1));
    let mut viewers: Vec<_> = (0..50).map(|at| edges[at % 2].watch("r")).collect();
    let last = frames::inter(4_000, 1_000);
    publisher.send_all((1..100).map(|at| frames::inter(at * 40, at)).collect::<Vec<_>>().iter());
    publisher.send(&last);
    for viewer in &mut viewers {
        let seen = viewer.frames_until(&last);
        assert_eq!(seen.iter().filter(|frame| frames::is_coded(frame)).count(), 102);
    }
}
