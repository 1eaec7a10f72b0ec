import assert from "node:assert/strict";
import { test } from "node:test";

import { withStereo } from "../playback/webrtc-offer.js";

const lines = (...text) => `${text.join("\r\n")}\r\n`;
const RED = ["a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"];

test("Opus is asked for in stereo, and no other codec", () => {
  const sdp = lines("a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1", ...RED);
  const asked = lines("a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1;stereo=1", ...RED);
  assert.equal(withStereo(sdp), asked);
  assert.equal(withStereo(asked), asked);
});

test("an offer without Opus stays as it is", () => {
  const sdp = lines("a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1");
  assert.equal(withStereo(sdp), sdp);
});
