// The page of one room: asks the server for its state, plays it, and goes on by itself when it comes back.

import * as api from "./api.js";
import { obstacle } from "./codecs.js";
import { enableControls } from "./controls.js";
import { at, enableCopying, write } from "./dom.js";
import { Handover } from "./handover.js";
import { Playback, wayOf } from "./playback.js";
import { isRefusedOverWebRtc, limitsOfWebRtc, playable, unavailable, usual } from "./protocols.js";
import { jittered, Retry } from "./retry.js";
import { Screen } from "./screen.js";
import { situation } from "./situation.js";
import { Still } from "./still.js";
import * as view from "./watch-view.js";

/** @import { EndReport, Protocol, Server, Stream } from "./types.js" */

/** While something plays, the server need not be asked often; while nothing does, playback should start soon. */
const ASK_PLAYING_MS = 10_000;
const ASK_WAITING_MS = 2000;
/** A stream that the server calls live and of which nothing comes is requested anew. */
const RECONNECT_AFTER_MS = 8000;
/** After so long a pause, a viewer is sent no media: playback goes on at the newest media anyway. */
const PARK_AFTER_MS = 10_000;
/** Failures in a row that the viewer should know of. Attempts go on all the same. */
const FAILURES_SHOWN = 3;
const SHOW_MS = 500;
/** Long enough to read why another protocol took the place of the chosen one. */
const NOTE_MS = 15_000;

const room = decodeURIComponent(location.pathname.split("/").at(-1) ?? "");
const screen = new Screen(at("video", HTMLVideoElement));
const still = new Still(screen, at("still", HTMLCanvasElement));
const handover = new Handover(takeOver);

const state = {
  /** @type {Server | undefined} */
  server: undefined,
  /** @type {Stream | undefined} */
  stream: undefined,
  isReachable: true,
  isComplete: true,
  /** The server's reason for not answering. @type {string | undefined} */
  refusal: undefined,
  /** @type {Protocol} */
  protocol: "flv",
  /** The viewer has chosen the protocol. */
  isChosen: false,
  /** @type {Playback | undefined} */
  playback: undefined,
  /** The publication that was tried last: failures of any other do not count. @type {number | undefined} */
  triedSince: undefined,
  /** The end of the last playback, and the identity of its stream. @type {(EndReport & { streamId: string }) | undefined} */
  ended: undefined,
  /** The publication that cannot be watched over WebRTC, and why. @type {{ streamId: string, text: string } | undefined} */
  notCarried: undefined,
  /**
   * The reason that another protocol took the place of WebRTC, and when it has been shown for long enough.
   *
   * @type {{ text: string, untilMs: number } | undefined}
   */
  noWebRtc: undefined,
  hasPlayed: false,
  wantsPause: false,
  pausedAt: 0,
};

function isPlaying() {
  const { readyState, HAVE_CURRENT_DATA } = screen.video;
  return state.playback !== undefined && !state.playback.isStalled && readyState >= HAVE_CURRENT_DATA;
}

function show() {
  const { playback, stream } = state;
  const now = situation({
    isReachable: state.isReachable,
    isComplete: state.isComplete,
    isServerKnown: state.server !== undefined,
    refusal: state.refusal,
    stream,
    isPlaying: isPlaying(),
    isOpen: playback !== undefined,
    wantsPause: state.wantsPause,
    hasPlayed: state.hasPlayed,
    isFailing: retry.failures >= FAILURES_SHOWN,
    ended: state.ended,
    protocol: state.protocol,
    noWebRtc: state.noWebRtc && performance.now() < state.noWebRtc.untilMs ? state.noWebRtc.text : undefined,
    tracks: playback?.tracks,
    undecodableAudio: playback?.undecodableAudio,
    hasStill: still.isShown,
  });
  // Between two playbacks, the last frame stays in view. Messages that stand for longer have the screen for themselves.
  if (!playback && now.state !== "connecting" && now.state !== "paused") still.release();
  view.showSituation(now);
  view.showLatency(now.state === "playing" ? playback?.latency : undefined);
  const hasAudio = (playback?.tracks?.audio ?? true) && stream?.details?.audio !== null;
  view.showControls({
    isMuted: screen.video.muted,
    isPaused: state.wantsPause,
    canUnmute: screen.video.muted && hasAudio && isPlaying(),
  });
  view.showChoices(reasonAgainst);
  const webrtc = state.server?.webrtc ? limitsOfWebRtc(stream?.details) : "";
  view.showFacts(stream, webrtc, isPlaying() ? (playback?.kind ?? view.NAMES[state.protocol]) : "");
}

