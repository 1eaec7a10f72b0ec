import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import * as api from "../api.js";
import { restore } from "./support.js";

afterEach(restore);

const SERVER = { node: "n", version: "1", app: "live", rtmp_port: 1935, hls_port: 8081 };

test("addresses are those at which the page was opened", () => {
  const { flv, hls, rtmp, page } = api.addresses(SERVER, new URL("http://tv.example:8080/"));
  assert.equal(flv("r"), "http://tv.example:8080/r.flv");
  assert.equal(hls("r"), "http://tv.example:8081/live/r/index.m3u8");
  assert.equal(rtmp("r"), "rtmp://tv.example/live/r");
  assert.equal(page("r"), "http://tv.example:8080/watch/r");
});

test("a proxy's prefix is part of the addresses, another port of RTMP as well", () => {
  const addresses = api.addresses({ ...SERVER, rtmp_port: 2935, hls_port: null }, new URL("https://tv.example/a/b/"));
  assert.equal(addresses.flv("r"), "https://tv.example/a/b/r.flv");
  assert.equal(addresses.page("r"), "https://tv.example/a/b/watch/r");
  assert.equal(addresses.rtmp("r"), "rtmp://tv.example:2935/live/r");
  assert.equal(addresses.hls("r"), undefined);
});

function answering(answer) {
  mock.method(globalThis, "fetch", answer);
}

test("a missing room is told from a room that cannot be known of", async () => {
  answering(async () => Response.json({ complete: true, streams: [] }));
  assert.deepEqual(await api.stream("r"), { stream: undefined, isComplete: true });
  answering(async () => Response.json({ complete: false, streams: [] }));
  assert.deepEqual(await api.stream("r"), { stream: undefined, isComplete: false });
});

test("a network that fails, a refusal and an answer that is no JSON are the same", async () => {
  for (const answer of [
    async () => Promise.reject(new TypeError("failed to fetch")),
    async () => new Response("{}", { status: 503 }),
    async () => new Response("<html>"),
  ]) {
    answering(answer);
    await assert.rejects(api.streams(), api.Unreachable);
  }
});

test("requests go below the folder that the scripts are in", async () => {
  answering(async () => Response.json({ complete: true, streams: [] }));
  await api.stream("r");
  const [url] = globalThis.fetch.mock.calls[0].arguments;
  assert.equal(String(url), new URL("../../api/v1/streams?room=r", import.meta.url).href);
});
