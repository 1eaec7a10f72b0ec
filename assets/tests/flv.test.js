import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { FlvPlayer, open } from "../playback/flv.js";
import { FlvTags } from "../playback/flv-tags.js";
import * as flv from "./support.js";

const { fakeHost, restore, settled, stoppedClock, withMediaSource } = flv;

let pass, host, players, response, stills;

beforeEach(() => {
  pass = stoppedClock();
  withMediaSource();
  host = fakeHost();
  players = [];
  stills = [];
});
afterEach(restore);

/** mpegts.js, as far as it takes bytes. Its players note what they were given. */
const mpegts = {
  LoggingControl: {},
  Events: { ERROR: "error" },
  ErrorDetails: { MEDIA_MSE_ERROR: "MediaMSEError" },
  LoaderStatus: { kIdle: 0, kBuffering: 2, kComplete: 4 },
  BaseLoader: class {},
  createPlayer({ hasAudio, hasVideo }, { customLoader }) {
    const player = { tracks: { audio: hasAudio, video: hasVideo }, tags: [], destroyed: false, listeners: [] };
    const buffers = {};
    player._player_engine = { _mse_controller: { _sourceBuffers: buffers } };
    const source = new FlvTags();
    players.push(player);
    return Object.assign(player, {
      on: (_, listener) => player.listeners.push(listener),
      attachMediaElement: () => {},
      destroy: () => (player.destroyed = true),
      load() {
        const loader = new customLoader();
        loader._onDataArrival = (chunk) => {
          for (const tag of source.push(new Uint8Array(chunk))) {
            player.tags.push(tag);
            if (tag.kind !== "script") buffers[tag.kind] ??= { timestampOffset: 0, updating: false };
          }
        };
        loader.open();
      },
    });
  },
};

/** Notes the position of each still, and shows it at once. */
async function decode(_, { positionS }, onFrame) {
  stills.push(positionS);
  onFrame("still");
}

/** A player of a request that is answered; `send` gives it tags. */
async function playing(flags = 5) {
  const { readable, writable } = new TransformStream();
  response = writable.getWriter();
  mock.method(globalThis, "fetch", async () => new Response(readable));
  const player = new FlvPlayer(mpegts, host, decode);
  await send(flv.flvHeader(flags), flv.script(), flv.videoHeader(), flv.audioHeader());
  return player;
}

async function send(...tags) {
  // The reader takes portions as they come: nothing waits for it.
  response.write(flv.bytesOf(...tags)).catch(() => {});
  await settled();
}

/** Sends frames of some tracks from one time to another, as they would come. */
async function sendFrames(fromMs, toMs, { audio = flv.audio, video = true } = {}) {
  for (let timeMs = fromMs; timeMs < toMs; timeMs += 100) {
    const frame = timeMs % 1000 === 0 ? flv.keyframe(timeMs) : flv.inter(timeMs);
    await send(...(video ? [frame] : []), ...(audio ? [audio(timeMs)] : []));
    pass(100);
  }
}

const tracks = () => players.map(({ tracks }) => (tracks.audio ? "a" : "") + (tracks.video ? "v" : ""));

test("a stream with both tracks starts with its first frames, from the keyframe on", async () => {
  const player = await playing();
  await send(flv.keyframe(5000));
  assert.deepEqual(players, []);
  await send(flv.audio(5000), flv.inter(5040));
  assert.deepEqual(tracks(), ["av"]);
  assert.deepEqual(players[0].tags.map(({ kind, role }) => `${kind} ${role}`), [
    "script other",
    "video header",
    "audio header",
    "video keyframe",
    "audio frame",
    "video frame",
  ]);
  await send(flv.audio(5080));
  assert.equal(players[0].tags.length, 7);
  assert.deepEqual(player.tracks, { audio: true, video: true });
  assert.deepEqual(host.reports, ["play"]);
});

test("a track that is announced and never comes is not waited for long", async () => {
  await playing();
  await sendFrames(0, 1000, { audio: null });
  assert.deepEqual(tracks(), ["v"]);
});

