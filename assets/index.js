// The list of rooms. Rows are kept and only their texts change, so that nothing flickers and the focus stays.

import * as api from "./api.js";

const INTERVAL_MS = 2000;

const at = (id) => document.getElementById(id);
const rows = new Map();

/** A row is a link with a few texts in it. */
function makeRow(room) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `watch/${encodeURIComponent(room)}`;
  link.dataset.room = room;
  item.append(link);
  const texts = {};
  for (const name of ["name", "state", "video", "audio", "bitrate", "viewers", "since", "node"]) {
    texts[name] = document.createElement("span");
    texts[name].className = name;
    link.append(texts[name]);
  }
  return { item, texts };
}

function fillRow({ item, texts }, stream) {
  const { room, state, node, since_unix_ms, details } = stream;
  item.dataset.state = state;
  const says = {
    name: room,
    state: state === "live" ? "live" : "waiting",
    video: api.describeVideo(details),
    audio: api.describeAudio(details),
    bitrate: api.describeBitrate(details),
    viewers: api.describeViewers(details),
    since: api.describeSince(since_unix_ms),
    node: `on ${node}`,
  };
  for (const [name, text] of Object.entries(says)) api.write(texts[name], text);
}

/** The list comes in the order of names. A row that is where it belongs is not touched. */
function show({ complete, streams }) {
  const present = new Set(streams.map(({ room }) => room));
  for (const [room, { item }] of rows) {
    if (present.has(room)) continue;
    item.remove();
    rows.delete(room);
  }
  const list = at("rooms");
  streams.forEach((stream, index) => {
    if (!rows.has(stream.room)) rows.set(stream.room, makeRow(stream.room));
    const row = rows.get(stream.room);
    fillRow(row, stream);
    if (list.children[index] !== row.item) list.insertBefore(row.item, list.children[index] ?? null);
  });
  const live = streams.filter(({ state }) => state === "live").length;
  api.write(at("count"), streams.length === 0 ? "" : live === 1 ? "1 room is live" : `${live} rooms are live`);
  showEmpty(streams.length === 0);
  showTrouble(complete ? "" : "The registry does not answer: rooms of other nodes are missing.");
}

function showEmpty(empty) {
  if (at("empty").hidden === !empty) return;
  at("empty").hidden = !empty;
  if (empty) at("push").open = true;
}

function showTrouble(text) {
  api.write(at("trouble"), text);
  at("trouble").hidden = text === "";
}

function showServer(info) {
  const { rtmpServer, rtmp } = api.addresses(info);
  const target = rtmp("my-room");
  const encoding = "-c:v libx264 -pix_fmt yuv420p -tune zerolatency -g 30 -c:a aac -f flv";
  api.write(at("node"), `${info.node} · ${info.version}`);
  api.write(at("obs-server"), rtmpServer);
  api.write(at("ffmpeg-file"), `ffmpeg -re -i clip.mp4 ${encoding} ${target}`);
  const picture = "-f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine";
  api.write(at("ffmpeg-test"), `ffmpeg -re ${picture} ${encoding} ${target}`);
}

let serverIsKnown = false;

async function refresh() {
  try {
    if (!serverIsKnown) showServer(await api.server());
    serverIsKnown = true;
    show(await api.streams());
  } catch (error) {
    if (!(error instanceof api.Unreachable)) throw error;
    // It may come back as another version, or at other ports.
    serverIsKnown = false;
    showTrouble("The server does not answer. Trying again…");
  }
}

async function run() {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}

api.enableCopying();
run();
