//! A viewer that gets an answer and does not come is in the log, with the addresses that it was to connect to.

use synctv_testkit::whep::{OFFER, SDP, post};

use crate::{publish, start};

#[test]
fn the_offered_addresses_are_in_the_log() {
    let server = start(&["--rtc-hosts", "192.0.2.7"]);
    let _publisher = publish(&server, "r");
    assert_eq!(post(server.http, "/r/whep", &[SDP], OFFER).status, 201);
    let line = server.log.find("the report", |line| line.says("WebRTC viewer did not connect", "r"));
    assert_eq!(line.text("why"), "no connectivity check arrived");
    assert!(line.text("offered").contains("192.0.2.7"), "{}", line.text("offered"));
}
