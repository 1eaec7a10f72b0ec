//! While a publisher is alive, a second one of its room is refused, and the first is unhurt.

use synctv_testkit::{publisher_script::PublisherScript, rtmp::RtmpPeer, server::TestServer, tools};

#[test]
fn with_bad_name_and_the_first_goes_on() {
    let server = TestServer::start(&[]);
    let mut script = PublisherScript::start(&server, "r", 100);
    for _ in 0..3 {
        let refused = RtmpPeer::try_publish(&server, "r").expect_err("the room is taken");
        assert_eq!(refused.code, "NetStream.Publish.BadName");
        assert!(refused.description.contains("someone publishes this room"), "{refused:?}");
        script.steps(3);
    }
    let other = RtmpPeer::publish(&server, "another_room");
    script.steps(3);
    drop(other);
}

#[test]
fn and_its_connection_is_closed_and_logged() {
    let server = TestServer::start(&[]);
    let _first = RtmpPeer::publish(&server, "r");
    let file = tools::media_file(tools::Media::AudioVideo);
    let mut push = tools::ffmpeg();
    let url = server.rtmp_url("r");
    push.args(["-re", "-i"]).arg(file).args(["-c", "copy", "-f", "flv", &url]);
    let ended = push.output().expect("ffmpeg can be run (apt-get install ffmpeg)");
    assert!(!ended.status.success(), "FFmpeg ends with an error");
    let refused = server.log.find("publish refused", |line| line.says("publish refused", "r"));
    assert!(!refused.text("peer").is_empty());
    assert_eq!(refused.text("why"), "someone publishes this room");
}

#[test]
fn one_of_many_who_come_at_once_gets_the_room() {
    let server = TestServer::start(&[]);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| RtmpPeer::try_publish(&server, "r"))).collect();
        asked.into_iter().map(|asked| asked.join().expect("an answer comes")).collect()
    });
    let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(accepted, 1);
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(refused.into_iter().all(|refused| refused.code == "NetStream.Publish.BadName"));
}
