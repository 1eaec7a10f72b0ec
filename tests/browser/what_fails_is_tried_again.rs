//! A live room that does not play is tried again, ever less often, until it plays.

use synctv_testkit::{server::TestServer, tools::push_clip};

use crate::browser::Browser;

const PLAYING: &str = "document.getElementById('stage').dataset.state === 'playing' && video.currentTime > 1";
const SAID: &str = "This stream cannot be played here";
const FAILING: &str = "document.getElementById('stage').dataset.state === 'failing'";

/// Media requests are refused for as long as `isBroken`, and their times are noted; `breakOff` ends the last one. Pauses are
/// noted as well, and not random.
const REFUSE_MEDIA: &str = "
    const real = globalThis.fetch;
    const wait = globalThis.setTimeout;
    Object.assign(globalThis, { isBroken: true, tries: [], pauses: [] });
    Math.random = () => 0.5;
    globalThis.setTimeout = (act, ms) => {
      pauses.push(ms);
      return wait(act, ms);
    };
    globalThis.fetch = async (url, options) => {
      if (!String(url).includes('.flv')) return real(url, options);
      tries.push(performance.now());
      if (isBroken) return new Response('', { status: 503 });
      const { body } = await real(url, options);
      const { readable, writable } = new TransformStream();
      const end = new AbortController();
      body.pipeTo(writable, { signal: end.signal }).catch(() => {});
      globalThis.breakOff = () => end.abort();
      return new Response(readable);
    };";

/// The browser takes no media for as long as `isBroken`. Waits are a quarter as long.
const TAKE_NO_MEDIA: &str = "
    const wait = globalThis.setTimeout;
    globalThis.setTimeout = (act, ms) => wait(act, ms / 4);
    const real = SourceBuffer.prototype.appendBuffer;
    globalThis.isBroken = true;
    SourceBuffer.prototype.appendBuffer = function (media) {
      if (isBroken) throw new Error('not this');
      real.call(this, media);
    };";

/// A page that waits for its room, with something broken.
fn wait_with(server: &TestServer, broken: &str) -> Browser {
    let browser = Browser::start();
    browser.open(&server.url("/watch/demo"));
    browser.until("text('message') === 'This room is not live yet'");
    browser.run(broken);
    browser
}

fn assert_plays_when_mended(browser: &Browser) {
    browser.until("text('explanation').startsWith('Trying again…')");
    assert_eq!(browser.run("isBroken = false; return document.getElementById('message').textContent"), SAID);
    browser.until(PLAYING);
}

#[test]
fn a_server_that_refuses_is_asked_ever_less_often() {
    let server = TestServer::with_hls(&[]);
    let browser = wait_with(&server, REFUSE_MEDIA);
    let _publisher = push_clip(&server, "demo");
    browser.until(FAILING);
    let tries = browser.run("return tries");
    let tries: Vec<f64> =
        tries.as_array().expect("a list").iter().map(|at| at.as_f64().expect("a time")).collect();
    let [first, second, third, ..] = tries[..] else { panic!("not three, but {tries:?}") };
    // A second and two, of a clock that is not more exact than a few milliseconds.
    assert!(second - first >= 990.0 && third - second >= 1990.0, "{tries:?}");
    assert_plays_when_mended(&browser);
    browser.assert_quiet();
}

#[test]
fn media_that_breaks_is_not_taken_for_media_that_cannot_be_decoded() {
    for protocol in ["flv", "hls"] {
        let server = TestServer::with_hls(&[]);
        let browser = wait_with(&server, TAKE_NO_MEDIA);
        browser.run(&format!("document.querySelector('[name=protocol][value={protocol}]').click()"));
        let _publisher = push_clip(&server, "demo");
        browser.until(FAILING);
        assert_plays_when_mended(&browser);
        assert_eq!(browser.run("return document.querySelector('[name=protocol]:checked').value"), protocol);
    }
}

#[test]
fn what_played_is_tried_again_at_once() {
    let server = TestServer::with_hls(&[]);
    let browser = wait_with(&server, REFUSE_MEDIA);
    let _publisher = push_clip(&server, "demo");
    browser.until("tries.length === 2");
    browser.run("isBroken = false");
    browser.until(PLAYING);
    browser.run("tries = []; pauses = []; breakOff()");
    browser.until("tries.length === 1");
    // The pauses behind a first failure, and behind a third one. The page asks for the room every two seconds.
    assert_eq!(browser.run("return pauses.some((ms) => ms === 1000 || ms === 4000)"), false);
    let now = browser.run("return document.querySelector('video').currentTime");
    browser.until(&format!("{PLAYING} && video.currentTime !== {now}"));
    browser.assert_quiet();
}
