//! The console shows nodes and rooms as they are, says what is wrong with them, and disconnects publishers and viewers.

use std::process::Stdio;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use synctv_media::{
    access::{Action, Secret, SignedKey},
    stream::room::RoomName,
};
use synctv_testkit::{
    flv::FlvViewer,
    http::send_get,
    nodes::TestCluster,
    process::Process,
    server::TestServer,
    socket::dial,
    tools::ffmpeg,
    troubled_rooms::{Trouble, TroubledRooms},
};

use crate::browser::{Browser, ENTER, TAB};

const ADMIN_TOKEN: &str = "the administrator of the console, 32 bytes";
const SECRET: &str = "the secret of the tests which has 32 bytes or more";

/// The number of times that the focus may have to move on to reach an element.
const TABS_MAX: usize = 12;

/// The trouble of a room in words.
fn words(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::RareKeyframes => "keyframe every 8.3 s: viewers join up to 8.3 s behind",
        Trouble::FewFrames => "publisher sends 19 of 30 frames a second",
        Trouble::Apart => "audio and video are 900 ms apart",
        Trouble::BFrames => "B-frames: WebRTC viewers cannot watch",
    }
}

/// An expression for a room's part of the page.
fn of_room(room: &str) -> String {
    format!("document.querySelector('[data-name$=\"/{room}\"]')")
}

/// An expression for the value that stands over a room's chart with this title.
fn chart_value(room: &str, title: &str) -> String {
    format!(
        "[...{}.querySelectorAll('.chart')].find((chart) => chart.textContent.startsWith('{title}'))
         .querySelector('.value').textContent",
        of_room(room)
    )
}

#[test]
fn rooms_with_trouble_come_are_explained_and_go() {
    let browser = Browser::start();
    let server = TestServer::start(&["--publisher-grace-s", "1", "--rtc-addr", "127.0.0.1:0"]);
    browser.open(&server.url("/console"));
    browser.until("document.querySelector('.node .status')?.textContent === 'ready'");
    browser.until("text('summary') === '1 node, 0 rooms'");
    let rooms = TroubledRooms::start(&server);
    let few = Trouble::FewFrames.room();
    let viewer = FlvViewer::open(&server, few);
    browser.until("text('summary') === '1 node, 4 rooms'");
    for trouble in Trouble::ALL {
        let said = format!("[...{}.querySelectorAll('.warnings li')]", of_room(trouble.room()));
        browser.until(&format!("{said}.some((item) => item.textContent.startsWith('{}'))", words(trouble)));
        let others = browser.run(&format!("return {said}.length"));
        assert_eq!(others, 1, "{trouble:?} has no other warning");
    }
    browser.until(&format!("{} === '1'", chart_value(few, "Viewers")));
    // To half a frame, as 5 s have 94 to 96 of them.
    browser.until(&format!("Math.round({}) === 19", chart_value(few, "Frames a second")));
    let samples = format!("Number({}.querySelector('.chart').dataset.samples)", of_room(few));
    let before = browser.run(&format!("return {samples}"));
    browser.until(&format!("{samples} > {before}"));
    assert_eq!(browser.run(&format!("return {}.textContent.includes('127.0.0.1')", of_room(few))), false);
    assert_fits(&browser);
    drop((viewer, rooms));
    browser.until("text('summary') === '1 node, 0 rooms' && !document.querySelector('.room')");
    browser.assert_quiet();
}

