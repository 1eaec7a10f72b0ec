//! Players are answered, pause, and ask for another room.

use super::*;

#[test]
fn a_player_is_answered_and_its_stop_is_reported() {
    let mut peer = Peer::connected();
    peer.feed(&[call("createStream", 2.0, &[]), call("getStreamLength", 3.0, &["room"])].concat()).unwrap();
    assert_eq!(peer.replies(), ["_result", "_result"]);
    let set_buffer_length = message(2, 4, 0, 0, &[0, 3, 0, 0, 0, 1, 0, 0, 0x0B, 0xB8]);
    peer.feed(&[call("play", 4.0, &["room"]), set_buffer_length].concat()).unwrap();
    assert_eq!(peer.events(), [Event::Play(request(""))]);
    peer.session.accept();
    let start = [
        "4:[0, 0, 0, 0, 0, 1]",
        "onStatus NetStream.Play.Reset",
        "onStatus NetStream.Play.Start",
        "|RtmpSampleAccess",
    ];
    assert_eq!((peer.session.phase(), peer.replies()), (Phase::Playing, start.map(String::from).into()));
    peer.feed(&message(4, 9, 1, 0, b"ignored")).unwrap();
    peer.feed(&call("closeStream", 0.0, &[])).unwrap();
    assert_eq!((peer.session.phase(), peer.events()), (Phase::Idle, vec![Event::Stop]));
}

fn pause(is_pause: bool) -> Vec<u8> {
    command(&[Value::text("pause"), Value::Number(0.0), Value::Null, Value::Boolean(is_pause)])
}

#[test]
fn a_pause_and_a_seek_are_answered() {
    let mut peer = Peer::playing();
    for repeated in [false, true] {
        peer.feed(&pause(true)).unwrap();
        let begin = (!repeated).then(|| "4:[0, 1, 0, 0, 0, 1]".to_owned());
        let expected: Vec<_> =
            begin.into_iter().chain(["onStatus NetStream.Pause.Notify".to_owned()]).collect();
        assert_eq!((peer.session.phase(), peer.replies()), (Phase::Paused, expected));
    }
    peer.feed(&pause(false)).unwrap();
    assert_eq!(peer.replies(), ["4:[0, 0, 0, 0, 0, 1]", "onStatus NetStream.Unpause.Notify"]);
    assert_eq!((peer.session.phase(), peer.events()), (Phase::Playing, vec![Event::Pause, Event::Resume]));
    peer.feed(&call("seek", 0.0, &[])).unwrap();
    assert_eq!(peer.replies(), ["onStatus NetStream.Seek.Notify"]);
    peer.feed(&[pause(true), call("deleteStream", 0.0, &[])].concat()).unwrap();
    assert_eq!((peer.session.phase(), peer.events()), (Phase::Idle, vec![Event::Pause, Event::Stop]));
    peer.replies();
    peer.feed(&[pause(true), pause(false), call("seek", 0.0, &[])].concat()).unwrap();
    assert_eq!((peer.replies(), peer.events()), (vec![], vec![]));
}

#[test]
fn a_play_while_playing_takes_its_place() {
    for paused in [false, true] {
        let mut peer = Peer::playing();
        peer.feed(&pause(paused)).unwrap();
        peer.replies();
        peer.feed(&call("play", 5.0, &["room"])).unwrap();
        let mut events = peer.events();
        assert_eq!(events.split_off(events.len() - 2), [Event::Stop, Event::Play(request(""))]);
        peer.session.accept();
        assert_eq!((peer.session.phase(), peer.replies().len()), (Phase::Playing, 4));
    }
}

#[test]
fn a_player_whose_next_play_is_refused_stays() {
    let mut peer = Peer::playing();
    peer.feed(&call("play", 5.0, &["a/b"])).unwrap();
    assert_eq!(peer.replies(), ["onStatus NetStream.Play.StreamNotFound"]);
    assert_eq!((peer.session.phase(), peer.events()), (Phase::Playing, vec![]), "it goes on");
    peer.feed(&call("play", 5.0, &["room"])).unwrap();
    peer.session.refuse(&Refusal::StreamNotFound { description: "why".into() });
    assert_eq!(peer.replies(), ["onStatus NetStream.Play.StreamNotFound"]);
    assert_eq!(peer.session.phase(), Phase::Idle);
    peer.feed(&call("play", 6.0, &["room"])).unwrap();
    assert_eq!(peer.session.phase(), Phase::PlayPending);
}

#[test]
fn the_server_may_end_a_play_and_the_player_ask_again() {
    let mut peer = Peer::connected();
    peer.feed(&call("play", 4.0, &["room"])).unwrap();
    peer.session.accept();
    peer.replies();
    peer.session.end_play("The publisher left.");
    let expected =
        ["4:[0, 1, 0, 0, 0, 1]", "onStatus NetStream.Play.UnpublishNotify", "onStatus NetStream.Play.Stop"];
    assert_eq!(peer.replies(), expected);
    peer.feed(&call("play", 5.0, &["room"])).unwrap();
    assert_eq!(peer.session.phase(), Phase::PlayPending);
}
