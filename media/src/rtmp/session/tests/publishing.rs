//! Publishers are answered as encoders expect, and their frames come out in order.

use super::*;

#[test]
fn an_obs_like_publisher_is_answered_step_by_step() {
    let mut peer = Peer::new();
    peer.feed(&hello()[..1537]).unwrap();
    assert_eq!(peer.session.take_output().len(), 3073);
    peer.feed(&[&hello()[1537..], &control::set_chunk_size(4096)].concat()).unwrap();
    assert_eq!(peer.session.phase(), Phase::Connecting);
    peer.feed(&connect("live")).unwrap();
    let expected = ["5:[0, 38, 37, 160]", "6:[0, 38, 37, 160, 2]", "_result NetConnection.Connect.Success"];
    assert_eq!(peer.replies(), expected);
    peer.feed(&[call("releaseStream", 2.0, &["room"]), call("FCPublish", 3.0, &["room"])].concat()).unwrap();
    assert_eq!(peer.replies(), ["_result", "_result", "onFCPublish NetStream.Publish.Start"]);
    peer.feed(&call("createStream", 4.0, &[])).unwrap();
    let result = peer.messages();
    let expected = [Value::text("_result"), Value::Number(4.0), Value::Null, Value::Number(1.0)];
    assert_eq!(amf0::read_all(&result[0].payload).unwrap(), expected);

    peer.feed(&call("publish", 5.0, &["room?key=v", "live"])).unwrap();
    assert_eq!(peer.session.phase(), Phase::PublishPending);
    assert_eq!(peer.events(), [Event::Publish(request("key=v"))]);
    assert!(peer.session.take_output().is_empty());
    peer.session.accept();
    assert_eq!(
        (peer.session.phase(), peer.replies()),
        (Phase::Publishing, vec!["onStatus NetStream.Publish.Start".into()])
    );

    let metadata = b"\x02\x00\x0D@setDataFrame\x02\x00\x0AonMetaData\x05";
    peer.feed(&[message(4, 18, 1, 0, metadata), message(4, 9, 1, 40, b"video")].concat()).unwrap();
    let expected = [frame(Track::Data, 0, b"\x02\x00\x0AonMetaData\x05"), frame(Track::Video, 40, b"video")];
    assert_eq!(peer.events(), expected);

    peer.feed(&[call("FCUnpublish", 6.0, &["room"]), call("deleteStream", 7.0, &[])].concat()).unwrap();
    assert_eq!((peer.session.phase(), peer.events()), (Phase::Idle, vec![Event::Unpublish]));
    assert_eq!(
        peer.replies(),
        ["onStatus NetStream.Unpublish.Success", "_result", "onFCUnpublish NetStream.Unpublish.Success"]
    );
}

#[test]
fn everything_pipelined_at_once_keeps_its_order() {
    let media = [message(4, 8, 1, 1, b"a"), message(6, 9, 1, 2, b"v"), message(4, 8, 1, 3, b"")].concat();
    let bytes = [publisher_start(), media].concat();
    let expected = [Event::Publish(request("")), frame(Track::Audio, 1, b"a"), frame(Track::Video, 2, b"v")];
    for piece_len in [1, 7, 4096, bytes.len()] {
        let mut peer = Peer::new();
        bytes.chunks(piece_len).for_each(|piece| peer.feed(piece).unwrap());
        assert_eq!(peer.events(), expected);
    }
}

