// Which tracks come, and which have stopped.

/** @import { Kind } from "../types.js" */

/** A track without a frame for so long, while the other one goes on, has paused. Video of one frame a second has not. */
export const PAUSE_MS = 1500;

/** A track that has come for so long, without a pause, is there to stay: a single frame now and then is not. */
export const STEADY_MS = 500;

/** Longest step between frames that counts in full, so that a jump in the stream's time is not taken for a pause. */
const STEP_MS = 500;

/** What is left of an interval for each frame after it. */
const INTERVAL_DECAY = 0.9;

/** Follows the frames of both tracks by the stream's own time, which is right in a burst as well. */
export class TrackWatch {
  /** Time of the newest frame of any track. @type {number | undefined} */
  #newestMs;
  #elapsedMs = 0;
  /** @type {{ [kind in Kind]?: { sinceMs: number, lastMs: number, timeMs: number, intervalMs: number } }} */
  #tracks = {};

  /**
   * Notes a frame.
   *
   * @param {Kind} kind
   * @param {number} timeMs
   */
  note(kind, timeMs) {
    const step = timeMs - (this.#newestMs ?? timeMs);
    if (step > 0) this.#elapsedMs += Math.min(step, STEP_MS);
    this.#newestMs = Math.max(timeMs, this.#newestMs ?? timeMs);
    const now = this.#elapsedMs;
    const track = this.#tracks[kind];
    const goesOn = track !== undefined && now - track.lastMs <= PAUSE_MS;
    const sinceMs = goesOn ? track.sinceMs : now;
    const interval = track ? Math.min(Math.max(0, timeMs - track.timeMs), PAUSE_MS) : 0;
    const intervalMs = Math.max(interval, (track?.intervalMs ?? 0) * INTERVAL_DECAY);
    this.#tracks[kind] = { sinceMs, lastMs: now, timeMs, intervalMs };
  }

  /**
   * Returns the longest time between two recent frames of a track, in milliseconds.
   *
   * @param {Kind} kind
   */
  intervalMs(kind) {
    return this.#tracks[kind]?.intervalMs ?? 0;
  }

  /**
   * True once a track has had a frame.
   *
   * @param {Kind} kind
   */
  hasCome(kind) {
    return this.#tracks[kind] !== undefined;
  }

  /**
   * True while a track has frames and no pause.
   *
   * @param {Kind} kind
   */
  isComing(kind) {
    const track = this.#tracks[kind];
    return track !== undefined && this.#elapsedMs - track.lastMs <= PAUSE_MS;
  }

  /**
   * True once a track has come for a while.
   *
   * @param {Kind} kind
   */
  isSteady(kind) {
    const track = this.#tracks[kind];
    return track !== undefined && this.isComing(kind) && track.lastMs - track.sinceMs >= STEADY_MS;
  }
}
