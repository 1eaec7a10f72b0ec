// A change to another playback of the same room while the first one still plays: a node that drains says so in advance.

import { Retry } from "./retry.js";

/** @import { Playback } from "./playback.js" */

const LOOK_MS = 50;

/** The pause behind the first attempt that was refused: the balancer may have led to the node that drains. */
const AGAIN_MS = 300;

/** A second playback this much further behind live than the first would show again what has been seen. */
const SLACK_S = 0.15;

/** Closer to the end of its media than this, a player may stand still. */
const NEAREST_S = 0.4;

/** `HTMLMediaElement.HAVE_FUTURE_DATA` */
const HAVE_FUTURE_DATA = 3;

/** A notice so soon after a change came from a node that the balancer should not have led to. */
const SETTLED_MS = 10_000;

/** The changes of a page's life, one at a time. */
export class Handover {
  #take;
  /** The playback to replace, while a change is under way. @type {Playback | undefined} */
  #first;
  /** @type {() => Playback} */
  #open = () => {
    throw new Error("no change is under way");
  };
  /** @type {Playback | undefined} */
  #next;
  /** Position of the second playback when it had media to play. @type {number | undefined} */
  #beganAtS;
  #isAligned = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #looking;
  /** Spaces attempts, and changes that follow each other: a balancer may lead to nodes that drain for as long as they do. */
  #retry = new Retry(() => this.#begin(), AGAIN_MS);
  #changedAt = -Infinity;

  /** @param {(next: Playback) => void} take is called once for each change, when the second playback plays */
  constructor(take) {
    this.#take = take;
  }

  /**
   * Begins a change, unless one is under way.
   *
   * @param {Playback} first
   * @param {() => Playback} open opens another playback, out of view
   */
  start(first, open) {
    if (this.#first) return;
    this.#first = first;
    this.#open = open;
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
    if (performance.now() - this.#changedAt < SETTLED_MS) return this.#retry.fail();
    this.#retry.reset();
    this.#begin();
  }

  /**
   * Has the second playback take over at once, as the first has ended.
   *
   * @returns {boolean} false if there is none
   */
  takeNow() {
    const next = this.#next;
    if (!next) return false;
    this.#finish();
    this.#changedAt = performance.now();
    this.#take(next);
    return true;
  }

  /** Tries again after a while: the second playback has ended before it took over. */
  retry() {
    this.#next = undefined;
    this.#retry.fail();
  }

  /** Ends a change that is under way, without its second playback. */
  drop() {
    const next = this.#next;
    this.#retry.reset();
    this.#finish();
    next?.stop();
    next?.video.remove();
  }

  #begin() {
    this.#beganAtS = undefined;
    this.#isAligned = false;
    this.#next = this.#open();
  }

  #finish() {
    clearInterval(this.#looking);
    this.#first = undefined;
    this.#next = undefined;
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
    const wantedS = Math.max(this.#first?.latency ?? 0, NEAREST_S);
    const furtherS = (next.latency ?? 0) - wantedS;
    if (furtherS <= SLACK_S) return;
    next.video.currentTime += furtherS;
    this.#beganAtS = undefined;
  }
}