/// Asserts that nothing sticks out, and that four charts are in one row, two or four, on a desk and on a phone.
fn assert_fits(browser: &Browser) {
    for (width, scheme, rows) in [(360, "dark", 4), (800, "light", 2), (1280, "dark", 1)] {
        browser.look_like(width, 800, scheme);
        browser.until(
            "[...document.querySelectorAll('.chart')].every((chart) =>
             Math.abs(chart.querySelector('.u-wrap').offsetWidth - chart.clientWidth) <= 1)",
        );
        let overflow = browser.run("return document.documentElement.scrollWidth - innerWidth");
        assert!(overflow.as_i64() <= Some(0), "{width}: {overflow}");
        let tops =
            "[...document.querySelectorAll('.node > .charts > .chart')].map((chart) => chart.offsetTop)";
        assert_eq!(browser.run(&format!("return new Set({tops}).size")), rows, "{width}");
        let back = browser.run("return getComputedStyle(document.body).backgroundColor");
        let brightness = back.as_str().and_then(|color| color.split(['(', ',']).nth(1)?.trim().parse().ok());
        assert_eq!(brightness.map(|red: u8| red < 128), Some(scheme == "dark"), "{scheme}: {back}");
        browser.screenshot(&format!("console-{width}-{scheme}.png"));
    }
}

/// Pushes a test pattern as its publisher, with FFmpeg.
fn push(server: &TestServer) -> Process {
    let secret = Secret::new(SECRET.as_bytes()).expect("it is long enough");
    let key = SignedKey::make(&secret, Action::Publish, &RoomName::new("demo").expect("a name"), 0);
    let mut push = ffmpeg();
    push.args(["-re", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=12"]);
    push.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "12", "-f", "flv"]);
    push.arg(format!("{}?key={key}", server.rtmp_url("demo")));
    push.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Process::start(&mut push)
}

/// Watches with a token of this subject, until the first media has come.
fn watch_as(server: &TestServer, subject: &str) -> FlvViewer {
    let claims = json!({ "room": "demo", "do": ["play"], "exp": 4_000_000_000_u32, "sub": subject });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = encode(&Header::new(Algorithm::HS256), &claims, &key).expect("it can be signed");
    let mut socket = dial(server.http);
    send_get(&mut socket, &format!("/demo.flv?token={token}"));
    let mut viewer = FlvViewer::of(socket);
    viewer.next_media().expect("it is let in");
    viewer
}

/// Moves the focus on, as a person does, until it is at an element.
fn tab_to(browser: &Browser, selector: &str) {
    for _ in 0..TABS_MAX {
        browser.press(&[TAB]);
        if browser.run(&format!("return document.activeElement.matches('{selector}')")) == true {
            return;
        }
    }
    panic!("{selector} cannot be reached with the keyboard");
}

fn type_text(browser: &Browser, text: &str) {
    let keys: Vec<String> = text.chars().map(String::from).collect();
    browser.press(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    browser.press(&[ENTER]);
}

#[test]
fn an_administrator_disconnects_with_the_keyboard_whom_the_console_shows() {
    let browser = Browser::start();
    let flags = ["--admin-token", ADMIN_TOKEN, "--token-secret", SECRET, "--publisher-grace-s", "1"];
    let server = TestServer::start(&flags);
    let _push = push(&server);
    server.wait_for_publisher("demo");
    let (mut ann, mut bob) = (watch_as(&server, "ann"), watch_as(&server, "bob"));
    browser.open(&server.url("/console"));
    browser.until("!document.getElementById('login').hidden && !document.querySelector('.node')");
    // The request without a token is one that the browser reports.
    browser.complaints();
    tab_to(&browser, "#token");
    type_text(&browser, ADMIN_TOKEN);
    browser.until("document.querySelector('.fact-Publisher dd')?.textContent.startsWith('127.0.0.1:')");
    browser.until("document.querySelector('.fact-Encoder dd').textContent.startsWith('Lavf')");
    browser.until("document.querySelector('.fact-Viewers dd').textContent === '2 http-flv'");
    tab_to(&browser, ".viewers input");
    type_text(&browser, "ann");
    while ann.next_media().is_some() {}
    browser.until("document.querySelector('.fact-Viewers dd').textContent === '1 http-flv'");
    bob.next_media().expect("the other one still watches");
    browser.run("document.querySelector('.brand').focus()");
    tab_to(&browser, ".kick");
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
