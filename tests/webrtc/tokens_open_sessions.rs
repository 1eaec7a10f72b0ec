//! A closed server gives a session to viewers that may watch the room, whichever way they carry their key.

use synctv_media::{
    access::{Action, Secret, SignedKey},
    stream::room::RoomName,
};
use synctv_testkit::whep::{OFFER, SDP, post};

use crate::{publish, start};

const SECRET: &str = "the secret of the tests which has 32 bytes or more";

fn key(room: &str, action: Action) -> String {
    let secret = Secret::new(SECRET.as_bytes()).unwrap();
    SignedKey::make(&secret, action, &RoomName::new(room).unwrap(), 0).to_string()
}

#[test]
fn a_session_needs_a_key_for_its_room() {
    let server = start(&["--token-secret", SECRET]);
    let _publisher = publish(&server, &format!("r?key={}", key("r", Action::Publish)));
    let status = |path: &str| post(server.http, path, &[SDP], OFFER).status;
    assert_eq!(status("/r/whep"), 401);
    assert_eq!(status(&format!("/r/whep?key={}", key("s", Action::Play))), 401);
    assert_eq!(status(&format!("/r/whep?key={}", key("r", Action::Play))), 201);
    let bearer = post(server.http, "/r/whep", &[SDP, ("Authorization", "Bearer nonsense")], OFFER);
    assert_eq!((bearer.status, bearer.header("www-authenticate")), (401, "Bearer"));
}
