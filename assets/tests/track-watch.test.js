import assert from "node:assert/strict";
import { test } from "node:test";

import { PAUSE_MS, TrackWatch } from "../playback/track-watch.js";

/** Notes the frames of a track from one time to another. */
function come(watch, kind, fromMs, toMs, everyMs = 40) {
  for (let timeMs = fromMs; timeMs < toMs; timeMs += everyMs) watch.note(kind, timeMs);
}

test("a track has come with its first frame", () => {
  const watch = new TrackWatch();
  assert.equal(watch.hasCome("video"), false);
  assert.equal(watch.isComing("video"), false);
  watch.note("video", 0);
  assert.equal(watch.hasCome("video"), true);
  assert.equal(watch.isComing("video"), true);
  assert.equal(watch.isSteady("video"), false);
});

test("a track pauses while the other one goes on, by the stream's own time", () => {
  const watch = new TrackWatch();
  watch.note("video", 0);
  come(watch, "audio", 0, PAUSE_MS + 20);
  assert.equal(watch.isComing("video"), true);
  come(watch, "audio", PAUSE_MS + 20, PAUSE_MS + 120);
  assert.equal(watch.isComing("video"), false);
  assert.equal(watch.isComing("audio"), true);
});

test("when both stop, neither has paused", () => {
  const watch = new TrackWatch();
  come(watch, "audio", 0, 1000);
  come(watch, "video", 0, 1000);
  assert.equal(watch.isComing("audio") && watch.isComing("video"), true);
});

test("a track is steady again only after it has come for a while", () => {
  const watch = new TrackWatch();
  come(watch, "audio", 0, 10_000);
  for (const timeMs of [10_000, 10_040]) {
    watch.note("audio", timeMs);
    watch.note("video", timeMs);
  }
  assert.equal(watch.isSteady("video"), false);
  for (let timeMs = 10_080; timeMs <= 10_600; timeMs += 40) {
    watch.note("audio", timeMs);
    watch.note("video", timeMs);
  }
  assert.equal(watch.isSteady("video"), true);
});

test("a frame now and then is never steady", () => {
  const watch = new TrackWatch();
  for (let timeMs = 0; timeMs < 60_000; timeMs += 40) {
    watch.note("audio", timeMs);
    if (timeMs % 8000 === 0) watch.note("video", timeMs);
    assert.equal(watch.isSteady("video"), false, `at ${timeMs} ms`);
  }
});

test("tracks that are apart by a constant are not taken for paused", () => {
  const watch = new TrackWatch();
  for (let timeMs = 0; timeMs < 5000; timeMs += 40) {
    watch.note("audio", timeMs + 1900);
    watch.note("video", timeMs);
    assert.equal(watch.isComing("video"), true);
  }
  assert.equal(watch.isSteady("video"), true);
});

test("a jump in the stream's time is no pause", () => {
  const watch = new TrackWatch();
  come(watch, "audio", 0, 1000);
  come(watch, "video", 0, 1000);
  watch.note("audio", 10_000);
  assert.equal(watch.isComing("video"), true);
});

test("the interval follows the slowest recent frames", () => {
  const watch = new TrackWatch();
  come(watch, "video", 0, 1000);
  assert.equal(watch.intervalMs("video"), 40);
  watch.note("video", 2000);
  assert.equal(watch.intervalMs("video"), 1040);
  come(watch, "video", 2040, 4000);
  assert.equal(watch.intervalMs("video"), 40);
  assert.equal(watch.intervalMs("audio"), 0);
});
