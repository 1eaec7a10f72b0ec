import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import * as api from "../api.js";
import { restore } from "./support.js";

afterEach(restore);

const SERVER = {
  ...{ node: "n", version: "1", app: "live", tls: false },
  ...{ rtmp_port: 1935, hls_port: 8081, tls_port: null, hls_tls_port: null, webrtc: true, rtmp_url: null, http_url: null, hls_url: null },
};

test("addresses are those at which the page was opened", () => {
  const { flv, hls, webrtc, rtmp, page } = api.addresses(SERVER, new URL("http://tv.example:8080/"));
  assert.equal(webrtc("r"), "http://tv.example:8080/live/r/whep");
  assert.equal(flv("r"), "http://tv.example:8080/r.flv");
  assert.equal(hls("r"), "http://tv.example:8081/live/r/master.m3u8");
  assert.equal(rtmp("r"), "rtmp://tv.example/live/r");
  assert.equal(page("r"), "http://tv.example:8080/watch/r");
});

test("a proxy's prefix is part of the addresses, another port of RTMP as well", () => {
  const addresses = api.addresses({ ...SERVER, rtmp_port: 2935, hls_port: null, webrtc: false }, new URL("https://tv.example/a/b/"));
  assert.equal(addresses.flv("r"), "https://tv.example/a/b/r.flv");
  assert.equal(addresses.page("r"), "https://tv.example/a/b/watch/r");
  assert.equal(addresses.rtmp("r"), "rtmp://tv.example:2935/live/r");
  assert.equal(addresses.hls("r"), undefined);
  assert.equal(addresses.webrtc("r"), undefined);
});

test("addresses that the operator has set take the place of ports, and the page stays where it is", () => {
  const server = { ...SERVER, rtmp_url: "rtmps://in.example", hls_url: "https://hls.example/x" };
  const { flv, hls, rtmp } = api.addresses(server, new URL("https://tv.example/a/"));
  assert.equal(flv("r"), "https://tv.example/a/r.flv");
  assert.equal(hls("r"), "https://hls.example/x/live/r/master.m3u8");
  assert.equal(rtmp("r"), "rtmps://in.example/live/r");
  assert.equal(api.addresses({ ...server, hls_port: null }, new URL("https://tv.example/")).hls("r"), undefined);
});

test("behind TLS all addresses are of its port", () => {
  const server = { ...SERVER, tls: true, rtmp_port: 443, hls_port: 443, tls_port: 443 };
  const { flv, hls, rtmp } = api.addresses(server, new URL("https://tv.example/"));
  assert.equal(flv("r"), "https://tv.example/r.flv");
  assert.equal(hls("r"), "https://tv.example:443/live/r/master.m3u8");
  assert.equal(rtmp("r"), "rtmps://tv.example/live/r");
  const elsewhere = api.addresses({ ...server, rtmp_port: 8443 }, new URL("https://tv.example:8443/"));
  assert.equal(elsewhere.rtmp("r"), "rtmps://tv.example:8443/live/r");
});

function answering(answer) {
  mock.method(globalThis, "fetch", answer);
}

test("a missing room differs from a room that may be on another node", async () => {
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

test("a refusal has the server's words, whatever else fails is unreachable", async () => {
  answering(async () => Response.json({ error: "token_expired", message: "the token has expired" }, { status: 401 }));
  await assert.rejects(api.streams(), new api.Refused("the token has expired"));
  answering(async () => new Response("<html>", { status: 403 }));
  await assert.rejects(api.streams(), api.Unreachable);
});
