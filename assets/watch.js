// One room: asks the server what there is to play, plays it, and goes on by itself when it comes back.

import * as api from "./api.js";
import { obstacle } from "./codecs.js";
import { Ended, Playback } from "./playback.js";
import { jittered, Retry } from "./retry.js";

/** While something plays, the server need not be asked often; while nothing does, it should start soon. */
const ASK_PLAYING_MS = 10_000;
const ASK_WAITING_MS = 2000;
/** A stream that is live by what the server says, but of which nothing comes, is asked for anew. */
const RECONNECT_AFTER_MS = 8000;
/** What fails so often without playing in between may never play here. It is said, and tried all the same. */
const FAILURES_TOLD = 3;
const SHOW_MS = 500;

const at = (id) => document.getElementById(id);
const room = decodeURIComponent(location.pathname.split("/").at(-1));
const video = at("video");
const stage = at("stage");

const state = {
  /** What the server said: its own addresses, and the room. */
  server: undefined,
  stream: undefined,
  isReachable: true,
  protocol: "flv",
  playback: undefined,
  /** Since when what was tried last is live: failures of anything else do not count. */
  triedSince: undefined,
  /** Why the last playback ended, and of what. */
  ended: undefined,
  hasPlayed: false,
  wantsPause: false,
};


const MESSAGES = {
  connecting: ["Connecting", ""],
  waiting: ["Nobody is live here yet", "Playback starts by itself when someone pushes to this room."],
  over: ["The stream has ended", "It goes on by itself when the room is live again."],
  interrupted: ["The publisher is away", "It goes on by itself when the publisher is back."],
  offline: ["The server does not answer", "Trying again…"],
};

function currentState() {
  if (!state.isReachable && !isPlaying()) return "offline";
  if (!state.stream) return isPlaying() ? "playing" : state.hasPlayed ? "over" : state.server ? "waiting" : "connecting";
  if (isPlaying()) return state.wantsPause ? "paused" : "playing";
  if (state.ended?.why === Ended.undecodable && !state.playback) return "undecodable";
  if (state.stream.state === "interrupted") return "interrupted";
  return retry.failures >= FAILURES_TOLD ? "failing" : "connecting";
}

function isPlaying() {
  return state.playback !== undefined && !state.playback.isStalled && video.readyState >= 2;
}

function show() {
  const now = currentState();
  stage.dataset.state = now;
  const [message, explanation] = MESSAGES[now] ?? describeEnd(now);
  api.write(at("message"), message);
  api.write(at("explanation"), explanation);
  showLatency(now);
  showSound();
  showFacts();
}

function describeEnd(now) {
  const { title, text } = state.ended ?? {};
  if (now === "undecodable") return [title, text];
  if (now === "failing") return [title, text ? `Trying again… (${text})` : "Trying again…"];
  return ["", ""];
}

function showLatency(now) {
  const seconds = now === "playing" ? state.playback.latency : undefined;
  at("latency").hidden = seconds === undefined;
  if (seconds === undefined) return;
  at("latency").dataset.seconds = seconds.toFixed(3);
  api.write(at("latency"), `${seconds.toFixed(1)} s behind live`);
}

function showSound() {
  at("unmute").hidden = !video.muted || !isPlaying() || state.stream?.details?.audio === null;
  at("mute").setAttribute("aria-pressed", String(video.muted));
  api.write(at("mute"), video.muted ? "Muted" : "Sound on");
  api.write(at("pause"), state.wantsPause ? "Play" : "Pause");
}

function showFacts() {
  const { stream } = state;
  api.write(at("state"), stream ? (stream.state === "live" ? "live" : "waiting") : "not live");
  at("state").dataset.state = stream?.state ?? "absent";
  const facts = stream
    ? {
        Video: api.describeVideo(stream.details),
        Audio: api.describeAudio(stream.details),
        Bitrate: api.describeBitrate(stream.details),
        Watching: api.describeViewers(stream.details),
        Time: api.describeSince(stream.since_unix_ms),
        Node: stream.node,
      }
    : {};
  const list = at("facts");
  const shown = Object.entries(facts).filter(([, text]) => text !== "");
  while (list.children.length > shown.length) list.lastElementChild.remove();
  shown.forEach(([name, text], index) => fillFact(list, index, name, text));
}

function fillFact(list, index, name, text) {
  if (!list.children[index]) {
    const fact = document.createElement("div");
    fact.append(document.createElement("dt"), document.createElement("dd"));
    list.append(fact);
  }
  const [term, value] = list.children[index].children;
  api.write(term, name);
  api.write(value, text);
}

function showAddresses() {
  const addresses = api.addresses(state.server);
  api.write(at("address-flv"), addresses.flv(room));
  api.write(at("address-hls"), addresses.hls(room) ?? "");
  api.write(at("address-rtmp"), addresses.rtmp(room));
  const frame = `<iframe src="${addresses.page(room)}" allow="autoplay; fullscreen" width="640" height="360"></iframe>`;
  api.write(at("address-frame"), frame);
  const hasHls = state.server.hls_port !== null;
  for (const element of document.querySelectorAll(".hls-only")) element.hidden = !hasHls;
  document.querySelector("[name=protocol][value=hls]").disabled = !hasHls;
}


