// The list of rooms. Rows are kept and only their texts change, so that nothing flickers and the focus stays.

import * as api from "./api.js";
import { at, enableCopying, write } from "./dom.js";
import { describeAudio, describeBitrate, describeSince, describeVideo, describeViewers } from "./text.js";

/** @import { Server, Stream, Streams } from "./types.js" */

const INTERVAL_MS = 2000;

/** @typedef {{ item: HTMLLIElement, link: HTMLAnchorElement, texts: Map<string, HTMLSpanElement> }} Row */

/** @type {Map<string, Row>} */
const rows = new Map();

/**
 * Makes the row of a room: a link.
 *
 * @param {string} room
 * @returns {Row}
 */
function makeRow(room) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `watch/${encodeURIComponent(room)}`;
  link.dataset.room = room;
  item.append(link);
  return { item, link, texts: new Map() };
}

/**
 * @param {Row} row
 * @param {Stream} stream
 */
function fillRow({ item, link, texts }, { room, state, node, since_unix_ms, details }) {
  item.dataset.state = state;
  const values = {
    name: room,
    state: state === "live" ? "live" : "waiting",
    video: describeVideo(details),
    audio: describeAudio(details),
    bitrate: describeBitrate(details),
    viewers: describeViewers(details),
    since: describeSince(since_unix_ms),
    node: `on ${node}`,
  };
  for (const [name, text] of Object.entries(values)) {
    const span = texts.get(name) ?? document.createElement("span");
    if (!texts.has(name)) {
      span.className = name;
      texts.set(name, span);
      link.append(span);
    }
    write(span, text);
  }
}

/**
 * Shows the list, which is sorted by name. A row that is where it belongs is not touched.
 *
 * @param {Streams} list
 */
function show({ complete, streams }) {
  const present = new Set(streams.map(({ room }) => room));
  for (const [room, { item }] of rows) {
    if (present.has(room)) continue;
    item.remove();
    rows.delete(room);
  }
  const list = at("rooms", HTMLElement);
  streams.forEach((stream, index) => {
    const row = rows.get(stream.room) ?? makeRow(stream.room);
    rows.set(stream.room, row);
    fillRow(row, stream);
    if (list.children[index] !== row.item) list.insertBefore(row.item, list.children[index] ?? null);
  });
  const live = streams.filter(({ state }) => state === "live").length;
  write(at("count", HTMLElement), streams.length === 0 ? "" : live === 1 ? "1 room is live" : `${live} rooms are live`);
  // An incomplete list may lack rooms of other nodes, so its emptiness says nothing.
  showEmpty(complete && streams.length === 0);
  showTrouble(complete ? "" : "The registry does not answer: rooms of other nodes are missing.");
}

/** @param {boolean} isEmpty */
function showEmpty(isEmpty) {
  const empty = at("empty", HTMLElement);
  if (empty.hidden === !isEmpty) return;
  empty.hidden = !isEmpty;
  if (isEmpty) at("push", HTMLDetailsElement).open = true;
}

/** @param {string} text */
function showTrouble(text) {
  write(at("trouble", HTMLElement), text);
  at("trouble", HTMLElement).hidden = text === "";
}

/** @param {Server} server */
function showServer(server) {
  const { rtmpServer, rtmp } = api.addresses(server);
  const target = rtmp("my-room");
  const encoding = "-c:v libx264 -pix_fmt yuv420p -tune zerolatency -g 30 -c:a aac -f flv";
  write(at("node", HTMLElement), `${server.node} · ${server.version}`);
  write(at("obs-server", HTMLElement), rtmpServer);
  write(at("ffmpeg-file", HTMLElement), `ffmpeg -re -i clip.mp4 ${encoding} ${target}`);
  const source = "-f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine";
  write(at("ffmpeg-test", HTMLElement), `ffmpeg -re ${source} ${encoding} ${target}`);
}

let isServerKnown = false;

async function refresh() {
  try {
    if (!isServerKnown) showServer(await api.server());
    isServerKnown = true;
    show(await api.streams());
  } catch (error) {
    if (!(error instanceof api.Unreachable)) throw error;
    // It may come back as another version, or at other ports.
    isServerKnown = false;
    showEmpty(false);
    showTrouble("The server does not answer. Trying again…");
  }
}

async function run() {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}

enableCopying();
run();
