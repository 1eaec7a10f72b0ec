//! A proxy may serve the page under a prefix of its own site: everything that the page asks for is below the prefix.

use synctv_testkit::{server::TestServer, tools::push_clip};

use crate::{browser::Browser, prefix_proxy::PrefixProxy};

#[test]
fn the_list_and_a_room_work_under_a_prefix() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    let _publisher = push_clip(&server, "demo");
    let proxy = PrefixProxy::start("/tv", server.http);
    browser.open(&proxy.url("/"));
    browser.until("document.querySelector('[data-room=demo] .video')?.textContent === 'H.264 640 × 360'");
    browser.run("document.querySelector('[data-room=demo]').click()");
    browser.until("location.pathname === '/tv/watch/demo' && document.getElementById('stage')?.dataset.state === 'playing'");
    assert_eq!(browser.run("return document.getElementById('room').textContent"), "demo");
    let flv = proxy.url("/demo.flv");
    assert_eq!(browser.run("return document.getElementById('address-flv').textContent"), flv.as_str());
    browser.run("document.querySelector('.brand').click()");
    browser.until("location.pathname === '/tv/' && document.querySelector('[data-room=demo]')");
    browser.assert_quiet();
}
