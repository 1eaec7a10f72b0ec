//! Whichever node a viewer asks, it gets the room: the same payloads at the same times as from the node of the publisher.

use std::{thread, time::Duration};

use synctv_media::stream::frame::Track;
use synctv_testkit::{
    flv::{assert_tail, coded, read_file, sequence_header},
    frames,
    nodes::TestCluster,
    tools::{Media, ffmpeg, ffprobe, media_file, push, push_on_and_on},
    wait::now,
};

#[test]
fn what_ffmpeg_publishes_arrives_unchanged_over_both_protocols() {
    let cluster = TestCluster::default();
    let flags = ["--publisher-grace-s", "0", "--pull-grace-s", "1"];
    let (origin, edge) = (cluster.node("n1", &flags), cluster.node("n2", &flags));
    let file = media_file(Media::AudioVideo);
    let push = push(ffmpeg(), file, &format!("rtmp://{}/live/r", origin.rtmp));
    let mut viewer = edge.watch_when_live("r");
    let mut player = edge.play("r");
    let (viewed, played) = thread::scope(|scope| {
        let played = scope.spawn(|| std::iter::from_fn(|| player.next_frame()).collect::<Vec<_>>());
        (viewer.frames_to_the_end(), played.join().expect("the player reads to the end"))
    });
    push.wait_for_success();
    let source = read_file(file);
    for (seen, protocol) in [(viewed, "HTTP-FLV"), (played, "RTMP")] {
        for track in [Track::Video, Track::Audio] {
            let what = format!("{protocol}, {track:?}");
            let header = |frames| sequence_header(frames, track).map(|frame| frame.payload.clone());
            assert_eq!(header(&seen), header(&source), "{what}: the sequence header");
            let begin = assert_tail(&coded(&source, track), &coded(&seen, track), &what);
            assert!(begin <= 3 * coded(&source, track).len() / 5, "{what}: it began with frame {begin} only");
        }
        frames::assert_never_back(&seen);
    }
}

#[test]
fn ffprobe_reads_a_room_of_another_node() {
    let cluster = TestCluster::default();
    let (origin, edge) = (cluster.node("n1", &[]), cluster.node("n2", &[]));
    let file = media_file(Media::AudioVideo);
    let _push = push_on_and_on(ffmpeg(), file, &format!("rtmp://{}/live/r", origin.rtmp));
    let viewer = edge.watch_when_live("r");
    drop(viewer);
    for url in [format!("http://{}/r.flv", edge.http), format!("rtmp://{}/live/r", edge.rtmp)] {
        let streams = ffprobe(&url)["streams"].to_string();
        assert!(streams.contains("h264") && streams.contains("aac"), "{url}: {streams}");
    }
}

#[test]
fn a_cold_pull_shows_its_first_picture_at_once() {
    let cluster = TestCluster::default();
    let (origin, edge) = (cluster.node("n1", &[]), cluster.node("n2", &[]));
    let mut publisher = origin.publish("r");
    publisher.send_all(&frames::headers());
    publisher.send_all(&[frames::keyframe(0, 0), frames::inter(40, 1)]);
    origin.watch("r").frames_until(&frames::inter(40, 1));
    let asked = now();
    let seen = edge.watch("r").frames_until(&frames::inter(40, 1));
    let took = asked.elapsed();
    assert_eq!(seen.iter().filter(|frame| frames::is_coded(frame)).count(), 2, "the cached GOP came along");
    assert!(took < Duration::from_millis(500), "{took:?}");
    eprintln!("first picture of a cold pull after {took:?}");
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
