use super::{reply::OUTPUT_LIMIT_BYTES, *};
use crate::{
    rtmp::{
        amf0::{self, Value},
        chunk_writer::{MessageHeader, write_message},
        client::{Client, ClientEvent},
        mux::tests::tag,
    },
    stream::frame::Track,
};
use proptest::prelude::*;

/// A peer that writes chunks of the default size and reads everything that the session answers.
struct Peer {
    session: Session,
    replies: ChunkReader,
}

fn message(csid: u32, type_id: u8, stream_id: u32, timestamp_ms: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_message(&mut out, &MessageHeader { csid, type_id, stream_id, timestamp_ms }, payload, 128);
    out
}

fn command(values: &[Value]) -> Vec<u8> {
    let mut payload = Vec::new();
    amf0::write_all(values, &mut payload);
    message(3, 20, 0, 0, &payload)
}

/// A command whose arguments are strings.
fn call(name: &str, transaction: f64, arguments: &[&str]) -> Vec<u8> {
    let mut values = vec![Value::text(name), Value::Number(transaction), Value::Null];
    values.extend(arguments.iter().map(|text| Value::text(*text)));
    command(&values)
}

fn connect(app: &str) -> Vec<u8> {
    let properties = Value::object([("app", Value::text(app)), ("swfUrl", Value::Undefined)]);
    command(&[Value::text("connect"), Value::Number(1.0), properties])
}

fn hello() -> Vec<u8> {
    [vec![3], vec![0; 1536], vec![7; 1536]].concat()
}

/// The bytes of a client up to its publish.
fn publisher_start() -> Vec<u8> {
    [hello(), connect("live"), call("createStream", 2.0, &[]), call("publish", 3.0, &["room", "live"])]
        .concat()
}

fn frame(track: Track, timestamp_ms: u32, payload: &'static [u8]) -> Event {
    Event::Frame(Frame { track, timestamp_ms, payload: Bytes::from_static(payload) })
}

fn request(query: &str) -> StreamRequest {
    StreamRequest {
        room: crate::stream::room::RoomName::new("room").unwrap(),
        query: crate::access::Confidential::new(query),
        may_be_cut: false,
    }
}

impl Peer {
    fn new() -> Self {
        Self { session: Session::new(Arc::default()), replies: ChunkReader::new(ChunkLimits::default()) }
    }

    /// A peer whose handshake is done and whose app is `live`.
    fn connected() -> Self {
        let mut peer = Self::new();
        peer.session.feed(&[hello(), connect("live")].concat()).unwrap();
        assert_eq!(peer.session.take_output().split_off(3073).first(), Some(&2));
        peer.replies.next_message(&mut &control::set_chunk_size(60_000)[..]).unwrap();
        peer
    }

    fn publishing() -> Self {
        let mut peer = Self::connected();
        peer.feed(&call("publish", 3.0, &["room", "live"])).unwrap();
        peer.session.accept();
        peer.replies();
        peer.events();
        peer
    }

