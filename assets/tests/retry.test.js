import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { jittered, Retry } from "../retry.js";
import { restore, stoppedClock } from "./support.js";

let pass;

beforeEach(() => {
  pass = stoppedClock();
  // The middle of the jitter.
  mock.method(Math, "random", () => 0.5);
});
afterEach(restore);

function waits(retry, due) {
  const before = due.mock.callCount();
  retry.fail();
  let waited = 0;
  for (; due.mock.callCount() === before; waited += 100) pass(100);
  return waited;
}

test("each failure in a row doubles the wait, up to a limit", () => {
  const due = mock.fn();
  const retry = new Retry(due);
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(() => waits(retry, due)), [1000, 2000, 4000, 8000, 10_000, 10_000]);
  assert.equal(retry.failures, 6);
});

test("a success ends the wait and forgets the failures", () => {
  const due = mock.fn();
  const retry = new Retry(due);
  waits(retry, due);
  retry.fail();
  assert.equal(retry.isWaiting, true);
  retry.reset();
  assert.equal(retry.isWaiting, false);
  pass(20_000);
  assert.equal(due.mock.callCount(), 1);
  assert.equal(waits(retry, due), 1000);
});

test("jitter is a fifth at most, either way", () => {
  for (const [random, expected] of [[0, 800], [0.5, 1000], [1, 1200]]) {
    mock.method(Math, "random", () => random);
    assert.equal(Math.round(jittered(1000)), expected);
  }
});
