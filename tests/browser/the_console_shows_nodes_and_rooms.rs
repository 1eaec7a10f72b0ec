//! The console shows nodes and rooms as they are, says what is wrong with them, and disconnects publishers.

use std::process::Stdio;

use synctv_testkit::{nodes::TestCluster, process::Process, server::TestServer, tools::ffmpeg};

use crate::browser::{Browser, ENTER, TAB};

const ADMIN_TOKEN: &str = "the administrator of the console, 32 bytes";

/// Pushes a test pattern with B-frames and a keyframe every 5 s.
fn push_trouble(url: &str) -> Process {
    let mut push = ffmpeg();
    push.args(["-re", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=12", "-f", "lavfi", "-i", "sine"]);
    push.args(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "60", "-sc_threshold", "0"]);
    push.args(["-c:a", "aac", "-f", "flv", url]);
    push.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Process::start(&mut push)
}

const SAMPLES: &str = "Number(document.querySelector('[data-name$=\"/demo\"] .chart')?.dataset.samples ?? 0)";

#[test]
fn a_room_with_trouble_comes_is_explained_and_goes() {
    let browser = Browser::start();
    let server = TestServer::start(&["--publisher-grace-s", "1"]);
    browser.open(&server.url("/console"));
    browser.until("document.querySelector('.node .status')?.textContent === 'ready'");
    browser.until("text('summary') === '1 node, 0 rooms'");
    let push = push_trouble(&server.rtmp_url("demo"));
    browser.until("text('summary') === '1 node, 1 room'");
    browser.until("document.querySelector('.fact-Encoder dd').textContent.startsWith('Lavf')");
    let warnings = "[...document.querySelectorAll('.warnings li')].map((item) => item.textContent)";
    browser.until(&format!("{warnings}.some((text) => text.startsWith('B-frames:'))"));
    browser.until(&format!("{warnings}.includes('keyframe every 5.0 s: viewers join up to 5.0 s behind')"));
    browser.until(&format!("{SAMPLES} >= 1"));
    let before = browser.run(&format!("return {SAMPLES}"));
    browser.until(&format!("{SAMPLES} > {before}"));
    drop(push);
    browser.until("text('summary') === '1 node, 0 rooms' && !document.querySelector('.room')");
    browser.assert_quiet();
}

#[test]
fn an_administrator_disconnects_a_publisher_with_the_keyboard() {
    let browser = Browser::start();
    let server = TestServer::start(&["--admin-token", ADMIN_TOKEN, "--publisher-grace-s", "1"]);
    let _push = push_trouble(&server.rtmp_url("demo"));
    server.wait_for_publisher("demo");
    browser.open(&server.url("/console"));
    browser.until("!document.getElementById('login').hidden && !document.querySelector('.node')");
    // The request without a token is one that the browser reports.
    browser.complaints();
    browser.press(&[TAB, TAB, TAB]);
    browser.until("document.activeElement.id === 'token'");
    let keys: Vec<String> = ADMIN_TOKEN.chars().map(String::from).collect();
    browser.press(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    browser.press(&[ENTER]);
    browser.until("document.querySelector('.kick')");
    browser.run("document.querySelector('.kick').focus()");
    browser.press(&[ENTER]);
    let left = server.wait_for_publisher_leaving("demo");
    assert_eq!(left.text("why"), "an administrator disconnected it");
    browser.assert_quiet();
}

#[test]
fn every_node_shows_all_nodes() {
    let browser = Browser::start();
    let cluster = TestCluster::default();
    let (first, second) = (cluster.node("n1", &[]), cluster.node("n2", &[]));
    let _publisher = second.publish("demo");
    browser.open(&format!("http://{}/console", first.http));
    browser.until(
        "document.querySelector('[data-name=n1]') && document.querySelector('[data-name=\"n2/demo\"]')",
    );
    browser.until("text('summary') === '2 nodes, 1 room'");
    browser.assert_quiet();
}

#[test]
fn it_fits_a_phone_in_the_dark() {
    let browser = Browser::start();
    let server = TestServer::start(&[]);
    let _push = push_trouble(&server.rtmp_url("demo"));
    for (width, scheme) in [(360, "dark"), (1280, "light")] {
        browser.look_like(width, 800, scheme);
        browser.open(&server.url("/console"));
        browser.until(&format!("{SAMPLES} >= 1 && document.querySelectorAll('.chart canvas').length >= 6"));
        let overflow = browser.run("return document.documentElement.scrollWidth - innerWidth");
        assert!(overflow.as_i64() <= Some(0), "{width}: {overflow}");
        let fits = "[...document.querySelectorAll('.chart')].every((chart) =>
             chart.querySelector('.u-wrap').offsetWidth <= chart.clientWidth)";
        assert_eq!(browser.run(&format!("return {fits}")), true, "{width}: a chart is wider than its place");
        browser.screenshot(&format!("console-{width}-{scheme}.png"));
    }
    browser.assert_quiet();
}
