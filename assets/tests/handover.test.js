import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Handover } from "../handover.js";
import { FakeVideo, restore, stoppedClock } from "./support.js";

let pass, opened, taken, first, handover;

beforeEach(() => {
  pass = stoppedClock();
  opened = [];
  taken = [];
  first = { latency: 0.6 };
  handover = new Handover(first, openNext, (next) => taken.push(next));
});
afterEach(restore);

function openNext() {
  const video = Object.assign(new FakeVideo(), { seeking: false, isRemoved: false });
  video.remove = () => (video.isRemoved = true);
  const next = { video, latency: 0.6, isStopped: false, stop: () => (next.isStopped = true) };
  opened.push(next);
  return next;
}

function play({ video }, seconds) {
  video.readyState = 4;
  pass(50);
  video.currentTime += seconds;
  pass(50);
}

test("the second playback takes over once it plays, and only then", () => {
  const [next] = opened;
  pass(5000);
  next.video.readyState = 4;
  pass(5000);
  assert.deepEqual(taken, []);
  next.video.currentTime = 0.1;
  pass(100);
  assert.deepEqual(taken, [next]);
  pass(5000);
  assert.equal(taken.length, 1);
});

test("one that is further behind live goes to where the first is, and plays there before it takes over", () => {
  const [next] = opened;
  next.latency = 1.6;
  next.video.currentTime = 3;
  play(next, 0.1);
  assert.equal(next.video.currentTime.toFixed(3), "4.100");
  next.latency = 0.6;
  next.video.seeking = true;
  pass(500);
  assert.deepEqual(taken, []);
  next.video.seeking = false;
  play(next, 0.1);
  assert.deepEqual(taken, [next]);
});

test("none goes so close to the end of its media that it would stand still", () => {
  first.latency = 0;
  const [next] = opened;
  next.latency = 1;
  play(next, 0.1);
  assert.equal(next.video.currentTime.toFixed(3), "0.700");
});

test("when the first ends, the second takes over as it is", () => {
  assert.equal(handover.takeNow(), true);
  assert.deepEqual(taken, opened);
  pass(5000);
  assert.equal(opened.length, 1);
});

test("a second playback that ends is opened again, and none takes over meanwhile", () => {
  handover.retry();
  assert.equal(handover.takeNow(), false);
  pass(299);
  assert.equal(opened.length, 1);
  pass(1);
  assert.equal(opened.length, 2);
  play(opened[1], 0.1);
  pass(50);
  assert.deepEqual(taken, [opened[1]]);
});

test("a handover that is dropped ends the second playback and opens no other", () => {
  handover.drop();
  assert.deepEqual([opened[0].isStopped, opened[0].video.isRemoved], [true, true]);
  play(opened[0], 1);
  pass(5000);
  assert.deepEqual([taken.length, opened.length], [0, 1]);
});

test("a drop between two attempts is the end as well", () => {
  handover.retry();
  handover.drop();
  pass(5000);
  assert.equal(opened.length, 1);
});
