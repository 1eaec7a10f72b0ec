//! Promises over all inputs.

use proptest::prelude::*;

use super::*;
use crate::stream::room::RoomName;

const NOW: u64 = 1_800_000_000;

const ACTIONS: [Action; 6] =
    [Action::Publish, Action::Play, Action::Segment, Action::List, Action::Admin, Action::Pull];

fn secret() -> Secret {
    Secret::new(&[7; 32]).unwrap()
}

fn a_room() -> impl Strategy<Value = RoomName> {
    "[a-c.]{1,3}".prop_filter_map("a name", |name| RoomName::new(&name).ok())
}

fn an_action() -> impl Strategy<Value = Action> {
    prop::sample::select(ACTIONS.to_vec())
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), other in "[A-Za-z0-9._;=&*-]{0,60}") {
        for text in [text, other] {
            let _ = RoomPattern::parse(&text);
            let _ = SignedKey::parse(&text);
            let _ = Credential::in_query(&text);
            let _ = Credential::in_authorization(&text);
            let _ = Secrets::parse(&text);
            let _ = Refusal::denied(&text);
            let request = NodeRequest { method: "GET", host: &text, path: &text };
            prop_assert_eq!(request.verify([&secret()], &text, NOW), Err(Refusal::NotANode));
            let key = SignedKey::make(&secret(), Action::Segment, &RoomName::new("r").unwrap(), NOW);
            let signed = sign_playlist(&text, &key);
            prop_assert_eq!(signed.matches('\n').count(), text.matches('\n').count());
        }
    }

    #[test]
    fn a_key_opens_nothing_but_its_own_room_and_action(
        (made, tried) in ((a_room(), an_action()), (a_room(), an_action())),
        expires in NOW..NOW + 100,
    ) {
        let key = SignedKey::make(&secret(), made.1, &made.0, expires).to_string();
        let key = SignedKey::parse(&key).unwrap();
        let opens = key.verify([&secret()], tried.1, &tried.0, NOW).is_ok();
        prop_assert_eq!(opens, made == tried);
    }

    #[test]
    fn a_key_with_any_other_character_opens_nothing(
        at in 0usize..33, byte in b'!'..=b'~', expires in NOW..NOW + 1_000_000,
    ) {
        let room = RoomName::new("r").unwrap();
        let mut text = SignedKey::make(&secret(), Action::Play, &room, expires).to_string().into_bytes();
        prop_assume!(text[at] != byte);
        text[at] = byte;
        let changed = SignedKey::parse(std::str::from_utf8(&text).unwrap());
        prop_assert!(changed.is_none_or(|key| key.verify([&secret()], Action::Play, &room, NOW).is_err()));
    }

    #[test]
    fn a_token_opens_nothing_but_its_rooms_and_actions(
        pattern in "[a-c]{1,2}\\*?", granted in an_action(), room in a_room(), tried in an_action(),
    ) {
        let claims = Claims {
            room: RoomPattern::parse(&pattern).unwrap(),
            actions: Actions::default().with_word(granted.as_str()),
            expires_unix_s: NOW + 60,
            not_before_unix_s: None,
            ends_unix_s: None,
            subject: None,
            token_id: None,
            connections_max: None,
        };
        let is_covered = match pattern.strip_suffix('*') {
            Some(prefix) => room.as_str().starts_with(prefix),
            None => room.as_str() == pattern,
        };
        let is_granted = granted == tried && !matches!(tried, Action::Segment | Action::Pull);
        prop_assert_eq!(claims.check(tried, &room, NOW).is_ok(), is_covered && is_granted);
    }

    #[test]
    fn clocks_that_differ_by_half_a_minute_agree(skew in 0..LEEWAY_S, is_ahead in any::<bool>()) {
        let now = if is_ahead { NOW + skew } else { NOW - skew };
        let room = RoomName::new("r").unwrap();
        let key = SignedKey::make(&secret(), Action::Play, &room, NOW);
        prop_assert_eq!(key.verify([&secret()], Action::Play, &room, now), Ok(()));
        let request = NodeRequest { method: "GET", host: "h", path: "/p" };
        let signature = request.sign(&secret(), "n", NOW);
        prop_assert_eq!(request.verify([&secret()], &signature, now), Ok("n"));
    }
}
