import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { isRefusedOverWebRtc, limitsOfWebRtc, playable, unavailable, usual } from "../protocols.js";
import { restore, withMediaSource, withWebRtc } from "./support.js";

afterEach(restore);

const SERVER = { hls_port: 8081, webrtc: true };
const DETAILS = { video: { codec: "H.264" }, audio: { codec: "AAC" } };

test("a protocol that the server or the browser lacks is named", () => {
  assert.equal(unavailable("webrtc", SERVER), "This browser has no WebRTC");
  withWebRtc();
  assert.equal(unavailable("webrtc", SERVER), undefined);
  assert.equal(unavailable("webrtc", { ...SERVER, webrtc: false }), "This server has no WebRTC");
  assert.equal(unavailable("hls", SERVER), undefined);
  assert.equal(unavailable("hls", { ...SERVER, hls_port: null }), "This server has no HLS");
  assert.equal(unavailable("flv", SERVER), "This browser cannot play HTTP-FLV");
  withMediaSource();
  assert.equal(unavailable("flv", SERVER), undefined);
});

test("WebRTC plays by choice, or where nothing else does", () => {
  withWebRtc();
  assert.equal(usual({ ...SERVER, hls_port: null }), "webrtc");
  assert.equal(usual(SERVER), "hls");
  withMediaSource();
  assert.equal(usual(SERVER), "flv");
  assert.equal(usual({ hls_port: null, webrtc: false }), "flv");
});

test("the first protocol that plays the stream is taken, and WebRTC only by choice", () => {
  withWebRtc();
  assert.equal(playable(SERVER, DETAILS), "hls");
  assert.equal(playable({ ...SERVER, hls_port: null }, DETAILS), undefined);
  withMediaSource();
  assert.equal(playable(SERVER, DETAILS), "flv");
  assert.equal(playable(SERVER, { video: { codec: "H.264" }, audio: null }), "flv");
  assert.equal(playable(SERVER, { video: { codec: "VP9" }, audio: null }), "hls");
  assert.equal(playable(SERVER, { video: { codec: "flv-video-4" }, audio: null }), undefined);
});

test("what WebRTC does not carry is said in the server's words", () => {
  const reasons = [{ code: "b_frames", message: "the stream has B-frames" }, { code: "no_audio", message: "no audio" }];
  const refused = { ...DETAILS, webrtc: { state: "refused", reasons } };
  assert.deepEqual([isRefusedOverWebRtc(refused), limitsOfWebRtc(refused)], [true, "the stream has B-frames; no audio"]);
  for (const webrtc of [undefined, null, { state: "ok", reasons: [] }]) {
    const details = { ...DETAILS, webrtc };
    assert.deepEqual([isRefusedOverWebRtc(details), limitsOfWebRtc(details)], [false, ""]);
  }
  assert.deepEqual([isRefusedOverWebRtc(undefined), limitsOfWebRtc(null)], [false, ""]);
});
