import assert from "node:assert/strict";
import { test } from "node:test";

import {
  codecName,
  describeAudio,
  describeBitrate,
  describeLatency,
  describeSince,
  describeVideo,
  describeViewers,
} from "../text.js";

const details = (changes) => ({ video: null, audio: null, bitrate_kbps: null, viewers: 0, ...changes });

test("video is described by its codec and size, where they are known", () => {
  assert.equal(describeVideo(null), "");
  assert.equal(describeVideo(details({})), "no video");
  assert.equal(describeVideo(details({ video: { codec: "H.264", width: 640, height: 360 } })), "H.264 640 × 360");
  assert.equal(describeVideo(details({ video: { codec: "AV1", width: null, height: null } })), "AV1");
});

test("codecs of FLV without a name of their own have one for people", () => {
  assert.equal(describeAudio(details({ audio: { codec: "flv-audio-7" } })), "G.711 A-law");
  assert.equal(describeAudio(details({})), "no audio");
  assert.equal(codecName("flv-audio-11"), "Speex");
  assert.equal(codecName("flv-audio-6"), "Nellymoser");
  assert.equal(codecName("AAC"), "AAC");
});

test("bitrates and viewers have their units", () => {
  assert.equal(describeBitrate(details({ bitrate_kbps: 0 })), "0 kbit/s");
  assert.equal(describeBitrate(details({ bitrate_kbps: 1550 })), "1.6 Mbit/s");
  assert.equal(describeBitrate(details({})), "");
  assert.equal(describeViewers(details({ viewers: 1 })), "1 viewer");
  assert.equal(describeViewers(details({ viewers: 2 })), "2 viewers");
});

test("durations have the unit that fits", () => {
  const since = (seconds) => describeSince(1, 1 + 1000 * seconds);
  assert.deepEqual(
    [-5, 59, 60, 3599, 3600, 47 * 3600 + 60, 48 * 3600].map(since),
    ["live for 0 s", "live for 59 s", "live for 1 min", "live for 59 min", "live for 1 h 0 min", "live for 47 h 1 min", "live for 2 days"],
  );
  assert.equal(describeSince(undefined), "");
});

test("a distance from live of less than a tenth of a second is not called none", () => {
  assert.equal(describeLatency(0.0423), "< 0.1 s");
  assert.equal(describeLatency(0.62), "0.6 s");
  assert.equal(describeLatency(6), "6.0 s");
});
