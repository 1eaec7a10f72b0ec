import assert from "node:assert/strict";
import { test } from "node:test";

import { headers, inQuery, parse, present } from "../credential.js";

const TOKEN = { name: "token", text: "a.b.c" };

test("a token or a key is found behind the hash", () => {
  assert.deepEqual(parse("#token=a.b.c"), TOKEN);
  assert.deepEqual(parse("#x=1&key=0.k"), { name: "key", text: "0.k" });
  for (const hash of ["", "#", "#token=", "#mytoken=a", "?token=a"]) assert.equal(parse(hash), undefined, hash);
});

test("it goes with headers, or with the address where there are none", () => {
  assert.deepEqual(headers(TOKEN), { Authorization: "Bearer a.b.c" });
  assert.deepEqual(headers(undefined), {});
  assert.equal(inQuery("http://h/r.m3u8", TOKEN), "http://h/r.m3u8?token=a.b.c");
  assert.equal(inQuery("http://h/r.m3u8?x=1", TOKEN), "http://h/r.m3u8?x=1&token=a.b.c");
  assert.equal(inQuery("http://h/r.m3u8"), "http://h/r.m3u8");
});

test("playlists get the header, and segments that have a key do not", () => {
  const sent = [];
  const request = { setRequestHeader: (name, value) => sent.push(`${name}: ${value}`) };
  present(request, "http://h/live/r/index.m3u8", TOKEN);
  present(request, "http://h/live/r/seg-1.ts?key=0.k", TOKEN);
  present(request, "http://h/live/r/index.m3u8");
  assert.deepEqual(sent, ["Authorization: Bearer a.b.c"]);
});
