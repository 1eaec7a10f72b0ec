// The document of a room's page: writes what is known into it.

import { addresses } from "./api.js";
import { at, write } from "./dom.js";
import { describeAudio, describeBitrate, describeLatency, describeSince, describeVideo, describeViewers } from "./text.js";

/** @import { Protocol, Server, Stream } from "./types.js" */
/** @import { Situation } from "./situation.js" */

/** @param {Situation} situation */
export function showSituation({ state, title, text, note }) {
  at("stage", HTMLElement).dataset.state = state;
  write(at("message", HTMLElement), title);
  write(at("explanation", HTMLElement), text);
  write(at("note", HTMLElement), note);
}

/** @param {number | undefined} seconds */
export function showLatency(seconds) {
  const latency = at("latency", HTMLElement);
  latency.hidden = seconds === undefined;
  if (seconds === undefined) return;
  latency.dataset.seconds = seconds.toFixed(3);
  write(at("latency-value", HTMLElement), describeLatency(seconds));
}

/** @param {{ isMuted: boolean, isPaused: boolean, canUnmute: boolean }} controls */
export function showControls({ isMuted, isPaused, canUnmute }) {
  at("unmute", HTMLButtonElement).hidden = !canUnmute;
  write(at("mute", HTMLButtonElement), isMuted ? "Unmute" : "Mute");
  write(at("pause", HTMLButtonElement), isPaused ? "Play" : "Pause");
}

const STATES = { live: "live", interrupted: "waiting" };

/**
 * @param {Stream | undefined} stream
 * @param {string} webrtc the reasons why WebRTC does not carry all of it; empty if it does
 * @param {string} playing the protocol that plays, in words; empty if nothing does
 */
export function showFacts(stream, webrtc, playing) {
  const state = at("state", HTMLElement);
  write(state, stream ? STATES[stream.state] : "not live");
  state.dataset.state = stream?.state ?? "absent";
  const facts = stream
    ? [
        ["Video", describeVideo(stream.details)],
        ["Audio", describeAudio(stream.details)],
        ["Bitrate", describeBitrate(stream.details)],
        ["Watching", describeViewers(stream.details)],
        ["Time", describeSince(stream.since_unix_ms)],
        ["Node", stream.node],
        ["Playing", playing],
        ["Over WebRTC", webrtc],
      ]
    : [];
  const list = at("facts", HTMLElement);
  const shown = facts.filter(([, text]) => text !== "");
  while (list.children.length > shown.length) list.lastElementChild?.remove();
  shown.forEach(([name, text], index) => showFact(list, index, name, text));
}

/**
 * @param {HTMLElement} list
 * @param {number} index
 * @param {string} name
 * @param {string} text
 */
function showFact(list, index, name, text) {
  if (!list.children[index]) {
    const fact = document.createElement("div");
    fact.append(document.createElement("dt"), document.createElement("dd"));
    list.append(fact);
  }
  const [term, value] = list.children[index].children;
  write(term, name);
  write(value, text);
}

/**
 * @param {string} room
 * @param {Server} server
 */
export function showAddresses(room, server) {
  const { flv, hls, webrtc, rtmp, page } = addresses(server);
  write(at("address-flv", HTMLElement), flv(room));
  write(at("address-hls", HTMLElement), hls(room) ?? "");
  write(at("address-webrtc", HTMLElement), webrtc(room) ?? "");
  write(at("address-rtmp", HTMLElement), rtmp(room));
  const frame = `<iframe src="${page(room)}" allow="autoplay; fullscreen" width="640" height="360"></iframe>`;
  write(at("address-frame", HTMLElement), frame);
  showOnly(".hls-only", server.hls_port !== null);
  showOnly(".webrtc-only", server.webrtc);
}

/**
 * @param {string} selector
 * @param {boolean} isShown
 */
function showOnly(selector, isShown) {
  for (const element of document.querySelectorAll(selector)) element.toggleAttribute("hidden", !isShown);
}

/** The radio buttons of the protocols. */
export const choices = () =>
  /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=protocol]"));

/** @param {Protocol} protocol */
export function showProtocol(protocol) {
  for (const choice of choices()) choice.checked = choice.value === protocol;
}

/** @type {Record<Protocol, string>} */
export const NAMES = { flv: "HTTP-FLV", hls: "HLS", webrtc: "WebRTC" };

/** @type {Record<Protocol, string>} */
const HINTS = {
  flv: "A fraction of a second behind",
  hls: "About two seconds behind, on any device",
  webrtc: "Less than a tenth of a second behind, over UDP",
};

/**
 * Shows which protocols can be chosen, and why others cannot.
 *
 * @param {(protocol: Protocol) => string | undefined} obstacleOf
 */
export function showChoices(obstacleOf) {
  for (const choice of choices()) {
    const protocol = protocolOf(choice);
    const reason = obstacleOf(protocol);
    choice.disabled = reason !== undefined;
    if (choice.parentElement) choice.parentElement.title = reason ?? HINTS[protocol];
  }
}

/**
 * Returns the protocol of a radio button.
 *
 * @param {HTMLInputElement} choice
 */
export const protocolOf = ({ value }) => /** @type {Protocol} */ (value);
