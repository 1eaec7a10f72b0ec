// The console: nodes and rooms, with charts of the last ten minutes. Elements are kept and only their contents change, so that
// the focus stays.

import * as api from "./api.js";
import { at, write } from "./dom.js";
import { warningsOf } from "./room-warnings.js";
import { codecName } from "./text.js";

/** @import { ClusterReport, NodeReport, RoomReport, Server } from "./types.js" */

const INTERVAL_MS = 5000;
const CHART_HEIGHT = 96;

/** Until all charts of a row are there: only then is it known how wide each may be. */
const CHART_WIDTH_AT_FIRST = 120;

/** The node that serves this page, once it has answered: all of a cluster have the same settings. @type {Server | undefined} */
let server;

/** Minutes that a chart shows, and where its axis is labelled. */
const MINUTES = 10;
const MARKS = [-10, -5, 0];

/** The drawing library, which its own script defines. @type {any} */
const UPlot = /** @type {any} */ (globalThis).uPlot;

/** @typedef {{ figure: HTMLElement, value: HTMLElement, plot: any }} Chart */
/** @typedef {{ section: HTMLElement, parts: Map<string, HTMLElement>, charts: Map<string, Chart> }} Card */

/** Cards of nodes and, below them, of their rooms. @type {Map<string, Card>} */
const cards = new Map();

/**
 * Returns the child of a card with a class, which is made if it is not there.
 *
 * @param {Card} card
 * @param {string} name
 * @param {string} tag
 * @param {HTMLElement} [parent]
 */
function part(card, name, tag, parent = card.section) {
  const known = card.parts.get(name);
  if (known) return known;
  const made = document.createElement(tag);
  made.className = name;
  parent.append(made);
  card.parts.set(name, made);
  return made;
}

/**
 * @param {string} key
 * @param {HTMLElement} parent
 * @param {string} className
 */
function card(key, parent, className) {
  const known = cards.get(key);
  if (known) return known;
  const section = document.createElement("section");
  section.className = className;
  section.dataset.name = key;
  parent.append(section);
  /** @type {Card} */
  const made = { section, parts: new Map(), charts: new Map() };
  cards.set(key, made);
  return made;
}

const color = (/** @type {string} */ name) => getComputedStyle(document.documentElement).getPropertyValue(name);

/**
 * @param {HTMLElement} parent
 * @param {string} title
 * @returns {Chart}
 */
function makeChart(parent, title) {
  const figure = document.createElement("figure");
  figure.className = "chart";
  const caption = document.createElement("figcaption");
  const value = document.createElement("span");
  value.className = "value";
  caption.append(`${title} `, value);
  const place = document.createElement("div");
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", `${title}, the last ten minutes`);
  figure.append(caption, place);
  parent.append(figure);
  const axis = { stroke: () => color("--quiet"), grid: { stroke: () => color("--line") }, ticks: { show: false } };
  const options = {
    width: CHART_WIDTH_AT_FIRST,
    height: CHART_HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: [-MINUTES, 0] },
      y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ high) => [0, Math.max(high ?? 0, 1)] },
    },
    axes: [
      { ...axis, size: 28, splits: () => MARKS, values: () => MARKS.map((at) => (at === 0 ? "now" : `${at} min`)) },
      { ...axis, size: 52, space: 24 },
    ],
    series: [{}, { stroke: () => color("--accent"), width: 1.5, points: { show: false } }],
  };
  return { figure, value, plot: new UPlot(options, [[], []], place) };
}

/**
 * @param {Card} owner
 * @param {string} title
 * @param {(number | null)[]} values
 * @param {number} intervalS
 * @param {(value: number) => string} show
 */
function drawChart(owner, title, values, intervalS, show) {
  const place = part(owner, "charts", "div");
  const chart = owner.charts.get(title) ?? makeChart(place, title);
  owner.charts.set(title, chart);
  const minutes = values.map((_, index) => ((index + 1 - values.length) * intervalS) / 60);
  chart.plot.setData([minutes, values]);
  const last = values.at(-1);
  write(chart.value, last === undefined || last === null ? "–" : show(last));
  chart.figure.dataset.samples = String(values.length);
}

