//! Refusals name their reason in the status that the peer waits for.

use super::*;

#[test]
fn apps_carry_queries_and_others_are_refused_by_name() {
    let mut peer = Peer::new();
    peer.feed(&[hello(), connect("live?key=v/"), call("publish", 3.0, &["room?a=1"])].concat()).unwrap();
    assert_eq!(peer.events(), [Event::Publish(request("a=1&key=v"))]);

    // Neither FFmpeg nor OBS shows why a connect is refused.
    for (command, code) in
        [("publish", "NetStream.Publish.Denied"), ("play", "NetStream.Play.StreamNotFound")]
    {
        let mut peer = Peer::new();
        peer.feed(&[hello(), connect("vod?a=b")].concat()).unwrap();
        peer.session.take_output();
        peer.replies.next_message(&mut &control::set_chunk_size(60_000)[..]).unwrap();
        let refused = peer.feed(&call(command, 3.0, &["room"]));
        assert_eq!(refused, Err(SessionError::App { app: "vod".into(), served: "live".into() }));
        let answer = peer.messages().remove(0);
        assert_eq!(short(&answer), format!("onStatus {code}"));
        let values = amf0::read_all(&answer.payload).unwrap();
        let description = values[3].get("description").and_then(Value::as_str).unwrap();
        assert_eq!(description, "the app \"vod\" is not served here, only \"live\": rtmp://HOST/live/ROOM");
        assert_eq!(peer.feed(&[0]), Err(SessionError::Closed));
    }
}

#[test]
fn a_bad_room_is_refused_with_the_reason() {
    for (name, code) in [("publish", "NetStream.Publish.Denied"), ("play", "NetStream.Play.StreamNotFound")] {
        let mut peer = Peer::connected();
        let refused = peer.feed(&call(name, 3.0, &["a/b?key=secret"]));
        let reason = RoomNameError::Character('/');
        assert_eq!(refused, Err(SessionError::Room { stream_name: "a/b".into(), reason: reason.clone() }));
        let answer = peer.messages().remove(0);
        assert_eq!(short(&answer), format!("onStatus {code}"));
        let values = amf0::read_all(&answer.payload).unwrap();
        assert_eq!(values[3].get("description"), Some(&Value::text(reason.to_string())));
        assert_eq!(peer.events(), []);
    }
}

#[test]
fn a_refusal_is_the_status_of_what_was_asked() {
    let description = String::from("why");
    let refusals = [
        Refusal::BadName { description: description.clone() },
        Refusal::Denied { description: description.clone() },
        Refusal::StreamNotFound { description },
    ];
    let codes = [
        ("publish", ["Publish.BadName", "Publish.Denied", "Publish.Denied"]),
        ("play", ["Play.Failed", "Play.Failed", "Play.StreamNotFound"]),
    ];
    for (name, codes) in codes {
        for (refusal, code) in refusals.iter().zip(codes) {
            let mut peer = Peer::connected();
            peer.feed(&call(name, 3.0, &["room"])).unwrap();
            peer.session.refuse(refusal);
            assert_eq!(peer.replies(), [format!("onStatus NetStream.{code}")]);
            assert_eq!(peer.session.phase(), Phase::Closed);
        }
    }
    let mut peer = Peer::publishing();
    peer.session.refuse(&refusals[0]);
    peer.session.accept();
    assert_eq!((peer.session.phase(), peer.replies()), (Phase::Publishing, vec![]));
    peer.session.end_publish("another one took over");
    assert_eq!(
        (peer.session.phase(), peer.replies()),
        (Phase::Closed, vec!["onStatus NetStream.Failed".into()])
    );
}

#[test]
fn commands_out_of_order_are_refused_clearly() {
    let start = [("publish", 3.0), ("play", 4.0), ("createStream", 2.0)];
    for (name, transaction) in start {
        let mut peer = Peer::new();
        peer.feed(&hello()).unwrap();
        peer.session.take_output();
        let refused = peer.feed(&call(name, transaction, &["room"])).unwrap_err();
        assert_eq!(refused.to_string(), format!("{name} came while the connection was not connected"));
        assert_eq!(peer.replies(), ["_error NetConnection.Call.Failed"]);
    }
    for bytes in [call("publish", 4.0, &["other"]), call("play", 4.0, &["other"]), connect("live")] {
        for mut peer in [Peer::publishing(), Peer::playing()] {
            let phase = peer.session.phase();
            peer.feed(&bytes).unwrap();
            if peer.session.phase() == phase {
                assert_eq!(peer.replies(), ["_error NetConnection.Call.Failed"], "and what runs goes on");
            }
            assert!(matches!(peer.events()[..], [] | [Event::Stop, Event::Play(_)]));
        }
    }
}
