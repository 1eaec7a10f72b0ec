// The place of a player's media on the timeline of the video element.

import { concatenated } from "./flv-cache.js";

/** @import { Kind, MpegtsPlayer, Tracks } from "../types.js" */
/** @import { Sink } from "./mpegts-loader.js" */

/**
 * Places media where the stream's own time says: mpegts.js lets each player begin at zero, and the time of the video element
 * would go back whenever one player follows another. It has no setting for that, so its source buffers are set before they
 * get media.
 */
export class Placement {
  #player;
  #sink;
  #offsetS;
  /** @type {Uint8Array<ArrayBuffer>[]} */
  #waiting = [];
  #isPassing = false;
  /** @type {Set<Kind>} */
  #missing = new Set();
  /** The place of the element's zero, in seconds: other than zero if the media could not be placed. */
  shiftS = 0;

  /**
   * @param {MpegtsPlayer | undefined} player
   * @param {Pick<Sink, "pass">} sink of that player
   * @param {Tracks} tracks
   * @param {number} originS where its media begins
   * @param {string | undefined} audioCodec
   */
  constructor(player, sink, tracks, originS, audioCodec) {
    this.#player = player;
    this.#sink = sink;
    // MP3 has no container here, and mpegts.js places it itself.
    const canPlace = this.#buffers !== undefined && !(tracks.audio && audioCodec === "MP3");
    this.#offsetS = canPlace ? Math.max(0, originS) : 0;
    this.shiftS = canPlace ? 0 : originS;
    if (this.#offsetS === 0) return;
    if (tracks.audio) this.#missing.add("audio");
    if (tracks.video) this.#missing.add("video");
  }

  get #buffers() {
    return this.#player?._player_engine?._mse_controller?._sourceBuffers;
  }

  /**
   * Passes bytes on: one by one until all source buffers are there. mpegts.js makes them with a track's header or first frame,
   * a microtask later, and fills them with its second frame.
   *
   * @param {Uint8Array<ArrayBuffer>[]} parts
   */
  async pass(parts) {
    this.#waiting.push(...parts);
    if (this.#isPassing) return;
    this.#isPassing = true;
    while (this.#missing.size > 0 && this.#waiting.length > 0) {
      this.#sink.pass(concatenated(this.#waiting.splice(0, 1)));
      await undefined;
      this.#place();
    }
    this.#isPassing = false;
    if (this.#waiting.length > 0) this.#sink.pass(concatenated(this.#waiting.splice(0)));
  }

  #place() {
    for (const kind of this.#missing) {
      const buffer = this.#buffers?.[kind];
      if (!buffer || buffer.updating) continue;
      buffer.timestampOffset = this.#offsetS;
      this.#missing.delete(kind);
    }
  }
}