    fn playing() -> Self {
        let mut peer = Self::connected();
        peer.feed(&call("play", 3.0, &["room"])).unwrap();
        peer.session.accept();
        peer.replies();
        peer.events();
        peer
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.session.feed(bytes)
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    fn messages(&mut self) -> Vec<Message> {
        let output = self.session.take_output();
        let mut input = &output[..];
        std::iter::from_fn(|| self.replies.next_message(&mut input).unwrap()).collect()
    }

    /// The answers in short: a command's name and code, or the type of another message.
    fn replies(&mut self) -> Vec<String> {
        self.messages().iter().map(short).collect()
    }
}

fn short(message: &Message) -> String {
    match message.type_id {
        20 => {
            let values = amf0::read_all(&message.payload).unwrap();
            let code = values.iter().find_map(|value| value.get("code")).and_then(Value::as_str);
            let name = values[0].as_str().unwrap();
            code.map_or(name.to_owned(), |code| format!("{name} {code}"))
        }
        18 => amf0::read_all(&message.payload).unwrap()[0].as_str().unwrap().to_owned(),
        type_id => format!("{type_id}:{:?}", &message.payload[..]),
    }
}

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
fn a_player_is_answered_and_its_stop_is_told() {
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
fn what_is_taken_back_before_its_answer_ends_with_it() {
    for (name, taken_back, event) in [
        ("publish", "deleteStream", Event::Unpublish),
        ("publish", "FCUnpublish", Event::Unpublish),
        ("play", "closeStream", Event::Stop),
    ] {
        let mut peer = Peer::connected();
        let late = message(4, 9, 1, 0, b"late");
        peer.feed(&[call(name, 3.0, &["room"]), call(taken_back, 0.0, &[]), late].concat()).unwrap();
        peer.feed(&call(name, 4.0, &["other"])).unwrap();
        peer.session.accept();
        let events = peer.events();
        assert_eq!((events.len(), events.last()), (2, Some(&event)), "{events:?}");
        assert_eq!(peer.session.phase(), Phase::Idle);
        assert!(peer.replies().contains(&"_error NetConnection.Call.Failed".to_owned()));
        peer.feed(&call(name, 5.0, &["room"])).unwrap();
        peer.session.accept();
        assert_eq!(peer.events().len(), 1, "the next one is not taken back");
    }
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

#[test]
fn the_connect_result_names_the_codecs() {
    let mut peer = Peer::new();
    peer.feed(&[hello(), connect("live")].concat()).unwrap();
    let output = peer.session.take_output();
    let mut reader = ChunkReader::new(ChunkLimits::default());
    let mut input = &output[3073..];
    let result = std::iter::from_fn(|| reader.next_message(&mut input).unwrap()).last().unwrap();
    let values = amf0::read_all(&result.payload).unwrap();
    let fourccs = ["avc1", "hvc1", "av01", "vp09", "mp4a", "Opus", "fLaC", "ac-3", "ec-3"].map(Value::text);
    assert_eq!(values[2].get("fourCcList"), Some(&Value::StrictArray(fourccs.into())));
    assert_eq!(values[2].get("videoFourCcInfoMap").unwrap().get("hvc1"), Some(&Value::Number(4.0)));
    assert_eq!(values[2].get("audioFourCcInfoMap").unwrap().get("Opus"), Some(&Value::Number(4.0)));
    assert_eq!(values[3].get("objectEncoding"), Some(&Value::Number(0.0)));
}

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
fn windows_are_acknowledged_once_a_feed() {
    let mut peer = Peer::publishing();
    let received = peer.session.received.total_bytes;
    peer.feed(&message(2, 5, 0, 0, &1000_u32.to_be_bytes())).unwrap();
    assert_eq!(peer.replies().len(), 1);
    peer.feed(&message(4, 9, 1, 0, &[1; 900])).unwrap();
    assert_eq!(peer.replies(), [""; 0]);
    peer.feed(&[message(4, 9, 1, 0, &[1; 900]), message(4, 9, 1, 0, &[1; 9000])].concat()).unwrap();
    let total = peer.session.received.total_bytes.to_be_bytes();
    assert_eq!(peer.replies(), [format!("3:{total:?}")]);
    assert!(peer.session.received.total_bytes - received > 10_800);
    peer.feed(&message(2, 5, 0, 0, &0_u32.to_be_bytes())).unwrap();
    assert_eq!(peer.session.received.window_bytes, 1000);
}

#[test]
fn pings_go_both_ways() {
    let mut peer = Peer::publishing();
    peer.feed(&message(2, 4, 0, 0, &[0, 6, 1, 2, 3, 4])).unwrap();
    assert_eq!(peer.replies(), ["4:[0, 7, 1, 2, 3, 4]"]);
    peer.session.ping(0x01020304);
    assert_eq!(peer.replies(), ["4:[0, 6, 1, 2, 3, 4]"]);
    let mut fresh = Peer::new();
    fresh.session.ping(1);
    assert!(fresh.session.take_output().is_empty());
}

#[test]
fn a_peer_that_reads_nothing_is_closed() {
    let mut peer = Peer::publishing();
    let pings = message(2, 4, 0, 0, &[0, 6, 1, 2, 3, 4]).repeat(20_000);
    assert_eq!(peer.feed(&pings), Err(SessionError::OutputFull));
    assert!(peer.session.take_output().len() <= OUTPUT_LIMIT_BYTES + 1024);
}

#[test]
fn commands_without_a_publish_are_limited() {
    let mut peer = Peer::connected();
    let mut outcome = Ok(());
    let mut commands = 1;
    while outcome.is_ok() {
        outcome = peer.feed(&call("createStream", 2.0, &[]));
        peer.session.take_output();
        commands += 1;
    }
    assert_eq!((outcome, commands), (Err(SessionError::TooManyCommands), COMMANDS_MAX + 1));
}

/// Payloads of commands that cannot be read: cut off, of AMF3, nested too deep, counted wrongly, empty, without a name.
fn unreadable_commands() -> Vec<Vec<u8>> {
    let name = [2, 0, 4, b'c', b'a', b'l', b'l'];
    let nested = [&name[..], &[3, 0, 1, b'a'].repeat(15_000)].concat();
    let counted = [&name[..], &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF]].concat();
    let amf3_argument = [&name[..], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x11, 6, 3, b'x']].concat();
    vec![vec![], vec![5], name[..5].into(), vec![0x11], counted, nested, amf3_argument]
}

#[test]
fn a_command_that_cannot_be_read_is_passed_over_and_reported_once() {
    for payload in unreadable_commands() {
        let mut peer = Peer::publishing();
        for type_id in [17, 20] {
            peer.feed(&[message(3, type_id, 1, 0, &payload), message(4, 9, 1, 1, b"v")].concat()).unwrap();
        }
        let events = peer.events();
        assert!(!matches!(&events[0], Event::Frame(_)), "{events:?}");
        assert!(
            matches!(&events[..], [Event::Unreadable(_), rest @ ..] if *rest == vec![frame(Track::Video, 1, b"v"); 2])
        );
        assert_eq!((peer.session.phase(), peer.replies()), (Phase::Publishing, vec![]));
    }
}

#[test]
fn unreadable_commands_without_a_publish_are_limited() {
    let mut peer = Peer::connected();
    let bytes = message(3, 20, 0, 0, &[]).repeat(COMMANDS_MAX as usize);
    assert_eq!(peer.feed(&bytes), Err(SessionError::TooManyCommands));
    assert!(matches!(peer.events()[..], [Event::Unreadable(CommandError::NoName)]));
}

#[test]
fn a_command_over_the_limit_closes_the_connection() {
    let mut peer = Peer::connected();
    assert!(matches!(peer.feed(&message(3, 20, 0, 0, &[5; 70_000])), Err(SessionError::Chunk(_))));
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

/// Carries bytes both ways until nothing is left to say.
fn exchange(client: &mut Client, session: &mut Session) {
    loop {
        let (up, down) = (client.take_output(), session.take_output());
        if up.is_empty() && down.is_empty() {
            return;
        }
        session.feed(&up).unwrap();
        client.feed(&down).unwrap();
    }
}

#[test]
fn the_client_publishes_and_plays() {
    let sent = Frame { track: Track::Video, timestamp_ms: 0x0123_4567, payload: vec![5; 70_000].into() };

    let (mut publisher, mut session) = (Client::publisher("live", "room?k=v"), Session::new(Arc::default()));
    exchange(&mut publisher, &mut session);
    assert_eq!(session.poll_event(), Some(Event::Publish(request("k=v"))));
    session.accept();
    exchange(&mut publisher, &mut session);
    assert!(matches!(publisher.poll_event(), Some(ClientEvent::Status { .. })));
    assert_eq!(publisher.poll_event(), Some(ClientEvent::Ready));
    publisher.send_frame(&sent);
    publisher.delete_stream();
    exchange(&mut publisher, &mut session);
    assert_eq!(session.poll_event(), Some(Event::Frame(sent.clone())));
    assert_eq!(session.poll_event(), Some(Event::Unpublish));

    let (mut player, mut session) = (Client::player("live", "room"), Session::new(Arc::default()));
    exchange(&mut player, &mut session);
    assert_eq!(session.poll_event(), Some(Event::Play(request(""))));
    session.accept();
    exchange(&mut player, &mut session);
    player.feed(&crate::rtmp::mux::flv_to_chunks(&tag(9, sent.timestamp_ms, &sent.payload))).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| player.poll_event()).collect();
    assert!(events.contains(&ClientEvent::Ready) && events.last() == Some(&ClientEvent::Frame(sent)));
}

proptest! {
    #[test]
    fn random_bytes_after_a_handshake_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000), piece in 1..500_usize) {
        let mut session = Session::new(Arc::default());
        session.feed(&hello()).unwrap();
        let _ = bytes.chunks(piece).try_for_each(|piece| session.feed(piece));
        prop_assert!(session.reader.in_flight_bytes() <= bytes.len());
    }

    #[test]
    fn a_damaged_publisher_never_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        piece in 1..500_usize,
        cut in any::<prop::sample::Index>(),
    ) {
        let media: Vec<u8> = (0..20).flat_map(|n| message(4 + n % 3, 8 + (n % 2) as u8, 1, n, &[7; 300])).collect();
        let mut bytes = [publisher_start(), media, call("deleteStream", 0.0, &[])].concat();
        bytes.remove(cut.index(bytes.len() - 3073) + 3073);
        for (place, value) in damage {
            let place = place.index(bytes.len() - 1) + 1;
            bytes[place] = value;
        }
        let mut session = Session::new(Arc::default());
        let outcome = bytes.chunks(piece).try_for_each(|piece| {
            let fed = session.feed(piece);
            session.accept();
            fed
        });
        prop_assert_eq!(outcome.is_err(), session.phase() == Phase::Closed);
        let frames = std::iter::from_fn(|| session.poll_event()).count();
        prop_assert!(frames <= bytes.len());
    }

    #[test]
    fn a_random_handshake_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let mut session = Session::new(Arc::default());
        let _ = session.feed(&[&[3], &bytes[..]].concat());
        prop_assert!(session.take_output().len() <= 4096);
    }
}
