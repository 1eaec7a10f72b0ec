import assert from "node:assert/strict";
import { test } from "node:test";

import { FlvCache } from "../playback/flv-cache.js";
import { FlvTags } from "../playback/flv-tags.js";
import * as flv from "./support.js";

/** A cache that has taken these tags. */
function cacheOf(...tags) {
  const cache = new FlvCache();
  for (const tag of new FlvTags().push(flv.bytesOf(flv.flvHeader(), ...tags))) cache.add(tag);
  return cache;
}

/** The roles and times in a stream of a cache. */
function content({ bytes }) {
  return new FlvTags().push(bytes).map(({ kind, role, timeMs }) => `${kind} ${role} ${timeMs}`);
}

const BOTH = { audio: true, video: true };

test("a stream begins with headers and the newest keyframe", () => {
  const cache = cacheOf(
    flv.script(),
    flv.videoHeader(),
    flv.audioHeader(),
    flv.keyframe(0),
    flv.audio(20),
    flv.inter(40),
    flv.keyframe(1000),
    flv.audio(1010),
    flv.inter(1040),
  );
  assert.equal(cache.hasKeyframe, true);
  const stream = cache.stream(BOTH);
  assert.equal(stream.firstMs, 1000);
  assert.deepEqual(content(stream), [
    "script other 0",
    "video header 0",
    "audio header 0",
    "video keyframe 0",
    "audio frame 10",
    "video frame 40",
  ]);
});

test("a stream without a track has nothing of it", () => {
  const cache = cacheOf(flv.videoHeader(), flv.audioHeader(), flv.keyframe(0), flv.audio(20), flv.inter(40));
  const stream = cache.stream({ audio: true, video: false });
  assert.deepEqual(content(stream), ["audio header 0", "audio frame 0"]);
  assert.equal(stream.firstMs, 20);
  assert.deepEqual(new FlvTags().push(stream.bytes).length, 2);
});

test("without a keyframe, a little audio is kept, and its header", () => {
  const cache = new FlvCache();
  const source = new FlvTags();
  source.push(flv.flvHeader());
  for (const tag of source.push(flv.audioHeader())) cache.add(tag);
  for (let timeMs = 0; timeMs <= 10_000; timeMs += 100) for (const tag of source.push(flv.audio(timeMs))) cache.add(tag);
  assert.equal(cache.hasKeyframe, false);
  const stream = cache.stream({ audio: true, video: false });
  assert.equal(stream.firstMs, 8000);
  assert.equal(content(stream)[0], "audio header 0");
});

test("a newer header takes the place of an older one", () => {
  const newer = flv.tag(8, 0, [0xaf, 0, 0x11, 0x90]);
  const cache = cacheOf(flv.audioHeader(), flv.keyframe(0), newer, flv.keyframe(40), flv.audio(50));
  const [header] = new FlvTags().push(cache.stream({ audio: true, video: false }).bytes);
  assert.deepEqual([...header.bytes.slice(11, 15)], [0xaf, 0, 0x11, 0x90]);
});

test("more than the limit is not kept", () => {
  const cache = new FlvCache();
  const source = new FlvTags();
  source.push(flv.flvHeader());
  const body = new Uint8Array(4 * 1024 * 1024);
  body.set([0x27, 1]);
  for (const tag of source.push(flv.bytesOf(flv.videoHeader(), flv.keyframe(0)))) cache.add(tag);
  for (let frame = 1; frame < 4; frame++) for (const tag of source.push(flv.tag(9, 40 * frame, body))) cache.add(tag);
  assert.equal(cache.hasKeyframe, true);
  for (const tag of source.push(flv.tag(9, 160, body))) cache.add(tag);
  assert.equal(cache.hasKeyframe, false);
  for (const tag of source.push(flv.keyframe(200))) cache.add(tag);
  assert.deepEqual(content(cache.stream(BOTH)), ["video header 0", "video keyframe 0"]);
});

test("a still is the newest frame, with one behind it that releases it", () => {
  const cache = cacheOf(flv.videoHeader(), flv.audioHeader(), flv.keyframe(0), flv.inter(40), flv.audio(5000));
  assert.equal(cache.newestVideoMs, 40);
  const still = cache.still();
  assert.deepEqual(content(still), ["video header 0", "video keyframe 0", "video frame 40", "video frame 1040"]);
  assert.equal(still.positionS, 0.54);
  assert.equal(cacheOf(flv.audioHeader(), flv.audio(0)).still(), undefined);
});
