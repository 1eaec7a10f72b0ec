//! A viewer of a node that drains goes on over another one: the page opens a second player at the same address before the node
//! closes the connection of the first, also if the balancer leads to the node that drains for a while.

use std::path::PathBuf;

use serde_json::{Value, json};
use synctv_testkit::{
    balancer::Balancer,
    redis::Redis,
    server::{TestServer, program},
    tools::{ffmpeg, make_once, push_on_and_on, run},
};

use crate::browser::Browser;

/// The clip's length, within which its frames turn from black to white.
const LENGTH_S: u32 = 12;

/// Longest step back in the stream: the second player may be further behind live by some frames, and brightness is not
/// exact about which frame it is.
const STEP_BACK_MAX_S: f64 = 0.5;

/// Counts the page's requests for live media.
const COUNT_REQUESTS: &str = "
    globalThis.requests = 0;
    globalThis.fetch = ((original) => (...given) => {
      if (String(given[0]).includes('.flv')) requests += 1;
      return original(...given);
    })(globalThis.fetch);";

/// From here on, the frames that the element in view shows, as `[element, its time, the clip's time]`, and the states of the
/// page other than playing.
const NOTE: &str = "
    Object.assign(globalThis, { first: document.getElementById('video'), shown: [], states: [] });
    const stage = document.getElementById('stage');
    const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const follow = (video) =>
      video.requestVideoFrameCallback((_, { mediaTime }) => {
        pixel.drawImage(video, 0, 0, 1, 1);
        const clipS = (pixel.getImageData(0, 0, 1, 1).data[0] / 255) * LENGTH_S;
        if (video.id === 'video') shown.push([video === first ? 0 : 1, mediaTime, clipS]);
        follow(video);
      });
    const added = (changes) => changes.flatMap(({ addedNodes }) => [...addedNodes]);
    new MutationObserver((changes) => added(changes).forEach(follow)).observe(first.parentElement, { childList: true });
    const state = () => stage.dataset.state !== 'playing' && states.push(stage.dataset.state);
    new MutationObserver(state).observe(stage, { attributeFilter: ['data-state'] });
    follow(first);";

/// A frame in view: the number of its element, that element's time, and its place in the clip.
type Shown = (u32, f64, f64);

#[test]
fn the_video_goes_on_in_a_second_player() {
    let browser = Browser::start();
    let redis = Redis::start(&[]);
    let (leaving, staying) = (node("n1", &redis), node("n2", &redis));
    let _publisher = push_on_and_on(ffmpeg(), &clip(), &staying.rtmp_url("demo"));
    staying.wait_for_publisher("demo");
    let balancer = Balancer::start(leaving.http);
    browser.prepare(COUNT_REQUESTS);
    browser.open(&format!("http://{}/watch/demo", balancer.address));
    browser.until("document.getElementById('stage').dataset.state === 'playing'");
    browser.press(&["m"]);
    browser.run(&NOTE.replace("LENGTH_S", &LENGTH_S.to_string()));
    browser.until("shown.length > 25");

    leaving.signal("TERM");
    browser.until("requests > 1");
    balancer.point_at(staying.http);
    browser.until("document.getElementById('video') !== first");
    leaving.wait_for_viewer_leaving("demo", "http-flv");
    let before = browser.run("return shown.length");
    browser.until(&format!("shown.length > {before} + 25"));

    assert_goes_on(&browser.run("return shown"));
    // On a machine that is too busy to start a player in two seconds, the last frame stays in view until it plays.
    let states = browser.run("return states.filter((state) => state !== 'connecting')");
    assert_eq!(states, json!([]), "nothing is said to the viewer");
    assert!(browser.run("return requests").as_u64() > Some(2), "the first request was refused");
    let in_the_end = "const video = document.getElementById('video');
        return [video.muted, video.paused, document.querySelectorAll('video').length]";
    assert_eq!(browser.run(in_the_end), json!([false, false, 1]));
}

fn node(id: &str, redis: &Redis) -> TestServer {
    let mut command = program();
    command.env("NODE_ID", id).env("REDIS_URL", redis.url()).env("DRAIN_TIMEOUT_S", "8");
    TestServer::of(command)
}

/// H.264 at 25 frames and a keyframe a second, each frame brighter than the one before, and AAC.
fn clip() -> PathBuf {
    make_once("brighter.flv", |path| {
        let video = format!(
            "nullsrc=size=64x36:rate=25:duration={LENGTH_S},geq=lum='16+219*T/{LENGTH_S}':cb=128:cr=128"
        );
        let audio = format!("sine=frequency=440:sample_rate=44100:duration={LENGTH_S}");
        let mut program = ffmpeg();
        program.args(["-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &audio, "-c:a", "aac"]);
        program.args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-qp", "8"]);
        run(program.args(["-pix_fmt", "yuv420p", "-g", "25", "-y", "-f", "flv"]).arg(path));
    })
}

/// Asserts that no element's time goes back, and that the stream does not where one element follows the other.
fn assert_goes_on(shown: &Value) {
    let shown: Vec<Shown> = serde_json::from_value(shown.clone()).expect("frames in view");
    let changes: Vec<f64> = shown
        .windows(2)
        .filter_map(|pair| {
            let ((element, time_s, clip_s), (next, next_time_s, next_clip_s)) = (pair[0], pair[1]);
            if element == next {
                assert!(next_time_s >= time_s, "from {time_s} to {next_time_s} s");
            }
            (element != next).then(|| clip_step_s(clip_s, next_clip_s))
        })
        .collect();
    println!("from the last frame of the first player to the first one of the second: {changes:?} s");
    assert!(matches!(changes[..], [step_s] if step_s > -STEP_BACK_MAX_S), "{changes:?}");
}

/// Returns the way from one place in the clip to another, which may be in its next round.
fn clip_step_s(from_s: f64, to_s: f64) -> f64 {
    let length_s = f64::from(LENGTH_S);
    (to_s - from_s + length_s / 2.0).rem_euclid(length_s) - length_s / 2.0
}
