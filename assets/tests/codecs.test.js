import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { hasMediaSource, obstacle, obstacleOf } from "../codecs.js";
import { restore, withMediaSource } from "./support.js";

afterEach(restore);

const stream = (video, audio) => ({ video: video && { codec: video }, audio: audio && { codec: audio } });

test("what the library reads and the browser decodes is no obstacle", () => {
  withMediaSource();
  assert.equal(obstacle("flv", stream("H.265", "Opus")), undefined);
  assert.equal(obstacle("hls", stream("H.264", "AAC")), undefined);
  assert.equal(obstacle("flv", null), undefined);
  assert.equal(obstacle("flv", stream(null, null)), undefined);
});

test("a codec that the browser lacks is named", () => {
  withMediaSource((type) => !type.includes("hvc1"));
  assert.equal(obstacle("flv", stream("H.265", "AAC")).title, "This browser cannot decode H.265 video");
});

test("a codec that only the other protocol carries leads there", () => {
  withMediaSource();
  assert.equal(obstacle("flv", stream("VP9", "AAC")).text, "Choose HLS.");
  assert.equal(obstacle("hls", stream("VP9", "E-AC-3")), undefined);
  assert.equal(obstacle("hls", stream("flv-video-4", "AAC")).text, "Use a player such as VLC or ffplay.");
  assert.equal(obstacleOf("flv", "Enhanced AAC", "audio").text, "Choose HLS.");
});

test("audio that cannot be decoded does not hide the video over HTTP-FLV", () => {
  withMediaSource((type) => !type.includes("ac-3"));
  for (const audio of ["flv-audio-7", "flv-audio-11", "flv-audio-6", "AC-3"]) {
    assert.equal(obstacle("flv", stream("H.264", audio)), undefined);
    assert.match(obstacle("hls", stream("H.264", audio)).text, /HTTP-FLV: it plays the video without audio/);
  }
  assert.equal(obstacle("flv", stream(null, "flv-audio-11")).title, "Speex audio cannot be played over HTTP-FLV here");
});

test("without media source extensions, HLS is left to the browser", () => {
  assert.equal(hasMediaSource(), false);
  assert.equal(obstacle("hls", stream("H.264", "AAC")), undefined);
  assert.equal(obstacle("flv", stream("H.264", "AAC")).text, "Choose HLS.");
});

test("the managed media source of phones counts", () => {
  globalThis.ManagedMediaSource = { isTypeSupported: () => true };
  assert.equal(hasMediaSource(), true);
  assert.equal(obstacle("flv", stream("H.264", "AAC")), undefined);
});
