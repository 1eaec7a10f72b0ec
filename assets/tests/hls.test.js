import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { HlsPlayer } from "../playback/hls.js";
import { fakeHost, restore, timeRanges } from "./support.js";

let host, instances;

class Hls {
  static Events = {
    ERROR: "error",
    MANIFEST_LOADED: "loaded",
    MANIFEST_PARSED: "parsed",
    BUFFER_CODECS: "codecs",
    BUFFER_APPENDED: "appended",
    FRAG_BUFFERED: "buffered",
  };
  static ErrorDetails = { BUFFER_ADD_CODEC_ERROR: "bufferAddCodecError", MANIFEST_LOAD_ERROR: "manifestLoadError", BUFFER_SEEK_OVER_HOLE: "hole" };
  latestLevelDetails = null;
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
  buffer(ends) {
    const ranges = Object.entries(ends).map(([name, end]) => [name, timeRanges([[0, end]])]);
    this.emit("appended", { timeRanges: Object.fromEntries(ranges) });
    this.emit("buffered");
  }

  refuse(code, message) {
    const networkDetails = { responseText: JSON.stringify({ message }) };
    this.emit("error", { fatal: true, details: "manifestLoadError", response: { code }, networkDetails });
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

test("far behind where hls.js aims at, by more than a segment, playback goes on there", () => {
  const player = new HlsPlayer(Hls, host);
  instances[0].liveSyncPosition = 30;
  host.video.currentTime = 27;
  player.goLive();
  assert.equal(host.video.currentTime, 27);
  host.video.currentTime = 5;
  instances[0].latestLevelDetails = { partTarget: 0, targetduration: 26 };
  player.keepUp();
  assert.equal(host.video.currentTime, 5);
  instances[0].latestLevelDetails = { partTarget: 0.504, targetduration: 2 };
  player.keepUp();
  assert.equal(host.video.currentTime, 30);
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
    {
      why: "undecodable",
      title: "This browser cannot decode this stream",
      text: "Another browser or device may; VLC and ffplay can.",
    },
  ]);
});

test("the codecs that a browser cannot decode are named as the playlist names them", () => {
  new HlsPlayer(Hls, host);
  instances[0].emit("loaded", { levels: [{ attrs: { CODECS: "avc1.f4001e,mp4a.40.2" } }] });
  instances[0].emit("error", { fatal: true, details: "bufferAddCodecError" });
  assert.equal(host.reports[0].title, "This browser cannot decode avc1.f4001e,mp4a.40.2");
});

test("the kind is low-latency if the playlist has parts", () => {
  const player = new HlsPlayer(Hls, host);
  assert.equal(player.kind, undefined);
  instances[0].latestLevelDetails = { partTarget: 0 };
  assert.equal(player.kind, "HLS");
  instances[0].latestLevelDetails = { partTarget: 0.504 };
  assert.equal(player.kind, "Low-Latency HLS");
});

test("a server without fragmented MP4 is asked for MPEG-TS, once", () => {
  host.url = "http://server:8081/live/room/master.m3u8";
  new HlsPlayer(Hls, host);
  instances[0].refuse(404, "this server has HLS in MPEG-TS alone");
  assert.equal(instances[0].isDestroyed, true);
  assert.equal(instances[1].url, "http://server:8081/live/room/index.m3u8");
  assert.equal(host.reports.filter(({ why }) => why).length, 0);
  instances[1].refuse(404, "no such room");
  assert.equal(instances.length, 2);
  assert.deepEqual(host.reports.at(-1), { why: "broken", text: "no such room" });
});

test("refusals that another playlist would get as well are the end, in the server's words", () => {
  host.url = "http://server:8081/live/room/master.m3u8";
  for (const [code, why] of [[403, "broken"], [429, "broken"], [503, "broken"]]) {
    new HlsPlayer(Hls, host);
    instances.at(-1).refuse(code, `said with ${code}`);
    assert.deepEqual(host.reports.at(-1), { why, text: `said with ${code}` });
  }
  assert.equal(instances.length, 3);
});

test("codecs that no container carries are not tried again", () => {
  host.url = "http://server:8081/live/room/index.m3u8";
  new HlsPlayer(Hls, host);
  instances[0].refuse(415, "HLS does not carry Speex");
  assert.deepEqual(host.reports, [{ why: "undecodable", text: "HLS does not carry Speex" }]);
});

test("fragmented MP4 that loses its audio, or gets it back, has another player where that happens", () => {
  for (const [before, after] of [[{ audiovideo: {} }, { video: {} }], [{ video: {} }, { audiovideo: {} }]]) {
    instances = [];
    const player = new HlsPlayer(Hls, host);
    const [hls] = instances;
    hls.emit("codecs", before);
    assert.deepEqual(player.tracks, { audio: "audiovideo" in before, video: true });
    hls.buffer(Object.fromEntries(Object.keys(before).map((name) => [name, 6])));
    hls.emit("codecs", before);
    assert.equal(hls.isStopped, false);
    hls.emit("codecs", after);
    assert.equal(hls.isStopped, true);
    host.video.currentTime = 5.8;
    player.keepUp();
    assert.equal(instances.length, 2);
    instances[1].emit("codecs", after);
    assert.deepEqual(player.tracks, { audio: "audiovideo" in after, video: true });
  }
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

test("fragmented MP4 with holes, which MPEG-TS has not, gives way to that", () => {
  host.url = "http://server:8081/live/room/master.m3u8";
  const player = new HlsPlayer(Hls, host);
  instances[0].emit("codecs", { audiovideo: {} });
  instances[0].emit("error", { fatal: false, details: "hole" });
  player.keepUp();
  assert.equal(instances.length, 1);
  instances[0].emit("error", { fatal: true, details: "hole" });
  player.keepUp();
  assert.equal(instances[1].url, "http://server:8081/live/room/index.m3u8");
  assert.deepEqual(host.reports, ["hold"]);
});