const kbps = (/** @type {number} */ value) => (value < 1000 ? `${value} kbit/s` : `${(value / 1000).toFixed(1)} Mbit/s`);
const ms = (/** @type {number} */ value) => `≤ ${value} ms`;

/** @param {NodeReport} node */
function showNode(node) {
  const owner = card(node.node, at("nodes", HTMLElement), "node");
  const header = part(owner, "head", "header");
  write(part(owner, "name", "h2", header), node.node);
  const status = part(owner, "status", "strong", header);
  status.dataset.status = node.status;
  write(status, node.reason ? `${node.status.replace("_", " ")}: ${node.reason}` : node.status);
  write(part(owner, "version", "span", header), `version ${node.version}`);
  write(part(owner, "load", "span", header), `${node.connections} of ${node.connections_max} connections`);
  const { charts, interval_s: interval } = node;
  drawChart(owner, "In", charts.ingest_kbps, interval, kbps);
  drawChart(owner, "Out", charts.sent_kbps, interval, kbps);
  drawChart(owner, "Viewers", charts.viewers, interval, String);
  drawChart(owner, "Publish to send, p99", charts.publish_to_send_ms, interval, ms);
  const rooms = part(owner, "rooms-of-node", "div");
  for (const room of node.rooms) showRoom(node, room, rooms);
}

/** @param {RoomReport} room */
function facts(room) {
  const viewers = Object.entries(room.viewers).map(([protocol, count]) => `${count} ${protocol}`);
  const size = room.width && room.height ? ` ${room.width} × ${room.height}` : "";
  return {
    Publisher: room.origin ? `on ${room.origin}` : (room.address ?? (room.is_live ? "here" : "none")),
    Encoder: room.encoder ?? "unknown",
    Video: room.video ? `${codecName(room.video)}${size}` : "none",
    Audio: room.audio ? codecName(room.audio) : "none",
    In: room.bitrate_kbps === null ? "" : kbps(room.bitrate_kbps),
    Out: room.charts.sent_kbps.length ? kbps(room.charts.sent_kbps.at(-1) ?? 0) : "",
    Keyframes: room.keyframe_interval_ms ? `every ${(room.keyframe_interval_ms / 1000).toFixed(1)} s` : "",
    Viewers: viewers.length ? viewers.join(", ") : "none",
    Skips: String(room.skips),
  };
}

/**
 * @param {NodeReport} node
 * @param {RoomReport} room
 * @param {HTMLElement} parent
 */
function showRoom(node, room, parent) {
  const owner = card(`${node.node}/${room.room}`, parent, "room");
  write(part(owner, "room-name", "h3"), room.room);
  showWarnings(part(owner, "warnings", "ul"), warningsOf(room, { hasWebRtc: server?.webrtc ?? false }));
  const list = part(owner, "facts", "dl");
  for (const [name, text] of Object.entries(facts(room))) {
    const pair = part(owner, `fact-${name}`, "div", list);
    if (!pair.firstChild) pair.append(document.createElement("dt"), document.createElement("dd"));
    write(/** @type {Element} */ (pair.firstElementChild), name);
    write(/** @type {Element} */ (pair.lastElementChild), text);
    pair.hidden = text === "";
  }
  const { charts } = room;
  drawChart(owner, "In", charts.kbps, node.interval_s, kbps);
  drawChart(owner, "Out", charts.sent_kbps, node.interval_s, kbps);
  drawChart(owner, "Viewers", charts.viewers, node.interval_s, String);
  drawChart(owner, "Frames a second", charts.frame_rate, node.interval_s, (rate) => rate.toFixed(1));
  if (!room.origin) showActions(owner, room.room);
}

/**
 * @param {HTMLElement} list
 * @param {string[]} warnings
 */
function showWarnings(list, warnings) {
  list.hidden = warnings.length === 0;
  while (list.children.length > warnings.length) list.lastElementChild?.remove();
  warnings.forEach((warning, index) => {
    const item = list.children[index] ?? list.appendChild(document.createElement("li"));
    write(item, warning);
  });
}