async function ask() {
  try {
    if (!state.server) {
      state.server = await api.server();
      showAddresses();
      chooseProtocol();
    }
    state.stream = await api.stream(room);
    state.isReachable = true;
  } catch (error) {
    if (!(error instanceof api.Unreachable)) throw error;
    state.isReachable = false;
    // What does not play any more is not live as far as this page can know; the ports may be others next time.
    if (!isPlaying()) {
      state.stream = undefined;
      state.server = undefined;
    }
  }
}

/** Phones without media source extensions get what their browser plays itself. */
function chooseProtocol() {
  const hasMse = Boolean(globalThis.MediaSource ?? globalThis.ManagedMediaSource);
  if (!hasMse) select("hls");
  if (state.server.hls_port === null) select("flv");
}

function select(protocol) {
  state.protocol = protocol;
  document.querySelector(`[name=protocol][value=${protocol}]`).checked = true;
}

function act() {
  const { stream, playback } = state;
  if (playback && stream?.state === "live" && playback.stalledMs > RECONNECT_AFTER_MS && !state.wantsPause) {
    stop();
    onEnd(playback, { why: Ended.broken, text: "no media comes" });
  }
  if (state.playback || stream?.state !== "live") return;
  const why = obstacle(state.protocol, stream.details);
  if (why) {
    state.ended = { why: Ended.undecodable, ...why, of: identity(stream) };
    return;
  }
  // What could not be decoded is not tried again before something else is published.
  if (state.ended?.why === Ended.undecodable && state.ended.of === identity(stream)) return;
  if (state.triedSince !== stream.since_unix_ms) retry.reset();
  if (!retry.isWaiting) start();
}

/** Tells one publisher's stream, over one protocol, from another. */
function identity(stream) {
  return JSON.stringify([state.protocol, stream.since_unix_ms, stream.details?.video?.codec, stream.details?.audio?.codec]);
}

function start() {
  const addresses = api.addresses(state.server);
  const address = state.protocol === "flv" ? addresses.flv(room) : addresses.hls(room);
  const of = identity(state.stream);
  state.triedSince = state.stream.since_unix_ms;
  const playback = new Playback(video, (why, text) => {
    state.playback = undefined;
    onEnd(playback, { why, text, of });
  });
  state.playback = playback;
  playback.start(state.protocol, address);
}

/** What played is asked for at once; what failed without having played, after a while. */
function onEnd(playback, ended) {
  state.ended = { title: "This stream cannot be played here", ...ended };
  if (!playback.hasPlayed) {
    retry.fail();
    return;
  }
  retry.reset();
  wake();
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
      wake = resolve;
      setTimeout(resolve, jittered(pause));
    });
  }
}

/** Whether media came at the last look. The moments at which it comes and stops are reasons to ask. */
let played = false;

function look() {
  const plays = isPlaying();
  if (plays) state.hasPlayed = true;
  if (state.playback?.hasPlayed) retry.reset();
  if (played !== plays) wake();
  played = plays;
  show();
}


function togglePause() {
  state.wantsPause = !state.wantsPause;
  if (state.wantsPause) video.pause();
  else state.playback?.play();
  show();
}

function toggleSound() {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) setVolume(1);
  show();
}

function setVolume(volume) {
  video.volume = volume;
  video.muted = volume === 0;
  at("volume").value = String(volume);
  show();
}

function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (stage.requestFullscreen) stage.requestFullscreen().catch(() => {});
  else video.webkitEnterFullscreen?.();
}

const KEYS = { " ": togglePause, k: togglePause, m: toggleSound, f: toggleFullscreen };

function onKey(event) {
  const isControl = event.target.closest("button, a, input, summary");
  const action = KEYS[event.key.toLowerCase()];
  if (!action || event.ctrlKey || event.metaKey || event.altKey || (isControl && event.key === " ")) return;
  event.preventDefault();
  action();
}

function onProtocol(event) {
  select(event.target.value);
  stop();
  retry.reset();
  state.ended = undefined;
  wake();
}

at("pause").addEventListener("click", togglePause);
at("mute").addEventListener("click", toggleSound);
at("unmute").addEventListener("click", toggleSound);
at("fullscreen").addEventListener("click", toggleFullscreen);
at("volume").addEventListener("input", (event) => setVolume(Number(event.target.value)));
video.addEventListener("click", togglePause);
document.addEventListener("keydown", onKey);
for (const choice of document.querySelectorAll("[name=protocol]")) choice.addEventListener("change", onProtocol);

if (window.self !== window.top) document.body.classList.add("framed");
document.title = `${room} · synctv-stream`;
api.write(at("room"), room);
select("flv");
api.enableCopying();
setInterval(look, SHOW_MS);
run();
