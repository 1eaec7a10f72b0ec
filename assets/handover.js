// A change to another playback of the same room while the first one still plays: a node that drains says so in advance.

/** @import { Playback } from "./playback.js" */

const LOOK_MS = 50;

/** The pause behind an attempt that was refused: the balancer may have led to the node that drains. */
const AGAIN_MS = 300;

/** A second playback this much further behind live than the first would show again what has been seen. */
const SLACK_S = 0.15;

/** Closer to the end of its media than this, a player may stand still. */
const NEAREST_S = 0.4;

/** `HTMLMediaElement.HAVE_FUTURE_DATA` */
const HAVE_FUTURE_DATA = 3;

export class Handover {
  #first;
  #open;
  #take;
  /** @type {Playback | undefined} */
  #next;
  /** Position of the second playback when it had media to play. @type {number | undefined} */
  #beganAtS;
  #isAligned = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #looking;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;

  /**
   * @param {Playback} first
   * @param {() => Playback} open opens another playback, out of view
   * @param {(next: Playback) => void} take is called once, when that one plays
   */
  constructor(first, open, take) {
    this.#first = first;
    this.#open = open;
    this.#take = take;
    this.#begin();
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
  }

  /**
   * Has the second playback take over at once, as the first has ended.
   *
   * @returns {boolean} false if there is none
   */
  takeNow() {
    const next = this.#next;
    if (!next) return false;
    this.#stopLooking();
    this.#take(next);
    return true;
  }

  /** Tries again after a while: the second playback has ended before it took over. */
  retry() {
    this.#next = undefined;
    this.#again = setTimeout(() => this.#begin(), AGAIN_MS);
  }

  /** Ends it without a change. */
  drop() {
    this.#stopLooking();
    this.#next?.stop();
    this.#next?.video.remove();
  }

  #begin() {
    this.#beganAtS = undefined;
    this.#isAligned = false;
    this.#next = this.#open();
  }

  #stopLooking() {
    clearInterval(this.#looking);
    clearTimeout(this.#again);
  }

  #look() {
    const next = this.#next;
    if (!next || !this.#goesOn(next.video)) return;
    if (this.#isAligned) this.takeNow();
    else this.#align(next);
  }

  /**
   * True once an element has played something since it had media.
   *
   * @param {HTMLVideoElement} video
   */
  #goesOn({ readyState, seeking, currentTime }) {
    if (readyState < HAVE_FUTURE_DATA || seeking) return false;
    this.#beganAtS ??= currentTime;
    return currentTime > this.#beganAtS;
  }

  /**
   * Moves the second playback as close to live as the first is.
   *
   * @param {Playback} next
   */
  #align(next) {
    this.#isAligned = true;
    const wantedS = Math.max(this.#first.latency ?? 0, NEAREST_S);
    const furtherS = (next.latency ?? 0) - wantedS;
    if (furtherS <= SLACK_S) return;
    next.video.currentTime += furtherS;
    this.#beganAtS = undefined;
  }
}
