//! A session that was restored answers and hands out the same as one that was not.

use proptest::prelude::*;

use super::*;
use crate::{
    rtmp::{
        amf0::{self, Value},
        chunk_writer::{MessageHeader, write_message},
        control,
        session::Event,
    },
    upgrade::testing::read_again,
};

/// Something that a peer sends.
#[derive(Debug, Clone)]
enum Sent {
    Command(&'static str, Vec<Value>),
    Media { type_id: u8, timestamp_ms: u32, len_bytes: usize },
    Ping(u32),
    Window(u32),
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let commands = vec![
        ("publish", vec![Value::text("room?key=secret")]),
        ("publish", vec![Value::text("an/other")]),
        ("play", vec![Value::text("room")]),
        ("play", vec![Value::text("other")]),
        ("pause", vec![Value::Boolean(true), Value::Number(0.0)]),
        ("pause", vec![Value::Boolean(false), Value::Number(0.0)]),
        ("seek", vec![Value::Number(5.0)]),
        ("deleteStream", vec![Value::Number(1.0)]),
        ("FCUnpublish", vec![Value::text("room")]),
        ("unheardOf", Vec::new()),
    ];
    let command = prop::sample::select(commands).prop_map(|(name, values)| Sent::Command(name, values));
    let media = (prop::sample::select(vec![8_u8, 9, 18]), any::<u32>(), 0_usize..3_000)
        .prop_map(|(type_id, timestamp_ms, len_bytes)| Sent::Media { type_id, timestamp_ms, len_bytes });
    prop_oneof![
        4 => command,
        6 => media,
        1 => any::<u32>().prop_map(Sent::Ping),
        1 => (1_u32..4_000).prop_map(Sent::Window),
    ]
}

fn message(type_id: u8, csid: u32, timestamp_ms: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_message(&mut out, &MessageHeader { csid, type_id, stream_id: 1, timestamp_ms }, payload, 128);
    out
}

fn command(name: &str, transaction: f64, values: &[Value]) -> Vec<u8> {
    let mut payload = Vec::new();
    let head = [Value::text(name), Value::Number(transaction)];
    amf0::write_all(&head, &mut payload);
    amf0::write_all(values, &mut payload);
    message(20, 3, 0, &payload)
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Command(name, values) => command(name, 4.0, &[&[Value::Null], &values[..]].concat()),
            Self::Media { type_id, timestamp_ms, len_bytes } => {
                message(*type_id, u32::from(*type_id), *timestamp_ms, &vec![*type_id; *len_bytes])
            }
            Self::Ping(timestamp_ms) => control::ping_request(*timestamp_ms),
            Self::Window(size_bytes) => control::window_ack_size(*size_bytes),
        }
    }
}

/// The bytes of a peer up to its createStream.
fn start(app: &str) -> Vec<u8> {
    let properties = Value::object([("app", Value::text(app)), ("flashVer", Value::text("FMSc/1.0"))]);
    let connect = command("connect", 1.0, &[properties]);
    [vec![3], vec![0; 1536], vec![7; 1536], connect, command("createStream", 2.0, &[Value::Null])].concat()
}

fn restored(session: &Session, config: Arc<SessionConfig>) -> Result<Session, StateError> {
    let mut blobs = Blobs::default();
    let state = session.state(&mut blobs);
    let (state, blobs) = read_again(&state, &blobs);
    Session::restore(state, config, &blobs)
}

/// Feeds a session and returns all that its owner sees. The owner accepts every request. Unless it drains, it leaves events
/// and output for later.
fn fed(session: &mut Session, bytes: &[u8], drains: bool) -> (bool, Vec<Event>, Vec<u8>, Phase) {
    let goes_on = session.feed(bytes).is_ok();
    let (mut events, mut output) = (Vec::new(), Vec::new());
    while let Some(event) = drains.then(|| session.poll_event()).flatten() {
        if let Event::Publish(_) | Event::Play(_) = event {
            session.accept();
        }
        events.push(event);
    }
    if drains {
        output.extend(session.take_output());
    }
    (goes_on, events, output, session.phase())
}

