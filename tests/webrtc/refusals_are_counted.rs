//! Offers that are not answered are counted by their reason, like requests of other viewers.

use synctv_testkit::{
    metrics::Scrape,
    whep::{OFFER, SDP, post},
};

use crate::{publish, start};

#[test]
fn each_reason_has_its_outcome() {
    let server = start(&["--metrics-addr", "127.0.0.1:0", "--rtc-viewers-max", "1"]);
    let _publisher = publish(&server, "r");
    let post = |path: &str, body: &str| post(server.http, path, &[SDP], body).status;
    assert_eq!(post("/r/whep", "hello"), 400);
    assert_eq!(post("/r/whep", &OFFER.replace("H264", "H266")), 422);
    assert_eq!(post("/absent/whep", OFFER), 404);
    assert_eq!((post("/r/whep", OFFER), post("/r/whep", OFFER)), (201, 503));
    let counted = Scrape::of(server.metrics());
    for outcome in ["error", "unplayable", "not_live", "limit"] {
        let sample = format!(r#"synctv_viewer_joins_total{{protocol="webrtc",outcome="{outcome}"}}"#);
        assert_eq!(counted.value(&sample), 1.0, "{outcome}");
    }
}
