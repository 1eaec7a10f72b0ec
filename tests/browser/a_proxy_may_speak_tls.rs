//! A page behind a trusted proxy that speaks TLS plays FLV and HLS from there: nothing is mixed content.

use synctv_testkit::{server::TestServer, tls::TestAuthority, tools::push_clip};

use crate::{browser::Browser, prefix_proxy::PrefixProxy, rooms_play_over_https::key_hash};

#[test]
fn the_addresses_shown_are_the_proxys_and_all_of_them_play() {
    let authority = TestAuthority::new();
    let browser = Browser::trusting(&key_hash(&authority));
    let server = TestServer::with_hls(&["--trust-proxy", "127.0.0.1"]);
    let _publisher = push_clip(&server, "demo");
    let proxy = PrefixProxy::start_tls("/tv", server.http, authority.server_config());
    browser.open(&proxy.url("/watch/demo"));
    browser.until("document.getElementById('stage').dataset.state === 'playing' && video.currentTime > 1");
    for (id, path) in [("flv", "/demo.flv"), ("hls", "/live/demo/master.m3u8")] {
        browser.until(&format!("text('address-{id}') === '{}'", proxy.url(path)));
    }
    browser.run("document.querySelector('[name=protocol][value=hls]').click()");
    browser.until("globalThis.Hls && document.getElementById('stage').dataset.state === 'playing'");
    browser.until("text('latency').endsWith('behind live') && Number(document.getElementById('latency').dataset.seconds) > 0.5");
    browser.assert_quiet();
}
