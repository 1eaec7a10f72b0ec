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
  lacks_keyframes: false,
  bitrate_kbps: 900,
  viewers: {},
  skips: 0,
  charts: { kbps: [900], frame_rate: [29.8] },
};

test("a room that is well has no warnings", () => assert.deepEqual(warningsOf(WELL), []));

for (const [name, change, warning] of [
  ["rare keyframes", { keyframe_interval_ms: 8333 }, "keyframe every 8.3 s: viewers join up to 8.3 s behind"],
  ["no keyframes", { lacks_keyframes: true, keyframe_interval_ms: 9000 }, "no keyframes: viewers who join see a broken picture at first"],
  ["missing frames", { charts: { kbps: [], frame_rate: [30, 19.2] } }, "publisher sends 19 of 30 frames a second"],
  ["audio ahead", { video_after_audio_ms: -900 }, "audio and video are 900 ms apart: players wait for the later one"],
  ["B-frames", { has_b_frames: true }, "B-frames: each adds a frame's delay, and most such streams cannot be watched over WebRTC"],
  ["skips", { skips: 2 }, "slow viewers skipped 2 times"],
  ["no publisher", { is_live: false }, "no publisher: viewers wait for it to come back"],
]) {
  test(`${name} are a warning`, () => assert.deepEqual(warningsOf({ ...WELL, ...change }), [warning]));
}

test("frames are not missing before they were counted, or if none are announced", () => {
  assert.deepEqual(warningsOf({ ...WELL, charts: { kbps: [], frame_rate: [] } }), []);
  assert.deepEqual(warningsOf({ ...WELL, announced_frame_rate: null, charts: { kbps: [], frame_rate: [5] } }), []);
});