/**
 * Returns what keeps a protocol from being chosen; undefined if nothing does.
 *
 * @param {Protocol} protocol
 */
function reasonAgainst(protocol) {
  // Without media source extensions, the stage says what to choose instead.
  if (protocol === "flv") return undefined;
  const { server, stream, notCarried } = state;
  const reason = server && unavailable(protocol, server);
  if (reason || protocol !== "webrtc" || !stream) return reason;
  if (isRefusedOverWebRtc(stream.details)) return limitsOfWebRtc(stream.details);
  return notCarried?.streamId === identity(stream, "webrtc") ? notCarried.text : undefined;
}

async function ask() {
  try {
    if (!state.server) {
      state.server = await api.server();
      view.showAddresses(room, state.server);
      chooseProtocol(state.server);
    }
    const { stream, isComplete } = await api.stream(room);
    Object.assign(state, { stream, isComplete, isReachable: true, refusal: undefined });
  } catch (error) {
    if (error instanceof api.Refused) {
      Object.assign(state, { stream: undefined, isReachable: true, refusal: error.message });
      return;
    }
    if (!(error instanceof api.Unreachable)) throw error;
    state.isReachable = false;
    // Without media either, the page knows nothing any more: the server may come back with other ports.
    if (!isPlaying()) Object.assign(state, { stream: undefined, server: undefined });
  }
}

/**
 * Phones without media source extensions get what their browser plays itself.
 *
 * @param {Server} server
 */
function chooseProtocol(server) {
  if (unavailable(state.protocol, server)) select(usual(server));
}

/** @param {Protocol} protocol */
function select(protocol) {
  state.protocol = protocol;
  view.showProtocol(protocol);
}

function act() {
  const { stream, playback, server } = state;
  if (state.wantsPause) return;
  if (playback && stream?.state === "live" && playback.stalledMs > RECONNECT_AFTER_MS) {
    playback.end({ why: "broken", text: "no media comes" });
  }
  if (state.playback || !server || stream?.state !== "live") return;
  if (!state.isChosen) select(playable(server, stream.details) ?? usual(server));
  const why = obstacle(state.protocol, stream.details);
  if (why) {
    state.ended = { why: "undecodable", ...why, streamId: identity(stream) };
    return;
  }
  // What could not be decoded is not tried again before something else is published.
  if (state.ended?.why === "undecodable" && state.ended.streamId === identity(stream)) return;
  if (state.triedSince !== stream.since_unix_ms) retry.reset();
  if (!retry.isWaiting) start(server, stream);
}

/** Ends the playback after a long pause. The last frame stays in view. */
function park() {
  if (!state.playback || !state.wantsPause || performance.now() - state.pausedAt < PARK_AFTER_MS) return;
  still.hold();
  stop();
}

/**
 * Identifies one publisher's stream over one protocol.
 *
 * @param {Stream} stream
 */
function identity({ since_unix_ms, details }, protocol = state.protocol) {
  return JSON.stringify([protocol, since_unix_ms, details?.video?.codec, details?.audio?.codec]);
}

/**
 * @param {Server} server
 * @param {Stream} stream
 */
function start(server, stream) {
  const url = api.addresses(server)[state.protocol](room);
  if (!url) return;
  state.triedSince = stream.since_unix_ms;
  state.playback = openIn(screen.video, url, identity(stream));
}

/**
 * Opens a playback. Until it has taken over, what one in a stand-in reports is between it and its handover.
 *
 * @param {HTMLVideoElement} video
 * @param {string} url
 * @param {string} streamId
 */
function openIn(video, url, streamId) {
  /** @returns {boolean} */
  const isInView = () => state.playback === playback;
  /** @type {Playback} */
  const playback = new Playback(video, url, {
    onEnd: (report) => (isInView() ? onEnd(playback, { ...report, streamId }) : abandon(playback)),
    onHold: (shown) => isInView() && still.hold(shown),
    onBlocked: () => isInView() && setPaused(true),
    onMoving: () => isInView() && move(playback, streamId),
  });
  playback.start(wayOf(state.protocol));
  return playback;
}

