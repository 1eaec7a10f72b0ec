//! Answers to offers name the STUN and TURN servers that are set.

use synctv_testkit::{
    http::request,
    whep::{OFFER, SDP, post},
};

use crate::{publish, start};

#[test]
fn answers_and_preflights_have_links() {
    let server = start(&[
        "--rtc-ice-servers",
        "stun:stun.example:3478,turn:me:secret@turn.example:3478?transport=udp",
    ]);
    let _publisher = publish(&server, "r");
    let links = [
        "<stun:stun.example:3478>; rel=\"ice-server\"",
        "<turn:turn.example:3478?transport=udp>; rel=\"ice-server\"; username=\"me\"; credential=\"secret\"; credential-type=\"password\"",
    ];
    for answer in [post(server.http, "/r/whep", &[SDP], OFFER), request(server.http, "OPTIONS", "/r/whep")] {
        assert_eq!(answer.header("link"), links.join(", "), "{}", answer.status);
        assert!(answer.header("access-control-expose-headers").contains("Link"));
    }
    assert_eq!(request(server.http, "GET", "/r/whep").header("link"), "");
}