fn settled(app: &str) -> Session {
    let mut session = Session::new(Arc::default());
    fed(&mut session, &start(app), true);
    session
}

proptest! {
    #[test]
    fn a_restored_session_goes_on_as_the_one_before(
        app in prop::sample::select(vec!["live", "live?key=k", "live/room", "live/room?key=k", ""]),
        sent in prop::collection::vec(any_sent(), 1..30),
        piece_bytes in 1_usize..4_000,
        choices in prop::collection::vec(any::<bool>(), 1..60),
    ) {
        // In the default chunk size, so that messages have several chunks.
        let bytes = sent.iter().flat_map(Sent::bytes).collect::<Vec<u8>>();
        let (mut kept, mut moved) = (settled(app), settled(app));
        let mut choices = choices.iter().cycle().copied();
        for piece in bytes.chunks(piece_bytes) {
            let (drains, is_cut) = (choices.next() == Some(true), choices.next() == Some(true));
            let before = fed(&mut kept, piece, drains);
            prop_assert_eq!(fed(&mut moved, piece, drains), before.clone());
            if !before.0 || before.3 == Phase::Closed {
                break;
            }
            match restored(&moved, Arc::default()) {
                Ok(session) if is_cut => moved = session,
                Ok(_) => prop_assert!(moved.is_settled()),
                Err(_) => prop_assert!(!moved.is_settled()),
            }
        }
        prop_assert_eq!(moved.take_output(), kept.take_output());
        prop_assert_eq!(moved.reconnect_habit(), kept.reconnect_habit());
    }
}

#[test]
fn a_session_that_awaits_a_decision_is_not_restored() {
    let mut session = Session::new(Arc::default());
    let is_restored = |session: &Session| {
        assert_eq!(session.is_settled(), restored(session, Arc::default()).is_ok());
        session.is_settled()
    };
    assert!(!is_restored(&session), "in the handshake");
    session.feed(&start("live")).unwrap();
    assert!(is_restored(&session));
    session.feed(&Sent::Command("publish", vec![Value::text("room")]).bytes()).unwrap();
    assert!(!is_restored(&session), "not answered");
    while session.poll_event().is_some() {}
    session.accept();
    assert!(is_restored(&session));
    session.end_publish("The server ends.");
    assert!(!is_restored(&session), "it is to be closed");
}

#[test]
fn settings_that_changed_hold_for_what_comes_next() {
    let mut session = settled("live");
    fed(&mut session, &Sent::Command("publish", vec![Value::text("room")]).bytes(), true);
    let media = Sent::Media { type_id: 9, timestamp_ms: 0, len_bytes: 3_000 }.bytes();
    let (first, rest) = media.split_at(1_000);
    assert!(fed(&mut session, first, true).0);
    let config = SessionConfig { message_limit_bytes: 2_000, ..SessionConfig::default() };
    let mut session = restored(&session, Arc::new(config)).unwrap();
    let (goes_on, events, ..) = fed(&mut session, rest, true);
    assert!(goes_on && events.len() == 1, "what was begun is taken");
    assert!(!fed(&mut session, &media, true).0);
}

#[test]
fn a_session_that_is_in_no_such_state_is_refused() {
    let mut blobs = Blobs::default();
    let state = settled("live").state(&mut blobs);
    let refused = |change: &dyn Fn(&mut SessionState)| {
        let mut changed = state.clone();
        change(&mut changed);
        Session::restore(changed, Arc::default(), &blobs).is_err()
    };
    assert!(!refused(&|_| {}));
    assert!(refused(&|state| state.phase = Phase::Handshake));
    assert!(refused(&|state| state.phase = Phase::PublishPending));
    assert!(refused(&|state| state.received.window_bytes = 0));
    assert!(refused(&|state| state.commands_left = COMMANDS_MAX + 1));
    assert!(refused(&|state| state.output = vec![0; 2 * OUTPUT_LIMIT_BYTES + 1]));
    assert!(refused(&|state| state.app = AppState::Other("x".repeat(1 << 20))));
}
