// The page of one room: asks the server for its state, plays it, and goes on by itself when it comes back.

import * as api from "./api.js";
import { obstacle } from "./codecs.js";
import { at, enableCopying, write } from "./dom.js";
import { Playback, wayOf } from "./playback.js";
import { insteadOfWebRtc, unavailable, usual } from "./protocols.js";
import { jittered, Retry } from "./retry.js";
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
const video = at("video", HTMLVideoElement);
const stage = at("stage", HTMLElement);
const volume = at("volume", HTMLInputElement);
const still = new Still(video, at("still", HTMLCanvasElement));

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
  /** @type {Playback | undefined} */
  playback: undefined,
  /** The publication that was tried last: failures of any other do not count. @type {number | undefined} */
  triedSince: undefined,
  /** The end of the last playback, and the identity of its stream. @type {(EndReport & { of: string }) | undefined} */
  ended: undefined,
  /** The publication that cannot be watched over WebRTC, and why. @type {{ of: string, text: string } | undefined} */
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
  return state.playback !== undefined && !state.playback.isStalled && video.readyState >= video.HAVE_CURRENT_DATA;
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
  view.showSituation(now);
  view.showLatency(now.state === "playing" ? playback?.latency : undefined);
  const hasAudio = (playback?.tracks?.audio ?? true) && stream?.details?.audio !== null;
  view.showControls({
    isMuted: video.muted,
    isPaused: state.wantsPause,
    canUnmute: video.muted && hasAudio && isPlaying(),
  });
  view.showChoices(reasonAgainst);
  view.showFacts(stream);
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
  if (reason || protocol !== "webrtc" || !stream || notCarried?.of !== identity(stream, "webrtc")) return reason;
  return notCarried.text;
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
  const why = obstacle(state.protocol, stream.details);
  if (why) {
    state.ended = { why: "undecodable", ...why, of: identity(stream) };
    return;
  }
  // What could not be decoded is not tried again before something else is published.
  if (state.ended?.why === "undecodable" && state.ended.of === identity(stream)) return;
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
  const of = identity(stream);
  state.triedSince = stream.since_unix_ms;
  const playback = new Playback(video, url, {
    onEnd: (report) => onEnd(playback, { ...report, of }),
    onHold: (shown) => still.hold(shown),
    onBlocked: () => setPaused(true),
  });
  state.playback = playback;
  playback.start(wayOf(state.protocol));
}

/**
 * Requests the stream again: at once if it has played, after a while if it failed without having played.
 *
 * @param {Playback} playback
 * @param {EndReport & { of: string }} ended
 */
function onEnd(playback, ended) {
  state.playback = undefined;
  state.ended = ended;
  still.release();
  if (playback.hasPlayed) retry.reset();
  else retry.fail();
  if (state.protocol === "webrtc") leaveWebRtc(ended);
  if (!retry.isWaiting) wake();
}

/**
 * Goes on over another protocol if WebRTC does not get through to here, or not with this stream.
 *
 * @param {EndReport & { of: string }} ended
 */
function leaveWebRtc({ why, title, text, of }) {
  const { server, stream } = state;
  if (why === "undecodable") state.notCarried = { of, text };
  const isFutile = why === "undecodable" || why === "unreachable" || retry.failures >= FAILURES_SHOWN;
  const other = isFutile && server && insteadOfWebRtc(server, stream?.details);
  if (!other) return;
  state.noWebRtc = { text: `${title ?? "WebRTC does not play"}: ${text}`, untilMs: performance.now() + NOTE_MS };
  switchTo(other);
}

function stop() {
  state.playback?.stop();
  state.playback = undefined;
}

let wake = () => {};
const retry = new Retry(() => wake());

/** Asks and acts for as long as the page is there; `wake` makes it ask now. */
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
  if (wantsPause) state.playback?.pause();
  else state.playback?.resume();
  if (!wantsPause && !state.playback) wake();
  show();
}

const togglePause = () => setPaused(!state.wantsPause);

function toggleMute() {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) setVolume(1);
  show();
}

/** @param {number} level */
function setVolume(level) {
  video.volume = level;
  video.muted = level === 0;
  volume.value = String(level);
  show();
}

function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (stage.requestFullscreen) stage.requestFullscreen().catch(() => {});
  // iPhones have full screen for videos only.
  else /** @type {any} */ (video).webkitEnterFullscreen?.();
}

/** @type {Record<string, () => void>} */
const KEYS = { " ": togglePause, k: togglePause, m: toggleMute, f: toggleFullscreen };

/** @param {KeyboardEvent} event */
function onKey(event) {
  const isControl = event.target instanceof Element && event.target.closest("button, a, input, summary");
  const action = KEYS[event.key.toLowerCase()];
  if (!action || event.ctrlKey || event.metaKey || event.altKey || (isControl && event.key === " ")) return;
  event.preventDefault();
  action();
}

/** @param {Protocol} protocol */
function onProtocol(protocol) {
  state.noWebRtc = undefined;
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

/** Keys for media and the window of picture-in-picture pause as the page's own button does. */
function handleMediaKeys() {
  if (!("mediaSession" in navigator)) return;
  navigator.mediaSession.metadata = new MediaMetadata({ title: room });
  navigator.mediaSession.setActionHandler("play", () => setPaused(false));
  navigator.mediaSession.setActionHandler("pause", () => setPaused(true));
}

at("pause", HTMLButtonElement).addEventListener("click", togglePause);
at("mute", HTMLButtonElement).addEventListener("click", toggleMute);
at("unmute", HTMLButtonElement).addEventListener("click", toggleMute);
at("fullscreen", HTMLButtonElement).addEventListener("click", toggleFullscreen);
volume.addEventListener("input", () => setVolume(Number(volume.value)));
video.addEventListener("click", togglePause);
document.addEventListener("keydown", onKey);
for (const choice of view.choices()) {
  choice.addEventListener("change", () => onProtocol(view.protocolOf(choice)));
}

if (window.self !== window.top) document.body.classList.add("framed");
document.title = `${room} · synctv-stream`;
write(at("room", HTMLElement), room);
select("flv");
enableCopying();
handleMediaKeys();
setInterval(look, SHOW_MS);
// Another token: a browser does not load the page again for it.
addEventListener("hashchange", () => location.reload());
run();