test("a track that is not announced is not waited for", async () => {
  await playing(1);
  await send(flv.keyframe(0));
  assert.deepEqual(tracks(), ["v"]);
});

test("video waits for a keyframe while audio plays", async () => {
  await playing();
  for (let timeMs = 100; timeMs < 900; timeMs += 100) {
    await send(flv.inter(timeMs), flv.audio(timeMs));
    pass(100);
  }
  assert.deepEqual(tracks(), ["a"]);
  await sendFrames(1000, 1500);
  assert.deepEqual(tracks(), ["a", "av"]);
});

test("when video pauses, audio goes on without it, and when it is back, with it", async () => {
  await playing();
  await sendFrames(0, 3000);
  await sendFrames(3000, 12_000, { video: false });
  assert.deepEqual(tracks(), ["av", "a"]);
  assert.equal(players[0].destroyed, true);
  assert.equal(players[1].tags.every(({ kind }) => kind !== "video"), true);
  await sendFrames(12_000, 14_000);
  assert.deepEqual(tracks(), ["av", "a", "av"]);
  assert.equal(players[2].tags.find(({ kind }) => kind === "video")?.role, "header");
  assert.deepEqual(host.reports.filter((report) => report === "play").length, 3);
});

test("a frame now and then is shown as a still", async () => {
  await playing();
  await sendFrames(0, 2000);
  await sendFrames(2000, 12_000, { video: false });
  // The last frame that came in time may not have been shown before the player ended.
  assert.deepEqual(stills, [1.4]);
  await send(flv.keyframe(12_000));
  await sendFrames(12_000, 20_000, { video: false });
  await send(flv.inter(20_000));
  await sendFrames(20_000, 22_000, { video: false });
  assert.deepEqual(tracks(), ["av", "a"]);
  assert.deepEqual(stills, [1.4, 0.5, 8.5]);
});

test("when audio pauses, video goes on", async () => {
  await playing();
  await sendFrames(0, 2000);
  await sendFrames(2000, 6000, { audio: null });
  await sendFrames(6000, 8000);
  assert.deepEqual(tracks(), ["av", "v", "av"]);
});

test("a track that comes late joins", async () => {
  await playing();
  await sendFrames(0, 6000, { video: false });
  await sendFrames(6000, 8000);
  assert.deepEqual(tracks(), ["a", "av"]);
});

test("playback goes on where the player before stood", async () => {
  await playing();
  await sendFrames(0, 3000);
  host.video.currentTime = 2.8;
  await sendFrames(3000, 5000, { video: false });
  assert.deepEqual(tracks(), ["av", "a"]);
  // The second player begins at the newest keyframe, at 2 s of the stream.
  assert.equal(players[1]._player_engine._mse_controller._sourceBuffers.audio.timestampOffset, 2);
  host.video.currentTime = 0;
  pass(100);
  assert.equal(host.video.currentTime, 0);
  host.video.ranges = [[2, 4.9]];
  pass(100);
  assert.equal(host.video.currentTime, 2.8);
  host.video.currentTime = 3;
  pass(1000);
  assert.equal(host.video.currentTime, 3);
});

test("where there is no media at the former position, playback goes on at the beginning of what there is", async () => {
  await playing();
  await sendFrames(0, 3000);
  host.video.currentTime = 1.5;
  await sendFrames(3000, 5000, { video: false });
  host.video.currentTime = 0;
  host.video.ranges = [[2, 4.9]];
  pass(100);
  assert.equal(host.video.currentTime, 2);
});

test("both tracks that stop change nothing", async () => {
  await playing();
  await sendFrames(0, 2000);
  pass(20_000);
  await sendFrames(2000, 3000);
  assert.deepEqual(tracks(), ["av"]);
});

