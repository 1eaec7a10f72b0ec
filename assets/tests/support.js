// Fakes of what a browser has and Node.js lacks.

import { mock } from "node:test";

/** A video element without a screen: its media is what a test writes into `ranges`. */
export class FakeVideo extends EventTarget {
  ranges = [];
  currentTime = 0;
  readyState = 0;
  playbackRate = 1;
  paused = true;
  src = "";
  srcObject = null;
  error = null;
  plays = 0;
  /** What `play` is answered with, if it is refused. */
  refusal = undefined;

  get buffered() {
    return timeRanges(this.ranges);
  }

  async play() {
    this.plays += 1;
    if (this.refusal) throw this.refusal;
    this.paused = false;
  }

  pause() {
    this.paused = true;
  }

  load() {}

  removeAttribute(name) {
    if (name === "src") this.src = "";
  }
}

export function timeRanges(ranges) {
  return { length: ranges.length, start: (index) => ranges[index][0], end: (index) => ranges[index][1] };
}

/** A host that notes what a player reports. */
export function fakeHost(video = new FakeVideo()) {
  const reports = [];
  return {
    video,
    url: "http://server/room.flv",
    reports,
    play: () => reports.push("play"),
    hold: (shown) => reports.push(shown === video ? "hold" : `hold: ${shown}`),
    moving: () => reports.push("moving"),
    doubt: (text) => reports.push(`doubt: ${text}`),
    end: (report) => reports.push(report),
  };
}

/** Stops the clock: returns a function that lets time pass, for timers and `performance.now` alike. */
export function stoppedClock() {
  let now = 1000;
  let newest = 0;
  const timers = new Map();
  const start = (callback, ms, every) => timers.set((newest += 1), { callback, at: now + ms, every }) && newest;
  const stop = (id) => timers.delete(id);
  mock.method(performance, "now", () => now);
  mock.method(globalThis, "setTimeout", (callback, ms = 0) => start(callback, ms));
  mock.method(globalThis, "setInterval", (callback, ms) => start(callback, ms, ms));
  mock.method(globalThis, "clearTimeout", stop);
  mock.method(globalThis, "clearInterval", stop);
  return (ms) => {
    const end = now + ms;
    for (let due = next(timers, end); due; due = next(timers, end)) {
      const [id, timer] = due;
      now = timer.at;
      if (timer.every) timer.at += timer.every;
      else timers.delete(id);
      timer.callback();
    }
    now = end;
  };
}

/** The timer that is due first, if any is until `end`. */
function next(timers, end) {
  const due = [...timers].filter(([, { at }]) => at <= end);
  return due.sort(([, first], [, second]) => first.at - second.at)[0];
}

/** Undoes `stoppedClock` and all other replacements. */
export function restore() {
  mock.restoreAll();
  delete globalThis.MediaSource;
  delete globalThis.ManagedMediaSource;
  delete globalThis.RTCPeerConnection;
}

/** Lets everything happen that waits for promises only. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A browser whose media source extensions take these types. */
export function withMediaSource(isSupported = () => true) {
  globalThis.MediaSource = { isTypeSupported: isSupported };
}

class FakeTransport extends EventTarget {
  state = "connected";

  close() {
    this.state = "closed";
    this.dispatchEvent(new Event("statechange"));
  }
}

/** A connection over WebRTC that never connects by itself. */
export class FakePeer extends EventTarget {
  /** The newest one. @type {FakePeer} */
  static last;

  connectionState = "new";
  localDescription = undefined;
  remote = undefined;
  isClosed = false;
  statistics = new Map();
  looks = 0;
  transport = new FakeTransport();
  #transceivers = [];
  #directions;

  constructor(directions) {
    super();
    this.#directions = directions;
    FakePeer.last = this;
  }

  addTransceiver(kind, { direction }) {
    const transceiver = { kind, direction, currentDirection: null, receiver: { transport: this.transport } };
    this.#transceivers.push(transceiver);
    return transceiver;
  }

  async createOffer() {
    return { type: "offer", sdp: "the offer" };
  }

  async setLocalDescription(description) {
    this.localDescription = description;
  }

  async setRemoteDescription(description) {
    this.remote = description;
    for (const transceiver of this.#transceivers) {
      transceiver.currentDirection = this.#directions[transceiver.kind] ?? transceiver.direction;
    }
  }

  async getStats() {
    this.looks += 1;
    return this.statistics;
  }

  close() {
    this.isClosed = true;
  }

  emit(type, properties = {}) {
    this.dispatchEvent(Object.assign(new Event(type), properties));
  }

  change(connectionState) {
    this.connectionState = connectionState;
    this.emit("connectionstatechange");
  }
}

/** A browser with WebRTC, and the directions that answers have for some of the tracks. */
export function withWebRtc(directions = {}) {
  globalThis.RTCPeerConnection = class extends FakePeer {
    constructor() {
      super(directions);
    }
  };
}

const AUDIO = 8;
const VIDEO = 9;

/** An FLV tag with the size that follows it. */
export function tag(type, timeMs, body) {
  const size = body.length;
  const header = [type, size >> 16, size >> 8, size, timeMs >> 16, timeMs >> 8, timeMs, timeMs >>> 24, 0, 0, 0];
  const total = 11 + size;
  return Uint8Array.from([...header, ...body, total >> 24, total >> 16, total >> 8, total]);
}

export const audioHeader = (timeMs = 0) => tag(AUDIO, timeMs, [0xaf, 0, 0x12, 0x10]);
export const audio = (timeMs) => tag(AUDIO, timeMs, [0xaf, 1, 0x21, 0x22]);
export const alaw = (timeMs) => tag(AUDIO, timeMs, [0x72, 1, 2, 3]);
export const videoHeader = (timeMs = 0) => tag(VIDEO, timeMs, [0x17, 0, 0, 0, 0, 1]);
export const keyframe = (timeMs) => tag(VIDEO, timeMs, [0x17, 1, 0, 0, 0, 0x65]);
export const inter = (timeMs) => tag(VIDEO, timeMs, [0x27, 1, 0, 0, 0, 0x41]);
export const script = (timeMs = 0) => tag(18, timeMs, [2, 0, 1, 0x78]);

export const notice = () => tag(18, 0, [2, 0, 8, ...Buffer.from("onMoving"), 8, 0, 0, 0, 0, 0, 0, 9]);

export const flvHeader = (flags = 5) => Uint8Array.from([0x46, 0x4c, 0x56, 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]);

export const bytesOf = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
