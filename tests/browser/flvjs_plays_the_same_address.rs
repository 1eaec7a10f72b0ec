//! A page of another site that uses flv.js plays what the server's own page plays, over HTTP and over a WebSocket.

use synctv_testkit::{server::TestServer, tools::push_clip};

use crate::{browser::Browser, site::Site};

const PAGE: &str = include_str!("flvjs/index.html");
const SCRIPT: &str = include_str!("flvjs/flv-1.6.2.js");

#[test]
fn flvjs_decodes_it() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    let _publisher = push_clip(&server, "demo");
    let site = Site::serve(vec![
        ("/", "text/html", PAGE.to_owned()),
        ("/flv.js", "text/javascript", SCRIPT.to_owned()),
    ]);
    let url = server.flv_url("demo");
    for url in [url.replace("http://", "ws://"), url] {
        browser.open(&site.url(&format!("/?url={url}")));
        browser.until("video.currentTime > 2 && video.getVideoPlaybackQuality().totalVideoFrames >= 45");
        assert_eq!(browser.run("return document.querySelector('video').videoWidth"), 640);
        browser.assert_quiet();
    }
}
