//! A room can be watched in a frame of another site's page; the list cannot be framed.

use synctv_testkit::{server::TestServer, tools::push_clip};

use crate::{browser::Browser, site::Site};

fn framing(url: &str) -> Site {
    let page = format!(
        "<!doctype html><link rel=icon href=data:,><iframe src='{url}' allow='autoplay' width=640 height=400></iframe>"
    );
    Site::serve(vec![("/", "text/html", page)])
}

#[test]
fn a_room_plays_in_a_frame() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    let _publisher = push_clip(&server, "demo");
    let site = framing(&server.url("/watch/demo"));
    browser.open(&site.url("/"));
    browser.enter_frame();
    browser.until("document.body.classList.contains('framed') && document.getElementById('stage').dataset.state === 'playing'");
    assert_eq!(browser.run("return getComputedStyle(document.querySelector('.top')).display"), "none");
    browser.assert_quiet();
}

#[test]
fn the_list_does_not_show_in_a_frame() {
    let browser = Browser::start();
    let server = TestServer::with_hls(&[]);
    let site = framing(&server.url("/"));
    browser.open(&site.url("/"));
    browser.enter_frame();
    assert_eq!(browser.run("return document.getElementById('rooms')"), serde_json::Value::Null);
    assert!(browser.complaints().iter().any(|line| line.contains("frame-ancestors")));
}
