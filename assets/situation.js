// The state of the player: its name, its message, and a note on missing tracks.

import { codecName } from "./text.js";

/** @import { EndReport, Protocol, Stream, Tracks } from "./types.js" */

/**
 * @typedef {object} Facts
 * @property {boolean} isReachable the last question to the server was answered
 * @property {boolean} isComplete the answer covers all nodes
 * @property {boolean} isServerKnown
 * @property {string | undefined} refusal the server's reason for not answering without a valid token
 * @property {Stream | undefined} stream
 * @property {boolean} isPlaying
 * @property {boolean} isOpen a playback is under way, whether media comes or not
 * @property {boolean} wantsPause
 * @property {boolean} hasPlayed
 * @property {boolean} isFailing attempts have failed so often that the viewer should know
 * @property {EndReport | undefined} ended
 * @property {Protocol} protocol
 * @property {string | undefined} noWebRtc the reason that another protocol took the place of WebRTC
 * @property {Tracks | undefined} tracks
 * @property {string | undefined} undecodableAudio
 * @property {boolean} hasStill a single frame lies over the video
 */

/**
 * @typedef {"closed" | "offline" | "unsure" | "waiting" | "over" | "interrupted" | "connecting" | "undecodable" | "failing" |
 *   "playing" | "paused"} State
 */

/** @typedef {{ state: State, title: string, text: string, note: string }} Situation */

/** @type {Record<Exclude<State, "closed" | "undecodable" | "failing" | "playing" | "paused">, [string, string]>} */
const MESSAGES = {
  connecting: ["Connecting", ""],
  waiting: ["This room is not live yet", "Playback starts by itself when someone pushes to it."],
  unsure: ["This room may be live on another node", "The registry does not answer. Trying again…"],
  over: ["The stream has ended", "It goes on by itself when the room is live again."],
  interrupted: ["The publisher is disconnected", "Playback goes on by itself when the publisher is back."],
  offline: ["The server does not answer", "Trying again…"],
};

const FAILED = "This stream cannot be played here";

const CLOSED = "This room needs a valid token";

/**
 * @param {Facts} facts
 * @returns {Situation}
 */
export function situation(facts) {
  const state = stateOf(facts);
  const [title, text] = messageOf(state, facts);
  return { state, title, text, note: state === "playing" || state === "paused" ? noteOf(facts) : "" };
}

/**
 * @param {Facts} facts
 * @returns {State}
 */
function stateOf(facts) {
  if (facts.wantsPause && (facts.isPlaying || facts.hasPlayed)) return "paused";
  if (facts.isPlaying) return "playing";
  if (facts.refusal !== undefined) return "closed";
  if (!facts.isReachable) return "offline";
  if (!facts.stream) return absence(facts);
  if (facts.ended?.why === "undecodable" && !facts.isOpen) return "undecodable";
  if (facts.stream.state === "interrupted") return "interrupted";
  return facts.isFailing ? "failing" : "connecting";
}

/**
 * @param {Facts} facts
 * @returns {State}
 */
function absence({ isServerKnown, isComplete, hasPlayed }) {
  if (!isServerKnown) return "connecting";
  if (!isComplete) return "unsure";
  return hasPlayed ? "over" : "waiting";
}

/**
 * @param {State} state
 * @param {Facts} facts
 * @returns {[string, string]}
 */
function messageOf(state, { ended, refusal }) {
  switch (state) {
    case "closed":
      return [CLOSED, refusal ?? ""];
    case "playing":
    case "paused":
      return ["", ""];
    case "undecodable":
      return [ended?.title ?? FAILED, ended?.text ?? ""];
    case "failing":
      return [ended?.title ?? FAILED, ended?.text ? `Trying again… (${ended.text})` : "Trying again…"];
    default:
      return MESSAGES[state];
  }
}

/** @param {Facts} facts */
function noteOf({ protocol, noWebRtc, stream, tracks, undecodableAudio, hasStill }) {
  if (noWebRtc) return noWebRtc;
  const audio = stream?.details?.audio;
  if (protocol === "webrtc" && audio && tracks?.audio === false) {
    return `No audio: WebRTC does not carry ${codecName(audio.codec)} here`;
  }
  if (undecodableAudio) return `No audio: this browser cannot decode ${codecName(undecodableAudio)}`;
  if (!tracks || tracks.video) return "";
  return hasStill ? "The video is paused" : "Audio only";
}
