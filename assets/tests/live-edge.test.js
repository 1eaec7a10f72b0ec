import assert from "node:assert/strict";
import { test } from "node:test";

import { behindBuffer, followLive, isBuffered, jumpToLive, leaveGap } from "../playback/live-edge.js";
import { FakeVideo } from "./support.js";

function videoAt(currentTime, ...ranges) {
  return Object.assign(new FakeVideo(), { currentTime, ranges });
}

test("the distance from live is to the end of the newest media", () => {
  assert.equal(behindBuffer(videoAt(3, [0, 2], [2.5, 4])), 1);
  assert.equal(behindBuffer(videoAt(5, [0, 4])), 0);
  assert.equal(behindBuffer(videoAt(0)), undefined);
});

test("far behind, playback jumps, but not in front of the newest range", () => {
  const far = videoAt(1, [0, 10]);
  jumpToLive(far, 0.6);
  assert.equal(far.currentTime, 9.4);
  const shortRange = videoAt(1, [0, 2], [9.8, 10]);
  jumpToLive(shortRange, 0.6);
  assert.equal(shortRange.currentTime, 9.8);
  const near = videoAt(6.1, [0, 10]);
  jumpToLive(near, 0.6);
  assert.equal(near.currentTime, 6.1);
});

test("a little behind, playback goes faster until it is there", () => {
  const video = videoAt(8.9, [0, 10]);
  followLive(video, 0.6);
  assert.equal(video.playbackRate, 1.2);
  video.currentTime = 9.2;
  followLive(video, 0.6);
  assert.equal(video.playbackRate, 1.2);
  video.currentTime = 9.4;
  followLive(video, 0.6);
  assert.equal(video.playbackRate, 1);
});

test("a gap is left at its end", () => {
  const video = videoAt(2, [0, 2], [5, 8], [9, 10]);
  leaveGap(video);
  assert.equal(video.currentTime, 5.01);
  const whole = videoAt(2, [0, 4]);
  leaveGap(whole);
  assert.equal(whole.currentTime, 2);
});

test("a position is buffered from a range's start to before its end", () => {
  const video = videoAt(0, [1, 2], [3, 4]);
  assert.deepEqual([0.9, 1, 2, 3.5].map((position) => isBuffered(video, position)), [false, true, false, true]);
});
