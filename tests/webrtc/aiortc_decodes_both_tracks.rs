//! A player that shares no code with browsers decodes the video and the audio.

use serde_json::json;
use synctv_testkit::tools::{push_clip, python_with, run};

use crate::start;

const PLAYER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/webrtc/aiortc_player.py");

#[test]
fn h264_and_aac_as_opus() {
    let server = start(&[]);
    let _publisher = push_clip(&server, "r");
    let output = run(python_with("aiortc", "aiortc").args([PLAYER, &server.url("/r/whep")]));
    let tracks: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert_eq!(tracks[0], json!({ "kind": "video", "times_grow": true, "width": 640, "height": 360 }));
    assert_eq!((&tracks[1]["kind"], &tracks[1]["rate_hz"]), (&json!("audio"), &json!(48_000)), "{tracks}");
    assert!(tracks[1]["times_grow"] == true && tracks[1]["loudest"].as_u64() > Some(100), "{tracks}");
}
