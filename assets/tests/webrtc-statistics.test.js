import assert from "node:assert/strict";
import { test } from "node:test";

import { Statistics } from "../playback/webrtc-statistics.js";

const video = (totalProcessingDelay, framesDecoded) =>
  ({ type: "inbound-rtp", kind: "video", packetsReceived: 7, totalProcessingDelay, framesDecoded });
const audio = (jitterBufferDelay, jitterBufferEmittedCount) =>
  ({ type: "inbound-rtp", kind: "audio", packetsReceived: 5, jitterBufferDelay, jitterBufferEmittedCount });
const pair = (currentRoundTripTime) => ({ type: "candidate-pair", nominated: true, currentRoundTripTime });

function after(...looks) {
  const statistics = new Statistics();
  for (const look of looks) statistics.note(look);
  return statistics.delayS;
}

test("the delay is that of the frames between two looks, and half a round trip", () => {
  assert.equal(after([video(10, 100), pair(0.5)]), undefined);
  assert.equal(after([video(10, 100), pair(0.5)], [video(12, 108), pair(0.5)]), 0.5);
});

test("video counts, and audio where there is no video", () => {
  assert.equal(after([video(1, 10), audio(5, 10)], [video(2, 14), audio(50, 20)]), 0.25);
  assert.equal(after([audio(5, 10)], [audio(10, 20)]), 0.5);
});

test("without new frames the delay stays as it was", () => {
  assert.equal(after([video(1, 10)], [video(2, 14)], [video(2, 14)], [pair(1)]), 0.25);
});

test("a browser that does not measure has no delay", () => {
  assert.equal(after([video(undefined, 10)], [video(undefined, 20)]), undefined);
});

test("packets are those of both tracks", () => {
  const statistics = new Statistics();
  assert.equal(statistics.packets, 0);
  statistics.note([video(1, 10), audio(1, 10), { type: "outbound-rtp" }]);
  assert.equal(statistics.packets, 12);
});
