import assert from "node:assert/strict";
import { test } from "node:test";

import { FlvTags, fileHeader, retimed } from "../playback/flv-tags.js";
import * as flv from "./support.js";

/** Reads a stream in portions of some size. */
function read(bytes, portion = bytes.length) {
  const source = new FlvTags();
  const tags = [];
  for (let at = 0; at < bytes.length; at += portion) tags.push(...source.push(bytes.slice(at, at + portion)));
  return { source, tags };
}

const told = ({ kind, codec, role, timeMs }) => [kind, codec, role, timeMs];

const STREAM = flv.bytesOf(
  flv.flvHeader(),
  flv.script(),
  flv.videoHeader(),
  flv.audioHeader(),
  flv.keyframe(70_000),
  flv.audio(70_010),
  flv.inter(70_040),
);

test("tags have their track, codec, role and a time from the first frame on", () => {
  const { source, tags } = read(STREAM);
  assert.deepEqual(source.announced, { audio: true, video: true });
  assert.deepEqual(tags.map(told), [
    ["script", "", "other", 0],
    ["video", "H.264", "header", 0],
    ["audio", "AAC", "header", 0],
    ["video", "H.264", "keyframe", 0],
    ["audio", "AAC", "frame", 10],
    ["video", "H.264", "frame", 40],
  ]);
});

test("portions may end anywhere", () => {
  const whole = read(STREAM).tags;
  for (const portion of [1, 2, 7, 11, 16, 40]) assert.deepEqual(read(STREAM, portion).tags, whole, `portions of ${portion}`);
});

test("the times are written into the tags", () => {
  const again = read(flv.bytesOf(flv.flvHeader(), ...read(STREAM).tags.map(({ bytes }) => bytes)));
  assert.deepEqual(again.tags.map(told), read(STREAM).tags.map(told));
});

test("time goes on over 2^31 and 2^32 ms", () => {
  for (const limit of [2 ** 31, 2 ** 32]) {
    const { tags } = read(flv.bytesOf(flv.flvHeader(), flv.keyframe(limit - 40), flv.inter(limit % 2 ** 32), flv.inter(40 + (limit % 2 ** 32))));
    assert.deepEqual(tags.map(({ timeMs }) => timeMs), [0, 40, 80]);
    assert.deepEqual([...tags[2].bytes.slice(4, 8)], [0, 0, 80, 0]);
  }
});

test("a frame from before the first one has a time below zero", () => {
  const { tags } = read(flv.bytesOf(flv.flvHeader(), flv.keyframe(100), flv.audio(80)));
  assert.equal(tags[1].timeMs, -20);
  assert.deepEqual([...tags[1].bytes.slice(4, 8)], [0xff, 0xff, 0xec, 0xff]);
});

test("codecs are named as the API names them", () => {
  const codec = (type, ...body) => read(flv.bytesOf(flv.flvHeader(), flv.tag(type, 0, body))).tags.map(({ codec, role }) => `${codec} ${role}`)[0];
  const fourCc = (text) => [...text].map((letter) => letter.charCodeAt(0));
  assert.equal(codec(8, 0x2f, 0xff, 0xfb), "MP3 frame");
  assert.equal(codec(8, 0x72, 1), "flv-audio-7 frame");
  assert.equal(codec(8, 0xb2, 1), "flv-audio-11 frame");
  assert.equal(codec(8, 0x90, ...fourCc("Opus"), 1), "Opus header");
  assert.equal(codec(8, 0x91, ...fourCc("fLaC"), 1), "FLAC frame");
  assert.equal(codec(8, 0x91, ...fourCc("mp4a"), 1), "Enhanced AAC frame");
  assert.equal(codec(9, 0x1c, 1, 0, 0, 0), "H.265 keyframe");
  assert.equal(codec(9, 0x22, 1), "flv-video-2 frame");
  assert.equal(codec(9, 0x90, ...fourCc("hvc1"), 1), "H.265 header");
  assert.equal(codec(9, 0x93, ...fourCc("hvc1"), 1), "H.265 keyframe");
  assert.equal(codec(9, 0xa1, ...fourCc("av01"), 1), "AV1 frame");
  assert.equal(codec(9, 0x94, ...fourCc("hvc1"), 1), "H.265 other");
  assert.equal(codec(9, 0x17, 2, 0, 0, 0), "H.264 other");
});

test("tags that players skip are left out", () => {
  const skipped = [
    flv.tag(9, 0, [0x57, 0]),
    flv.tag(9, 0, [0x96, 0x10, 0x61, 0x76, 0x63, 0x31]),
    flv.tag(8, 0, [0x95, 0x11, 0x6d, 0x70, 0x34, 0x61]),
    flv.tag(8, 0, []),
    flv.tag(8, 0, [0xaf]),
    flv.tag(15, 0, [1, 2, 3]),
  ];
  assert.deepEqual(read(flv.bytesOf(flv.flvHeader(), ...skipped, flv.audio(5))).tags.map(told), [["audio", "AAC", "frame", 0]]);
});

test("a large tag arrives whole", () => {
  const body = new Uint8Array(300_000).fill(7);
  body.set([0x17, 1]);
  const { tags } = read(flv.bytesOf(flv.flvHeader(), flv.tag(9, 0, body), flv.inter(40)), 5000);
  assert.deepEqual(tags.map(({ bytes }) => bytes.length), [300_015, 21]);
});

test("what is no FLV is an error", () => {
  for (const bytes of [[..."<!doctype html>"].map((letter) => letter.charCodeAt(0)), [0x46, 0x4c, 0x56, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0]]) {
    assert.throws(() => new FlvTags().push(Uint8Array.from(bytes)), /no FLV/);
  }
});

test("a file's header announces tracks", () => {
  assert.deepEqual(fileHeader({ audio: true, video: true }), flv.flvHeader());
  assert.deepEqual(read(fileHeader({ audio: false, video: true })).source.announced, { audio: false, video: true });
});

test("a tag can be given another time", () => {
  const [tag] = read(flv.bytesOf(flv.flvHeader(), flv.keyframe(0))).tags;
  const later = retimed(tag, 0x01020304);
  assert.deepEqual([...later.bytes.slice(4, 8)], [2, 3, 4, 1]);
  assert.deepEqual([...tag.bytes.slice(4, 8)], [0, 0, 0, 0]);
});
