// The newest part of a stream: what a player that starts anew on a running request begins with.

import { fileHeader, isFrame, retimed } from "./flv-tags.js";

/** @import { Tracks } from "../types.js" */
/** @import { Tag } from "./flv-tags.js" */

/** GOPs larger than this are not kept, and video waits for the next keyframe. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Audio that is kept while there is no keyframe. */
const AUDIO_MS = 2000;

/** Duration of the newest frame in a stream for a still. */
const STILL_MS = 1000;

/** Tags since the newest keyframe, or a little audio, and the headers in front of them. */
export class FlvCache {
  /** @type {Map<Tag["kind"], Tag>} */
  #headers = new Map();
  /** @type {Tag[]} */
  #tags = [];
  #bytes = 0;

  /** The time of the newest frame of video, or of the last before the cache was emptied. @type {number | undefined} */
  newestVideoMs;

  /** True if video can start from what is here. */
  get hasKeyframe() {
    return this.#tags[0]?.role === "keyframe";
  }

  /** @param {Tag} tag */
  add(tag) {
    if (tag.role === "keyframe") this.#dropUntil(() => false);
    if (tag.kind === "video" && isFrame(tag)) this.newestVideoMs = tag.timeMs;
    this.#tags.push(tag);
    this.#bytes += tag.bytes.length;
    if (this.#bytes > MAX_BYTES) this.#dropUntil(() => false);
    if (!this.hasKeyframe) this.#dropUntil(({ timeMs }) => tag.timeMs - timeMs <= AUDIO_MS);
  }

  /**
   * Returns a stream of its own with these tracks, up to the newest tag, and the time of its first frame.
   *
   * @param {Tracks} tracks
   */
  stream(tracks) {
    const isPlayed = (/** @type {Tag} */ { kind }) => kind === "script" || tracks[kind];
    const tags = this.#tags.filter(isPlayed);
    const parts = [...[...this.#headers.values()].filter(isPlayed), ...tags].map(({ bytes }) => bytes);
    return { bytes: concatenated([fileHeader(tracks), ...parts]), firstMs: tags.find(isFrame)?.timeMs };
  }

  /**
   * Returns a stream of the video, and the position of its newest frame in seconds. A last frame follows that is not meant to
   * be seen: mpegts.js keeps a frame back until the next one.
   */
  still() {
    const { bytes, firstMs } = this.stream({ audio: false, video: true });
    const newest = this.#tags.findLast((tag) => tag.kind === "video" && isFrame(tag));
    if (!newest || firstMs === undefined) return undefined;
    const last = retimed(newest, newest.timeMs + STILL_MS);
    return { bytes: concatenated([bytes, last.bytes]), positionS: (newest.timeMs - firstMs + STILL_MS / 2) / 1000 };
  }

  /**
   * Drops tags from the front. The headers among them stay in force.
   *
   * @param {(tag: Tag) => boolean} isKept
   */
  #dropUntil(isKept) {
    const first = this.#tags.findIndex(isKept);
    const dropped = this.#tags.splice(0, first === -1 ? this.#tags.length : first);
    for (const tag of dropped) {
      this.#bytes -= tag.bytes.length;
      if (tag.role === "header" || tag.kind === "script") this.#headers.set(tag.kind, tag);
    }
  }
}

/**
 * @param {Uint8Array[]} parts
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function concatenated(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