/**
 * Opens a second playback at the same address, as the node of the first is about to close it.
 *
 * @param {Playback} first
 * @param {string} streamId
 */
function move(first, streamId) {
  if (state.wantsPause || screen.isElsewhere) return;
  handover.start(first, () => openIn(screen.standIn(), first.url, streamId));
}

/** @param {Playback} next */
function takeOver(next) {
  state.playback?.stop();
  state.playback = next;
  screen.show(next.video);
  if (next.video.videoWidth > 0 && next.video.readyState >= next.video.HAVE_CURRENT_DATA) still.release();
  next.repeatNotice();
  show();
}

/** @param {Playback} playback */
function abandon({ video }) {
  video.remove();
  handover.retry();
}

/**
 * Requests the stream again: at once if it has played, after a while if it failed without having played.
 *
 * @param {Playback} playback
 * @param {EndReport & { streamId: string }} ended
 */
function onEnd(playback, ended) {
  state.playback = undefined;
  if (handover.takeNow()) return;
  handover.drop();
  state.ended = ended;
  if (playback.hasPlayed) retry.reset();
  else retry.fail();
  if (state.protocol === "webrtc") leaveWebRtc(ended);
  if (!retry.isWaiting) wake();
}

/**
 * Goes on over another protocol if WebRTC does not get through to here, or not with this stream.
 *
 * @param {EndReport & { streamId: string }} ended
 */
function leaveWebRtc({ why, title, text, streamId }) {
  const { server, stream } = state;
  if (why === "undecodable") state.notCarried = { streamId, text };
  const isFutile = why === "undecodable" || why === "unreachable" || retry.failures >= FAILURES_SHOWN;
  const other = isFutile && server && playable(server, stream?.details);
  if (!other) return;
  state.noWebRtc = { text: `${title ?? "WebRTC does not play"}: ${text}`, untilMs: performance.now() + NOTE_MS };
  switchTo(other);
}

function stop() {
  handover.drop();
  state.playback?.stop();
  state.playback = undefined;
}

let wake = () => {};
const retry = new Retry(() => wake());

/** Polls and acts until the page is closed; `wake` makes it poll at once. */
async function run() {
  let asksWhilePlaying = 0;
  for (;;) {
    await ask();
    act();
    show();
    asksWhilePlaying = isPlaying() ? asksWhilePlaying + 1 : 0;
    // The first answer may be from before this viewer was counted.
    const pause = asksWhilePlaying > 1 ? ASK_PLAYING_MS : ASK_WAITING_MS;
    await new Promise((resolve) => {
      wake = () => resolve(undefined);
      setTimeout(resolve, jittered(pause));
    });
  }
}

/** True if media came at the last look. The moments at which it comes and stops are reasons to ask. */
let played = false;

function look() {
  park();
  const plays = isPlaying();
  if (plays) state.hasPlayed = true;
  if (state.playback?.hasPlayed) retry.reset();
  if (played !== plays) wake();
  played = plays;
  show();
}

/** @param {boolean} wantsPause */
function setPaused(wantsPause) {
  state.wantsPause = wantsPause;
  state.pausedAt = performance.now();
  if (wantsPause) handover.drop();
  if (wantsPause) state.playback?.pause();
  else state.playback?.resume();
  if (!wantsPause && !state.playback) wake();
  show();
}

/** @param {Protocol} protocol */
function onProtocol(protocol) {
  state.noWebRtc = undefined;
  state.isChosen = true;
  switchTo(protocol);
}

/** @param {Protocol} protocol */
function switchTo(protocol) {
  select(protocol);
  stop();
  still.release();
  retry.reset();
  state.ended = undefined;
  wake();
}

enableControls(room, screen, { isPaused: () => state.wantsPause, setPaused, onChange: show });
for (const choice of view.choices()) {
  choice.addEventListener("change", () => onProtocol(view.protocolOf(choice)));
}

if (window.self !== window.top) document.body.classList.add("framed");
document.title = `${room} · synctv-stream`;
write(at("room", HTMLElement), room);
select("flv");
enableCopying();
setInterval(look, SHOW_MS);
// Another token: a browser does not load the page again for it.
addEventListener("hashchange", () => location.reload());
run();
