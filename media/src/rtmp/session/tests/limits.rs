//! Peers that send too much, or what cannot be read, take no more than their share.

use super::*;

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
