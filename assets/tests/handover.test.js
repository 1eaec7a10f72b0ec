import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Handover } from "../handover.js";
import { FakeVideo, restore, stoppedClock } from "./support.js";

let pass, opened, taken, first, handover;

beforeEach(() => {
  pass = stoppedClock();
  opened = [];
  taken = [];
  first = { latency: 0.6 };
  // The middle of the jitter.
  mock.method(Math, "random", () => 0.5);
  handover = new Handover((next) => taken.push(next));
  handover.start(first, openNext);
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

/** Refuses each attempt of the next `ms`, and returns the times between them. */
function refuseFor(ms) {
  const pauses = [];
  for (let passed = 0, last = 0, seen = opened.length; passed < ms; ) {
    pass(50);
    passed += 50;
    if (opened.length === seen) continue;
    pauses.push(passed - last);
    [last, seen] = [passed, opened.length];
    handover.retry();
  }
  return pauses;
}

test("while the balancer leads to the node that drains, attempts become rarer", () => {
  handover.retry();
  assert.deepEqual(refuseFor(40_000), [300, 600, 1200, 2400, 4800, 9600, 10_000, 10_000]);
  pass(10_000);
  play(opened.at(-1), 0.1);
  pass(50);
  assert.deepEqual(taken, [opened.at(-1)]);
});

test("one change is under way at a time", () => {
  handover.start(first, openNext);
  pass(5000);
  assert.equal(opened.length, 1);
});

test("changes that follow each other become rarer, as long as each leads to a node that drains", () => {
  const pauses = [];
  for (let change = 0; change < 4; change++) {
    play(opened.at(-1), 0.1);
    pass(50);
    const count = opened.length;
    assert.equal(taken.length, count);
    handover.start(taken.at(-1), openNext);
    let waited = 0;
    for (; opened.length === count; waited += 50) pass(50);
    pauses.push(waited);
  }
  assert.deepEqual(pauses, [300, 600, 1200, 2400]);
});

test("a change long after the last one begins at once", () => {
  play(opened[0], 0.1);
  pass(50);
  handover.start(taken[0], openNext);
  pass(300);
  play(opened[1], 0.1);
  pass(10_050);
  handover.start(taken[1], openNext);
  assert.equal(opened.length, 3);
  handover.retry();
  pass(300);
  assert.equal(opened.length, 4);
});

test("the end of the first between two attempts leaves nothing to take, and no attempt behind", () => {
  handover.retry();
  assert.equal(handover.takeNow(), false);
  handover.drop();
  pass(20_000);
  assert.equal(opened.length, 1);
  handover.start(first, openNext);
  assert.equal(opened.length, 2);
});
