import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { HlsPlayer } from "../playback/hls.js";
import { fakeHost, restore, timeRanges } from "./support.js";

let host, instances;

class Hls {
  static Events = {
    ERROR: "error",
    MANIFEST_PARSED: "parsed",
    BUFFER_CODECS: "codecs",
    BUFFER_APPENDED: "appended",
    FRAG_BUFFERED: "buffered",
  };
  static ErrorDetails = { BUFFER_ADD_CODEC_ERROR: "bufferAddCodecError" };
  latency = 0;
  liveSyncPosition = null;
  listeners = new Map();
  isDestroyed = false;
  isStopped = false;

  constructor() {
    instances.push(this);
  }

  on(event, listener) {
    this.listeners.set(event, listener);
  }

  emit(event, data = {}) {
    this.listeners.get(event)(event, data);
  }

  loadSource(url) {
    this.url = url;
  }

  attachMedia(video) {
    this.video = video;
  }

  stopLoad() {
    this.isStopped = true;
  }

  destroy() {
    this.isDestroyed = true;
  }

  /** Buffers a segment whose tracks end at these times. */
  buffer({ audio, video }) {
    const timeRanges_ = { ...(audio && { audio: timeRanges([[0, audio]]) }), ...(video && { video: timeRanges([[0, video]]) }) };
    this.emit("appended", { timeRanges: timeRanges_ });
    this.emit("buffered");
  }
}

beforeEach(() => {
  host = fakeHost();
  instances = [];
});
afterEach(restore);

test("the playlist is loaded and played", () => {
  const player = new HlsPlayer(Hls, host);
  const [hls] = instances;
  assert.deepEqual([hls.url, hls.video], [host.url, host.video]);
  hls.emit("parsed");
  assert.deepEqual(host.reports, ["play"]);
  assert.equal(player.latency, undefined);
  hls.latency = 6.5;
  assert.equal(player.latency, 6.5);
});

test("after a long pause, playback goes on where hls.js aims at", () => {
  const player = new HlsPlayer(Hls, host);
  instances[0].liveSyncPosition = 30;
  host.video.currentTime = 27;
  player.goLive();
  assert.equal(host.video.currentTime, 27);
  host.video.currentTime = 5;
  player.goLive();
  assert.equal(host.video.currentTime, 30);
});

test("only fatal errors are the end", () => {
  new HlsPlayer(Hls, host);
  const [hls] = instances;
  hls.emit("error", { fatal: false, details: "fragLoadError" });
  assert.deepEqual(host.reports, []);
  hls.emit("error", { fatal: true, details: "levelLoadError" });
  hls.emit("error", { fatal: true, details: "bufferAddCodecError" });
  assert.deepEqual(host.reports, [
    { why: "broken", text: "levelLoadError" },
    { why: "undecodable", text: "bufferAddCodecError" },
  ]);
});

test("the end of the playlist is the end of the stream, until the player is destroyed", () => {
  const player = new HlsPlayer(Hls, host);
  host.video.dispatchEvent(new Event("ended"));
  assert.deepEqual(host.reports, [{ why: "over", text: "" }]);
  player.destroy();
  host.video.dispatchEvent(new Event("ended"));
  assert.equal(host.reports.length, 1);
  assert.equal(instances[0].isDestroyed, true);
});

test("a track that pauses is left behind where it ends", () => {
  const player = new HlsPlayer(Hls, host);
  instances[0].emit("codecs", { audio: {}, video: {} });
  assert.deepEqual(player.tracks, { audio: true, video: true });
  instances[0].buffer({ audio: 4, video: 4 });
  instances[0].buffer({ audio: 6, video: 4 });
  host.video.currentTime = 3;
  player.keepUp();
  assert.equal(instances.length, 1);
  host.video.currentTime = 3.8;
  player.keepUp();
  assert.equal(instances.length, 2);
  assert.equal(instances[0].isDestroyed, true);
  assert.deepEqual(host.reports, ["hold"]);
  instances[1].emit("codecs", { audio: {} });
  assert.deepEqual(player.tracks, { audio: true, video: false });
});

test("a short difference between the tracks of a segment is none", () => {
  const player = new HlsPlayer(Hls, host);
  instances[0].emit("codecs", { audio: {}, video: {} });
  instances[0].buffer({ audio: 4.5, video: 4 });
  host.video.currentTime = 4;
  player.keepUp();
  assert.equal(instances.length, 1);
});

test("a new track has another player once playback is there, and hls.js's trouble with it is no error", () => {
  const player = new HlsPlayer(Hls, host);
  const [hls] = instances;
  hls.emit("codecs", { audio: {} });
  hls.buffer({ audio: 6 });
  hls.emit("codecs", { audio: {}, video: {} });
  assert.equal(hls.isStopped, true);
  hls.emit("error", { fatal: true, details: "bufferAppendError" });
  assert.deepEqual(host.reports, []);
  host.video.currentTime = 5;
  player.keepUp();
  assert.equal(instances.length, 1);
  host.video.currentTime = 5.8;
  player.keepUp();
  assert.equal(instances.length, 2);
  instances[1].emit("codecs", { audio: {}, video: {} });
  instances[1].emit("error", { fatal: true, details: "levelLoadError" });
  assert.deepEqual(host.reports, ["hold", { why: "broken", text: "levelLoadError" }]);
});