test("audio that the browser cannot decode is left out, and named", async () => {
  const player = await playing();
  await sendFrames(0, 3000, { audio: flv.alaw });
  assert.deepEqual(tracks(), ["v"]);
  assert.equal(player.undecodableAudio, "flv-audio-7");
  assert.deepEqual(host.reports, ["play"]);
});

test("a stream of nothing but such audio cannot be played", async () => {
  await playing(4);
  await sendFrames(0, 1000, { audio: flv.alaw, video: false });
  assert.deepEqual(host.reports[0].title, "G.711 A-law audio cannot be played over HTTP-FLV here");
  assert.equal(host.reports[0].why, "undecodable");
});

test("video that the browser cannot decode is named at its header", async () => {
  withMediaSource((type) => !type.includes("hvc1"));
  await playing();
  await send(flv.tag(9, 0, [0x1c, 0, 0, 0, 0, 1]));
  assert.equal(host.reports[0].title, "This browser cannot decode H.265 video");
});

test("slow video is played further behind live", async () => {
  const player = await playing();
  for (let timeMs = 0; timeMs <= 10_000; timeMs += 1000) await send(flv.keyframe(timeMs), flv.audio(timeMs), flv.audio(timeMs + 500));
  host.video.ranges = [[0, 10]];
  host.video.currentTime = 6;
  player.keepUp();
  assert.deepEqual([host.video.currentTime, host.video.playbackRate], [6, 1]);
  host.video.currentTime = 1;
  player.keepUp();
  assert.equal(host.video.currentTime, 6);
});

test("errors about single tags are doubts; refused media is the end", async () => {
  await playing();
  await sendFrames(0, 500);
  const [{ listeners }] = players;
  listeners[0]("MediaError", "CodecUnsupported", { msg: "Flv: Unsupported audio codec: mp4a" });
  listeners[0]("MediaError", "MediaMSEError", { msg: "not this" });
  assert.deepEqual(host.reports.slice(1), ["doubt: Flv: Unsupported audio codec: mp4a", { why: "broken", text: "not this" }]);
});

test("the end of the response is the end of the stream", async () => {
  await playing();
  await sendFrames(0, 500);
  await response.close();
  await settled();
  assert.deepEqual(host.reports.at(-1), { why: "over", text: "" });
});

test("a refusal is reported in the server's words", async () => {
  for (const [body, text] of [
    ['{"error":"room_not_live","message":"room r has no publisher"}', "room r has no publisher"],
    ["<html>", "the server answered 503"],
  ]) {
    host.reports.length = 0;
    mock.method(globalThis, "fetch", async () => new Response(body, { status: 503 }));
    new FlvPlayer(mpegts, host);
    await settled();
    assert.deepEqual(host.reports, [{ why: "broken", text }]);
  }
});

test("a player that is destroyed reports nothing any more", async () => {
  const player = await playing();
  await sendFrames(0, 500);
  player.destroy();
  assert.equal(players[0].destroyed, true);
  assert.equal(globalThis.fetch.mock.calls[0].arguments[1].signal.aborted, true);
  await send(flv.audio(600));
  assert.deepEqual(host.reports, ["play"]);
  assert.equal(player.latency, undefined);
});

test("without media source extensions there is no player", async () => {
  delete globalThis.MediaSource;
  await assert.rejects(open(host), /cannot play HTTP-FLV/);
});

test("the notice of a move is asked for, reported, and kept from the player and from the ones that follow it", async () => {
  await playing();
  const [url] = globalThis.fetch.mock.calls[0].arguments;
  assert.equal(url, "http://server/room.flv?moves=1");
  await sendFrames(0, 500);
  const before = players[0].tags.length;
  await send(flv.notice());
  assert.deepEqual(host.reports, ["play", "moving"]);
  assert.equal(players[0].tags.length, before);
  await sendFrames(500, 3000, { audio: null });
  assert.deepEqual(tracks(), ["av", "v"]);
  const scripts = players[1].tags.filter(({ kind }) => kind === "script");
  assert.deepEqual(scripts.map(({ bytes }) => bytes.length), [flv.script().length]);
});
