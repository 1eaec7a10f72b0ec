import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Playback, wayOf } from "../playback.js";
import { open as openFlv } from "../playback/flv.js";
import { open as openHls } from "../playback/hls.js";
import { open as openNativeHls } from "../playback/native-hls.js";
import { open as openWebRtc } from "../playback/webrtc.js";
import { FakeVideo, restore, settled, stoppedClock, withMediaSource } from "./support.js";

let pass, video, reports, player;

beforeEach(() => {
  pass = stoppedClock();
  video = new FakeVideo();
  reports = [];
  player = { latency: 0.5, tracks: undefined, keptUp: 0, wentLive: 0, destroyed: 0 };
  player.keepUp = () => (player.keptUp += 1);
  player.goLive = () => (player.wentLive += 1);
  player.destroy = () => (player.destroyed += 1);
});
afterEach(restore);

async function started(open = async () => player) {
  const events = {
    onEnd: (report) => reports.push(report),
    onHold: (shown) => reports.push({ hold: shown }),
    onBlocked: () => reports.push("blocked"),
    onMoving: () => reports.push("moving"),
  };
  const playback = new Playback(video, "http://server/r.flv", events);
  await playback.start(open);
  return playback;
}

/** Plays for a while with media that keeps coming. */
function play(ms) {
  video.readyState = 4;
  video.paused = false;
  for (let passed = 0; passed < ms; passed += 250) {
    video.currentTime += 0.25;
    video.ranges = [[0, video.currentTime + 0.5]];
    pass(250);
  }
}

test("each protocol has its way, and HLS falls back to the browser's own", () => {
  assert.equal(wayOf("hls"), openNativeHls);
  withMediaSource();
  assert.equal(wayOf("hls"), openHls);
  assert.equal(wayOf("flv"), openFlv);
  assert.equal(wayOf("webrtc"), openWebRtc);
});

test("a player gets the video element and the address, and is asked to keep up", async () => {
  let host;
  const playback = await started(async (given) => {
    host = given;
    return player;
  });
  assert.deepEqual([host.video, host.url], [video, "http://server/r.flv"]);
  play(1000);
  assert.equal(player.keptUp, 4);
  assert.equal(playback.latency, 0.5);
  assert.equal(playback.hasPlayed, true);
  assert.equal(playback.isStalled, false);
});

test("a player that cannot be opened ends the playback", async () => {
  await started(async () => {
    throw new Error("the library could not be loaded");
  });
  assert.deepEqual(reports, [{ why: "broken", text: "the library could not be loaded" }]);
});

test("a player that is open only after the end is destroyed", async () => {
  let give;
  const open = () => new Promise((resolve) => (give = resolve));
  const starting = started(open);
  await settled();
  const playback = new Playback(video, "", { onEnd: () => {}, onHold: () => {}, onBlocked: () => {} });
  const second = playback.start(open);
  playback.stop();
  give(player);
  await second;
  assert.equal(player.destroyed, 1);
  await Promise.race([starting, settled()]);
});

test("the end is reported once", async () => {
  const playback = await started();
  playback.end({ why: "over", text: "" });
  playback.end({ why: "broken", text: "late" });
  assert.deepEqual(reports, [{ why: "over", text: "" }]);
  assert.equal(player.destroyed, 1);
});

test("without new media the playback is stalled; a moment of media is not playing", async () => {
  const playback = await started();
  play(500);
  pass(1900);
  assert.equal(playback.isStalled, false);
  pass(500);
  assert.equal(playback.isStalled, true);
  const short = await started();
  play(500);
  assert.equal(short.hasPlayed, false);
});

test("a player that counts its media is stalled without more of it, whatever the position does", async () => {
  player.progress = 1;
  const playback = await started();
  play(1000);
  assert.equal(playback.isStalled, false);
  play(2500);
  assert.equal(playback.isStalled, true);
  player.progress = 2;
  play(250);
  assert.equal(playback.isStalled, false);
});

test("a gap in front of the position is left", async () => {
  await started();
  play(500);
  video.ranges = [[0, 1], [3, 5]];
  pass(250);
  assert.ok(video.currentTime < 1);
  pass(250);
  assert.equal(video.currentTime, 3.01);
});

test("an error about single tags is none while something plays", async () => {
  const playback = await started();
  play(1500);
  playback.doubt("Flv: Unsupported audio codec: mp4a");
  play(4000);
  assert.deepEqual(reports, []);
});

test("an error about single tags is the reason if nothing plays", async () => {
  const playback = await started();
  playback.doubt("Flv: Invalid AVCDecoderConfigurationRecord");
  playback.doubt("another");
  pass(2500);
  assert.deepEqual(reports, []);
  pass(1000);
  assert.deepEqual(reports, [{ why: "broken", text: "Flv: Invalid AVCDecoderConfigurationRecord" }]);
});

test("a paused viewer stays paused when the player asks to play", async () => {
  const playback = await started();
  playback.play();
  assert.equal(video.paused, false);
  playback.pause();
  playback.play();
  assert.equal(video.paused, true);
  playback.resume();
  assert.deepEqual([video.paused, player.wentLive], [false, 1]);
});

test("a browser that plays only on request is reported", async () => {
  const playback = await started();
  video.refusal = Object.assign(new Error(), { name: "AbortError" });
  playback.play();
  await settled();
  assert.deepEqual(reports, []);
  video.refusal = Object.assign(new Error(), { name: "NotAllowedError" });
  playback.play();
  await settled();
  assert.deepEqual(reports, ["blocked"]);
});

test("a notice is reported when it comes, and again on request if there has been one", async () => {
  let host;
  const playback = await started(async (given) => {
    host = given;
    return player;
  });
  playback.repeatNotice();
  assert.deepEqual(reports, []);
  host.moving();
  assert.deepEqual(reports, ["moving"]);
  playback.repeatNotice();
  assert.deepEqual(reports, ["moving", "moving"]);
  playback.stop();
  playback.repeatNotice();
  assert.equal(reports.length, 2);
});
