import assert from "node:assert/strict";
import { test } from "node:test";

import { warningsOf } from "../room-warnings.js";

const WELL = {
  room: "r",
  is_live: true,
  origin: null,
  since_unix_ms: 1,
  encoder: "obs",
  video: "H.264",
  width: 640,
  height: 360,
  audio: "AAC",
  announced_frame_rate: 30,
  keyframe_interval_ms: 1000,
  video_after_audio_ms: 20,
  has_b_frames: false,
  webrtc: { state: "ok", reasons: [] },
  lacks_keyframes: false,
  bitrate_kbps: 900,
  viewers: {},
  skips: 0,
  charts: { kbps: [900], sent_kbps: [1800], viewers: [2], frame_rate: [29.8] },
};

const WEBRTC = { hasWebRtc: true };

/** What viewers over WebRTC get. */
const webrtc = (state, ...codes) => ({
  has_b_frames: true,
  webrtc: { state, reasons: codes.map((code) => ({ code, message: `reason ${code}` })) },
});

test("a room that is well has no warnings", () => assert.deepEqual(warningsOf(WELL, WEBRTC), []));

for (const [name, change, warning] of [
  ["rare keyframes", { keyframe_interval_ms: 8333 }, "keyframe every 8.3 s: viewers join up to 8.3 s behind"],
  ["no keyframes", { lacks_keyframes: true, keyframe_interval_ms: 9000 }, "no keyframes: viewers who join see broken video at first"],
  ["missing frames", { charts: { ...WELL.charts, frame_rate: [30, 19.2] } }, "publisher sends 19 of 30 frames a second"],
  ["audio ahead", { video_after_audio_ms: -900 }, "audio and video are 900 ms apart: players wait for the later one"],
  ["B-frames that others depend on", webrtc("refused", "b_frames"), "B-frames: WebRTC viewers cannot watch"],
  ["B-frames of which no more is known", { has_b_frames: true, webrtc: null }, "B-frames: WebRTC viewers may not be able to watch"],
  ["codecs", webrtc("refused", "codec"), "WebRTC viewers cannot watch: reason codec"],
  ["silent viewers", webrtc("limited", "b_frames_dropped", "no_audio"), "over WebRTC: reason no_audio"],
  ["skips", { skips: 2 }, "slow viewers skipped 2 times"],
  ["no publisher", { is_live: false }, "no publisher: viewers wait for it to come back"],
]) {
  test(`${name} are a warning`, () => assert.deepEqual(warningsOf({ ...WELL, ...change }, WEBRTC), [warning]));
}

test("B-frames that nothing depends on play over WebRTC", () => {
  assert.deepEqual(warningsOf({ ...WELL, ...webrtc("limited", "b_frames_dropped") }, WEBRTC), []);
});

test("nothing is said of WebRTC where it is off", () => {
  assert.deepEqual(warningsOf({ ...WELL, ...webrtc("refused", "b_frames") }, { hasWebRtc: false }), []);
});

test("frames are not missing before they were counted, or if none are announced", () => {
  assert.deepEqual(warningsOf({ ...WELL, charts: { ...WELL.charts, frame_rate: [] } }, WEBRTC), []);
  assert.deepEqual(warningsOf({ ...WELL, announced_frame_rate: null, charts: { ...WELL.charts, frame_rate: [5] } }, WEBRTC), []);
});