/**
 * Buttons for administrators; there is no API without them.
 *
 * @param {Card} owner
 * @param {string} room
 */
function showActions(owner, room) {
  if (!api.bearer() || owner.parts.has("actions")) return;
  const actions = part(owner, "actions", "div");
  const path = `api/v1/streams/${encodeURIComponent(room)}`;
  const kick = document.createElement("button");
  kick.type = "button";
  kick.className = "kick";
  kick.textContent = "Disconnect the publisher";
  kick.addEventListener("click", () => act(kick, `${path}/publisher`));
  const viewers = document.createElement("form");
  viewers.className = "viewers";
  const subject = document.createElement("input");
  subject.placeholder = "sub of a viewer's token";
  subject.setAttribute("aria-label", "Subject of the viewers' tokens");
  subject.required = true;
  const kickViewers = document.createElement("button");
  kickViewers.textContent = "Disconnect viewers";
  viewers.append(subject, kickViewers);
  viewers.addEventListener("submit", (event) => {
    event.preventDefault();
    act(kickViewers, `${path}/viewers?sub=${encodeURIComponent(subject.value)}`);
  });
  actions.append(kick, viewers);
}

/**
 * @param {HTMLButtonElement} button
 * @param {string} path
 */
async function act(button, path) {
  button.disabled = true;
  try {
    await api.remove(path);
    showTrouble("");
    await refresh();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    showTrouble(`It could not be disconnected: ${error.message}`);
  } finally {
    button.disabled = false;
  }
}

/** @param {ClusterReport} report */
function show({ complete, nodes, unreachable, draining }) {
  const present = new Set(nodes.flatMap(({ node, rooms }) => [node, ...rooms.map(({ room }) => `${node}/${room}`)]));
  for (const [key, { section, charts }] of cards) {
    if (present.has(key)) continue;
    for (const { plot } of charts.values()) plot.destroy();
    section.remove();
    cards.delete(key);
  }
  nodes.forEach(showNode);
  resize();
  const rooms = nodes.reduce((sum, { rooms }) => sum + rooms.filter(({ origin }) => !origin).length, 0);
  write(at("summary", HTMLElement), `${nodes.length} ${nodes.length === 1 ? "node" : "nodes"}, ${rooms} ${rooms === 1 ? "room" : "rooms"}`);
  const named = unreachable.map((node) => (draining.includes(node) ? `${node} (draining)` : node));
  const missing = named.length ? `No answer from ${named.join(", ")}.` : "";
  showTrouble(complete ? missing : "The registry does not answer: other nodes are missing.");
}

/** @param {string} text */
function showTrouble(text) {
  write(at("trouble", HTMLElement), text);
  at("trouble", HTMLElement).hidden = text === "";
}

async function refresh() {
  try {
    server ??= await api.server();
    show(await api.nodes());
    at("login", HTMLFormElement).hidden = true;
  } catch (error) {
    if (error instanceof api.Refused) {
      at("login", HTMLFormElement).hidden = false;
      showTrouble(`The console needs an administrator's token: ${error.message}.`);
      return;
    }
    if (!(error instanceof api.Unreachable)) throw error;
    showTrouble("The server does not answer. Trying again…");
  }
}

/** Gives each chart the width of its place. */
function resize() {
  for (const { charts } of cards.values()) {
    for (const { plot, figure } of charts.values()) {
      const width = figure.clientWidth;
      if (plot.width !== width) plot.setSize({ width, height: CHART_HEIGHT });
    }
  }
}

/** Draws all charts in the colors of the scheme. */
function redraw() {
  for (const { charts } of cards.values()) for (const { plot } of charts.values()) plot.redraw();
}

async function run() {
  for (;;) {
    // With the form in sight, nothing is asked that would count as a failure.
    if (!document.hidden && at("login", HTMLFormElement).hidden) await refresh();
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}

at("login", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  api.useBearer(at("token", HTMLInputElement).value);
  refresh();
});
addEventListener("resize", resize);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
run();
