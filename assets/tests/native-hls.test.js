import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { open } from "../playback/native-hls.js";
import { fakeHost, restore, timeRanges } from "./support.js";

let host;

beforeEach(() => {
  host = fakeHost();
  host.url = "http://server:8081/live/room/master.m3u8";
  host.video.canPlayType = (type) => (type === "application/vnd.apple.mpegurl" ? "maybe" : "");
});
afterEach(restore);

test("the browser gets the playlist's address", async () => {
  await open(host);
  assert.equal(host.video.src, host.url);
  assert.deepEqual(host.reports, ["play"]);
});

test("a browser without HLS says so", async () => {
  host.video.canPlayType = () => "";
  await assert.rejects(open(host), /plays neither HTTP-FLV nor HLS/);
});

test("MPEG-TS is tried once where nothing of the first playlist plays", async () => {
  await open(host);
  host.video.error = { message: "no playlist" };
  host.video.dispatchEvent(new Event("error"));
  assert.equal(host.video.src, "http://server:8081/live/room/index.m3u8");
  assert.deepEqual(host.reports, ["play", "play"]);
  host.video.dispatchEvent(new Event("error"));
  assert.deepEqual(host.reports.slice(2), [{ why: "broken", text: "no playlist" }]);
});

test("the end and errors are reported until the player is destroyed", async () => {
  const player = await open(host);
  host.video.readyState = 4;
  host.video.dispatchEvent(new Event("ended"));
  host.video.error = { message: "no playlist" };
  host.video.dispatchEvent(new Event("error"));
  assert.deepEqual(host.reports.slice(1), [
    { why: "over", text: "" },
    { why: "broken", text: "no playlist" },
  ]);
  player.destroy();
  assert.equal(host.video.src, "");
  host.video.dispatchEvent(new Event("ended"));
  assert.equal(host.reports.length, 3);
});

test("far behind, playback goes on at the newest media", async () => {
  const player = await open(host);
  host.video.seekable = timeRanges([]);
  player.goLive();
  host.video.seekable = timeRanges([[0, 100]]);
  host.video.currentTime = 90;
  player.goLive();
  assert.equal(host.video.currentTime, 90);
  host.video.currentTime = 50;
  player.goLive();
  assert.equal(host.video.currentTime, 100);
});