#[test]
fn frames_are_taken_together_up_to_another_event() {
    let mut peer = Peer::new();
    peer.feed(&publisher_start()).unwrap();
    assert_eq!(peer.events(), [Event::Publish(request(""))]);
    peer.session.accept();
    let media = [message(4, 8, 1, 1, b"a"), message(6, 9, 1, 2, b"v")].concat();
    peer.feed(&[media, call("FCUnpublish", 4.0, &["room"]), call("deleteStream", 5.0, &[])].concat())
        .unwrap();
    let mut frames = Vec::new();
    peer.session.poll_frames(&mut frames);
    assert_eq!(frames.iter().map(|frame| frame.timestamp_ms).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(peer.session.poll_event(), Some(Event::Unpublish));
    peer.session.poll_frames(&mut frames);
    assert_eq!(frames.len(), 2);
}

#[test]
fn a_connection_may_publish_again() {
    let mut peer = Peer::publishing();
    for name in ["FCUnpublish", "deleteStream", "closeStream"] {
        peer.feed(&call(name, 0.0, &[])).unwrap();
        peer.feed(&message(4, 9, 1, 0, b"late")).unwrap();
        assert_eq!(peer.events(), [Event::Unpublish]);
        peer.feed(&[call("createStream", 8.0, &[]), call("publish", 9.0, &["room", "append"])].concat())
            .unwrap();
        assert_eq!(peer.events(), [Event::Publish(request(""))]);
        peer.session.accept();
        assert_eq!(peer.session.phase(), Phase::Publishing);
    }
}

#[test]
fn encoders_extra_commands_are_answered_at_any_time() {
    let mut peer = Peer::new();
    peer.feed(&hello()).unwrap();
    peer.session.take_output();
    for name in ["releaseStream", "FCPublish", "_checkbw", "getStreamLength", "FCSubscribe"] {
        peer.feed(&call(name, 2.0, &["room"])).unwrap();
        assert_eq!(peer.replies()[0], "_result");
    }
    peer.feed(&connect("live")).unwrap();
    peer.replies();
    peer.feed(&call("_checkbw", 0.0, &[])).unwrap();
    peer.feed(&call("_result", 5.0, &[])).unwrap();
    peer.feed(&call("unheard", 0.0, &[])).unwrap();
    assert_eq!(peer.replies(), [""; 0]);
    peer.feed(&call("unheard", 6.0, &[])).unwrap();
    assert_eq!(peer.replies(), ["_error NetConnection.Call.Failed"]);
}

#[test]
fn amf3_envelopes_and_aggregates_are_understood() {
    let mut payload = vec![0];
    amf0::write_all(
        &[Value::text("publish"), Value::Number(3.0), Value::Null, Value::text("room")],
        &mut payload,
    );
    let mut peer = Peer::connected();
    peer.feed(&message(3, 17, 1, 0, &payload)).unwrap();
    let aggregate = [tag(8, 10, b"a"), tag(9, 12, b"v")].concat();
    peer.feed(&message(5, 22, 1, 100, &aggregate)).unwrap();
    let expected =
        [Event::Publish(request("")), frame(Track::Audio, 100, b"a"), frame(Track::Video, 102, b"v")];
    assert_eq!(peer.events(), expected);
}

#[test]
fn an_encoder_that_leaves_something_out_or_behind_publishes() {
    let with_trailing = |values: &[Value]| {
        let mut payload = Vec::new();
        amf0::write_all(values, &mut payload);
        payload.extend([0x11, 1, 2, 3]);
        message(3, 20, 0, 0, &payload)
    };
    let call = |name: &str, transaction, arguments: &[&str]| {
        let mut values = vec![Value::text(name), Value::Number(transaction)];
        values.extend(arguments.iter().map(|text| Value::text(*text)));
        with_trailing(&values)
    };
    let connect = with_trailing(&[
        Value::text("connect"),
        Value::Number(1.0),
        Value::object([("app", Value::text("live"))]),
    ]);
    let commands = [
        hello(),
        connect,
        call("releaseStream", 2.0, &["room"]),
        call("FCPublish", 3.0, &["room"]),
        call("createStream", 4.0, &[]),
        call("publish", 5.0, &["room", "live"]),
    ];
    let mut peer = Peer::new();
    peer.feed(&commands.concat()).unwrap();
    let events = peer.events();
    assert!(
        matches!(&events[..], [Event::Unreadable(_), Event::Publish(publish)] if *publish == request(""))
    );
}

#[test]
fn what_flash_encoders_wait_for_has_an_information_object() {
    let mut peer = Peer::connected();
    for (name, code) in [
        ("FCPublish", "onFCPublish NetStream.Publish.Start"),
        ("FCUnpublish", "onFCUnpublish NetStream.Unpublish.Success"),
    ] {
        peer.feed(&call(name, 3.0, &["room"])).unwrap();
        assert_eq!(peer.replies(), ["_result", code]);
    }
}
