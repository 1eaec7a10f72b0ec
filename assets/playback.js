// One attempt to play a room: attaches a player to the video element, watches over it, and reports how it ends.

import { hasMediaSource } from "./codecs.js";
import { open as openFlv } from "./playback/flv.js";
import { open as openHls } from "./playback/hls.js";
import { leaveGap } from "./playback/live-edge.js";
import { open as openNativeHls } from "./playback/native-hls.js";
import { open as openWebRtc } from "./playback/webrtc.js";

/** @import { EndReport, Host, Open, Player, Protocol } from "./types.js" */

/**
 * Returns the way in which this browser plays a protocol.
 *
 * @param {Protocol} protocol
 * @returns {Open}
 */
export function wayOf(protocol) {
  if (protocol === "flv") return openFlv;
  if (protocol === "webrtc") return openWebRtc;
  return hasMediaSource() ? openHls : openNativeHls;
}

/** Without new media for so long, something is wrong with the connection or the publisher. */
const STALL_MS = 2000;
const CHECK_MS = 250;

/** Media that was there for so long was played; one frame before the end was not. */
const PLAYED_MS = 1000;

/** Longest time that playback stands still in front of a gap. */
const STUCK_MS = 2 * CHECK_MS;

/** An error that may be harmless is none if something plays within this time. */
const DOUBT_MS = 3000;

/** `HTMLMediaElement.HAVE_CURRENT_DATA` */
const HAVE_CURRENT_DATA = 2;

/**
 * @typedef {object} Events
 * @property {(report: EndReport) => void} onEnd the end, once
 * @property {(shown: HTMLVideoElement) => void} onHold a frame to keep in view until there is another one
 * @property {() => void} onBlocked the browser plays only when the viewer asks for it
 * @property {() => void} onMoving another playback of the same room has to take over before the server ends this one
 */

/**
 * A playback from its start to its end. It is the host of one player.
 *
 * @implements {Host}
 */
export class Playback {
  video;
  url;
  #events;
  #isPaused = false;
  /** @type {Player | undefined} */
  #player;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #check;
  #progressAt = performance.now();
  #newest = 0;
  #position = 0;
  #stuckMs = 0;
  #readyMs = 0;
  /** @type {{ text: string, at: number } | undefined} */
  #doubt;
  #isMoving = false;
  #isOver = false;

  /**
   * @param {HTMLVideoElement} video
   * @param {string} url
   * @param {Events} events
   */
  constructor(video, url, events) {
    this.video = video;
    this.url = url;
    this.#events = events;
  }

  /** @param {Open} open */
  async start(open) {
    try {
      const player = await open(this);
      if (this.#isOver) return player.destroy();
      this.#player = player;
    } catch (error) {
      return this.end({ why: "broken", text: error instanceof Error ? error.message : String(error) });
    }
    this.#check = setInterval(() => this.#watch(), CHECK_MS);
  }

  pause() {
    this.#isPaused = true;
    this.video.pause();
  }

  /** Plays from the newest media on. */
  resume() {
    this.#isPaused = false;
    this.#player?.goLive();
    this.play();
  }

  /** Seconds behind live; undefined while that is not known. */
  get latency() {
    return this.#player?.latency;
  }

  /** The kind of the protocol that plays, where it has several and that is known. */
  get kind() {
    return this.#player?.kind;
  }

  /** The tracks that play; undefined while that is not known. */
  get tracks() {
    return this.#player?.tracks;
  }

  /** Codec of audio that is left out because the browser cannot decode it. */
  get undecodableAudio() {
    return this.#player?.undecodableAudio;
  }

  /** True if nothing new has come for a while. */
  get isStalled() {
    return this.stalledMs > STALL_MS;
  }

  /** How long nothing new has come, in milliseconds. */
  get stalledMs() {
    return performance.now() - this.#progressAt;
  }

  /** True if there has been something to see or hear, and not only for a moment. */
  get hasPlayed() {
    return this.#readyMs >= PLAYED_MS;
  }

  stop() {
    this.#isOver = true;
    clearInterval(this.#check);
    this.#player?.destroy();
    this.#player = undefined;
  }

  play() {
    if (this.#isPaused || this.#isOver) return;
    this.video.play().catch((error) => {
      // Anything else is about media that another player has replaced in the meantime.
      if (error.name === "NotAllowedError") this.#events.onBlocked();
    });
  }

  /** @param {HTMLVideoElement} shown */
  hold(shown) {
    this.#events.onHold(shown);
  }

  /** @param {string} text */
  doubt(text) {
    this.#doubt ??= { text, at: performance.now() };
  }

  moving() {
    this.#isMoving = true;
    if (!this.#isOver) this.#events.onMoving();
  }

  /** Reports a notice again that came while another playback was in view. */
  repeatNotice() {
    if (this.#isMoving) this.moving();
  }

  /**
   * Ends it. The last frame stays in view until the page removes it.
   *
   * @param {EndReport} report
   */
  end(report) {
    if (this.#isOver) return;
    if (this.hasPlayed) this.hold(this.video);
    this.stop();
    this.#events.onEnd(report);
  }

  #watch() {
    this.#noteProgress();
    this.#judgeDoubt();
    if (this.video.paused || this.#isOver) return;
    this.#player?.keepUp();
    if (this.#stuckMs >= STUCK_MS) leaveGap(this.video);
  }

  #noteProgress() {
    const { buffered, currentTime, readyState } = this.video;
    const progress = this.#player?.progress;
    const newest = progress ?? (buffered.length === 0 ? 0 : buffered.end(buffered.length - 1));
    const isPlaying = currentTime !== this.#position;
    // HLS comes in segments: while there is something to play, nothing is wrong.
    const hasMedia = isPlaying && progress === undefined;
    if (newest !== this.#newest || hasMedia) this.#progressAt = performance.now();
    this.#stuckMs = isPlaying ? 0 : this.#stuckMs + CHECK_MS;
    // A paused viewer has it too.
    if (readyState >= HAVE_CURRENT_DATA) this.#readyMs += CHECK_MS;
    this.#newest = newest;
    this.#position = currentTime;
  }

  /** An error about some tags, such as those of an extra track, stops nothing; if nothing plays, it is the reason. */
  #judgeDoubt() {
    if (!this.#doubt || performance.now() - this.#doubt.at < DOUBT_MS) return;
    if (!this.hasPlayed) this.end({ why: "broken", text: this.#doubt.text });
    this.#doubt = undefined;
  }
}
