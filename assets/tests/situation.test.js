import assert from "node:assert/strict";
import { test } from "node:test";

import { situation } from "../situation.js";

const LIVE = { room: "r", state: "live", node: "n", details: { video: { codec: "H.264" }, audio: { codec: "AAC" } } };

function seen(facts) {
  return situation({
    isReachable: true,
    isComplete: true,
    isServerKnown: true,
    refusal: undefined,
    stream: LIVE,
    isPlaying: false,
    isOpen: false,
    wantsPause: false,
    hasPlayed: false,
    isFailing: false,
    ended: undefined,
    protocol: "flv",
    noWebRtc: undefined,
    tracks: undefined,
    undecodableAudio: undefined,
    hasStill: false,
    ...facts,
  });
}

const state = (facts) => seen(facts).state;

test("a room that is live connects, plays and pauses", () => {
  assert.equal(state({}), "connecting");
  assert.equal(state({ isPlaying: true }), "playing");
  assert.equal(state({ isPlaying: true, wantsPause: true }), "paused");
  // After a while, a paused viewer is sent no more media.
  assert.equal(state({ wantsPause: true, hasPlayed: true }), "paused");
});

test("a room that is absent has not begun or has ended", () => {
  assert.equal(state({ stream: undefined }), "waiting");
  assert.equal(state({ stream: undefined, hasPlayed: true }), "over");
  assert.equal(state({ stream: undefined, isServerKnown: false }), "connecting");
  assert.equal(state({ stream: { ...LIVE, state: "interrupted" } }), "interrupted");
});

test("a refusal is shown with the server's reason, unless media plays all the same", () => {
  const { state, title, text } = seen({ stream: undefined, refusal: "the token has expired" });
  assert.deepEqual([state, title, text], ["closed", "This room needs a valid token", "the token has expired"]);
  assert.equal(seen({ refusal: "the token has expired", isPlaying: true }).state, "playing");
});

test("without the registry's answer, an absent room may be live", () => {
  const { state, title, text } = seen({ stream: undefined, isComplete: false });
  assert.deepEqual([state, title], ["unsure", "This room may be live on another node"]);
  assert.match(text, /registry does not answer/);
  assert.equal(seen({ stream: undefined, isComplete: false, hasPlayed: true }).state, "unsure");
  assert.equal(seen({ isComplete: false, isPlaying: true }).state, "playing");
});

test("what plays, plays, whether the server answers or not", () => {
  assert.equal(state({ isReachable: false }), "offline");
  assert.equal(state({ isReachable: false, isPlaying: true }), "playing");
});

test("the end of a stream that cannot be decoded has its own title", () => {
  const ended = { why: "undecodable", title: "This browser cannot decode H.265 video", text: "VLC can." };
  assert.deepEqual(seen({ ended }), { state: "undecodable", title: ended.title, text: ended.text, note: "" });
  assert.equal(state({ ended, isOpen: true }), "connecting");
});

test("failures are shown with their reason", () => {
  const ended = { why: "broken", text: "room limit reached (1000)" };
  const { title, text } = seen({ ended, isFailing: true });
  assert.equal(title, "This stream cannot be played here");
  assert.equal(text, "Trying again… (room limit reached (1000))");
  assert.equal(seen({ isFailing: true }).text, "Trying again…");
});

test("what is missing while it plays is noted", () => {
  const note = (facts) => seen({ isPlaying: true, ...facts }).note;
  assert.equal(note({ tracks: { audio: true, video: true } }), "");
  assert.equal(note({}), "");
  assert.equal(note({ tracks: { audio: true, video: false } }), "Audio only");
  assert.equal(note({ tracks: { audio: true, video: false }, hasStill: true }), "The video is paused");
  const undecodableAudio = "flv-audio-8";
  assert.equal(
    note({ tracks: { audio: false, video: true }, undecodableAudio }),
    "No audio: this browser cannot decode G.711 µ-law",
  );
  assert.equal(seen({ undecodableAudio }).note, "");
});

test("audio that WebRTC does not carry is named", () => {
  const playing = { isPlaying: true, protocol: "webrtc" };
  const tracks = { audio: false, video: true };
  assert.equal(seen({ ...playing, tracks }).note, "No audio: WebRTC does not carry AAC here");
  assert.equal(seen({ ...playing, tracks: { audio: true, video: true } }).note, "");
  assert.equal(seen({ ...playing, tracks, stream: { ...LIVE, details: { ...LIVE.details, audio: null } } }).note, "");
  assert.equal(seen({ ...playing, tracks, protocol: "flv" }).note, "");
});

test("the reason against WebRTC is a note on what plays instead", () => {
  assert.equal(seen({ isPlaying: true, noWebRtc: "it has B-frames" }).note, "it has B-frames");
});
