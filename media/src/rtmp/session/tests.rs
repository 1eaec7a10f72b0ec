//! A session and a peer that reads all of its answers.

mod limits;
mod playing;
mod publishing;
mod random_bytes;
mod refusals;

use super::{reply::OUTPUT_LIMIT_BYTES, *};
use crate::{
    rtmp::{
        amf0::{self, Value},
        chunk_reader::ChunkLimits,
        chunk_writer::{MessageHeader, write_message},
        client::{Client, ClientEvent},
        command::CommandError,
        mux::tests::tag,
    },
    stream::{frame::Track, room::RoomNameError},
};

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
