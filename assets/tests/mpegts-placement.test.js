import assert from "node:assert/strict";
import { test } from "node:test";

import { Placement } from "../playback/mpegts-placement.js";

const BOTH = { audio: true, video: true };

/** A player that makes a source buffer a microtask after the bytes that need it, as mpegts.js does. */
function fake() {
  const buffers = { audio: null, video: null };
  const passed = [];
  const sink = {
    pass(bytes) {
      passed.push([...bytes]);
      const make = { 1: "video", 2: "audio" }[bytes[0]];
      if (make) Promise.resolve().then(() => (buffers[make] ??= { timestampOffset: 0, updating: false }));
    },
  };
  return { player: { _player_engine: { _mse_controller: { _sourceBuffers: buffers } } }, buffers, passed, sink };
}

const parts = (...numbers) => numbers.map((number) => Uint8Array.of(number));

test("source buffers are placed before they get their second frame", async () => {
  const { player, buffers, passed, sink } = fake();
  const placement = new Placement(player, sink, BOTH, 12.5, "AAC");
  assert.equal(placement.shiftS, 0);
  await placement.pass(parts(1, 2, 3, 4));
  assert.deepEqual(passed, [[1], [2], [3, 4]]);
  assert.deepEqual([buffers.audio.timestampOffset, buffers.video.timestampOffset], [12.5, 12.5]);
});

test("what arrives meanwhile waits for its turn", async () => {
  const { player, passed, sink } = fake();
  const placement = new Placement(player, sink, BOTH, 3, "AAC");
  const first = placement.pass(parts(1, 5));
  placement.pass(parts(2, 6));
  assert.deepEqual(passed, [[1]]);
  await first;
  await placement.pass(parts(7));
  assert.deepEqual(passed, [[1], [5], [2], [6], [7]]);
});

test("a player that begins at zero needs no placing", async () => {
  const { player, buffers, passed, sink } = fake();
  await new Placement(player, sink, BOTH, 0, "AAC").pass(parts(1, 2, 3));
  assert.deepEqual(passed, [[1, 2, 3]]);
  assert.equal(buffers.audio, null);
});

test("MP3 and an unknown mpegts.js begin at zero, and the shift says so", async () => {
  const { player, passed, sink } = fake();
  const mp3 = new Placement(player, sink, BOTH, 8, "MP3");
  await mp3.pass(parts(1, 2));
  assert.deepEqual([mp3.shiftS, passed], [8, [[1, 2]]]);
  assert.equal(new Placement({}, sink, BOTH, 8, "AAC").shiftS, 8);
  assert.equal(new Placement(player, sink, { audio: false, video: true }, 8, "MP3").shiftS, 0);
});
