import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { open } from "../playback/webrtc.js";
import { FakePeer, fakeHost, restore, settled, stoppedClock, withWebRtc } from "./support.js";

const URL_ = "http://server/live/room/whep";

let pass, host, requests, answer, ended;

beforeEach(() => {
  pass = stoppedClock();
  withWebRtc();
  host = fakeHost();
  host.url = URL_;
  requests = [];
  answer = () => new Response("the answer", { status: 201, headers: { Location: "/live/room/whep/5e" } });
  ended = () => new Response();
  mock.method(globalThis, "fetch", async (url, { method, body, headers }) => {
    requests.push({ method, url, body, type: headers["Content-Type"] });
    return method === "POST" ? answer() : ended();
  });
});
afterEach(restore);

const refused = (status, message) => () => Response.json({ message }, { status });

async function opened() {
  const player = await open(host);
  await settled();
  return { player, peer: FakePeer.last };
}

test("a session begins with the offer and the answer, and ends below the address that was asked", async () => {
  const { player, peer } = await opened();
  assert.deepEqual(requests, [{ method: "POST", url: URL_, body: "the offer", type: "application/sdp" }]);
  assert.deepEqual(peer.remote, { type: "answer", sdp: "the answer" });
  assert.deepEqual(player.tracks, { audio: true, video: true });
  player.destroy();
  assert.equal(peer.isClosed, false);
  await settled();
  assert.deepEqual([requests[1].method, requests[1].url], ["DELETE", `${URL_}/5e`]);
  assert.deepEqual([peer.isClosed, host.video.srcObject], [true, null]);
  player.destroy();
  assert.equal(requests.length, 2);
});

test("both tracks are shown as one stream", async () => {
  const { peer } = await opened();
  peer.emit("track", { streams: ["stream"] });
  peer.emit("track", { streams: ["stream"] });
  assert.equal(host.video.srcObject, "stream");
  assert.deepEqual(host.reports, ["play"]);
});

test("a track that the answer declines does not come", async () => {
  withWebRtc({ audio: "inactive" });
  const { player } = await opened();
  assert.deepEqual(player.tracks, { audio: false, video: true });
});

test("a stream that is not for WebRTC is undecodable, in the server's words", async () => {
  answer = refused(422, "the stream has B-frames");
  await opened();
  const title = "This room cannot be watched over WebRTC";
  assert.deepEqual(host.reports, [{ why: "undecodable", title, text: "the stream has B-frames" }]);
});

test("any other refusal may pass", async () => {
  answer = refused(503, "WebRTC viewer limit reached (500)");
  await opened();
  assert.deepEqual(host.reports, [{ why: "broken", text: "WebRTC viewer limit reached (500)" }]);
});

test("media that does not get through is reported, unless it has come before", async () => {
  const lost = await opened();
  pass(4999);
  assert.deepEqual(host.reports, []);
  pass(1);
  await settled();
  assert.equal(host.reports[0].why, "unreachable");
  lost.player.destroy();
  host.reports.length = 0;

  const { peer } = await opened();
  peer.change("connected");
  pass(6000);
  assert.deepEqual(host.reports, []);
  peer.change("failed");
  assert.deepEqual(host.reports, [{ why: "broken", text: "the connection was lost" }]);
});

test("a session that the server ended before it connected may be begun again", async () => {
  ended = refused(404, "there is no such session");
  const [deadline, failure] = [() => pass(5000), (peer) => peer.change("failed")];
  const both = (peer) => (deadline(), failure(peer));
  for (const lose of [deadline, failure, both]) {
    const { player, peer } = await opened();
    lose(peer);
    await settled();
    assert.deepEqual(host.reports, [{ why: "broken", text: "the server ended the session before it connected" }]);
    player.destroy();
    host.reports.length = 0;
  }
});

test("a session whose end the server does not confirm is out of reach", async () => {
  ended = () => Promise.reject(new TypeError("no network"));
  const { peer } = await opened();
  peer.change("failed");
  await settled();
  assert.equal(host.reports[0].why, "unreachable");
});

test("a transport that the server closes is the end of the stream", async () => {
  const { player, peer } = await opened();
  peer.change("connected");
  peer.transport.close();
  player.destroy();
  assert.deepEqual(host.reports, [{ why: "over", text: "" }]);
  assert.equal(requests.length, 1, "there is no session to end");
});

test("a session whose answer comes after the end is ended", async () => {
  let give;
  answer = () => new Promise((resolve) => (give = resolve));
  const { player, peer } = await opened();
  player.destroy();
  assert.equal(requests.length, 1);
  give(new Response("the answer", { status: 201, headers: { Location: "/room/whep/6f" } }));
  await settled();
  assert.deepEqual([requests[1].method, requests[1].url], ["DELETE", `${URL_}/6f`]);
  assert.equal(peer.remote, undefined);
  assert.deepEqual(host.reports, []);
});

test("the delay and the packets are measured once a second", async () => {
  const { player, peer } = await opened();
  const video = { type: "inbound-rtp", kind: "video", packetsReceived: 20, totalProcessingDelay: 1, framesDecoded: 10 };
  for (const statistics of [video, { ...video, packetsReceived: 30, totalProcessingDelay: 2, framesDecoded: 14 }]) {
    peer.statistics = new Map([["v", statistics]]);
    pass(1000);
    await settled();
  }
  assert.deepEqual([player.progress, player.latency], [30, 0.25]);
  player.destroy();
  pass(5000);
  assert.equal(peer.looks, 2);
});

test("a browser without WebRTC says so", async () => {
  delete globalThis.RTCPeerConnection;
  await assert.rejects(open(host), /no WebRTC/);
});
