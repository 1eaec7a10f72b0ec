// HLS played by the browser itself, for phones without media source extensions.

import { inQuery } from "../credential.js";
import { inTransportStream } from "./hls-addresses.js";

/** @import { Host, Open } from "../types.js" */

const HLS_TYPE = "application/vnd.apple.mpegurl";

/** @type {Open} */
export async function open(host) {
  if (!host.video.canPlayType(HLS_TYPE)) throw new Error("This browser plays neither HTTP-FLV nor HLS.");
  return new NativeHlsPlayer(host);
}

class NativeHlsPlayer {
  #host;
  #url;
  #listening = new AbortController();
  latency = undefined;
  tracks = undefined;
  undecodableAudio = undefined;

  /** @param {Host} host */
  constructor(host) {
    this.#host = host;
    this.#url = host.url;
    const { video } = host;
    const { signal } = this.#listening;
    video.addEventListener("ended", () => host.end({ why: "over", text: "" }), { signal });
    video.addEventListener("error", () => this.#onError(), { signal });
    this.#start();
  }

  /** The newest media is where the browser says that seeking ends. */
  goLive() {
    const { seekable, currentTime } = this.#host.video;
    if (seekable.length === 0) return;
    const live = seekable.end(seekable.length - 1);
    if (live - currentTime > JUMP_S) this.#host.video.currentTime = live;
  }

  keepUp() {}

  #start() {
    this.#host.video.src = inQuery(this.#url);
    this.#host.play();
  }

  /** Turns to MPEG-TS once, if nothing has been played: browsers do not say whether the server has no such playlist. */
  #onError() {
    const { video } = this.#host;
    const other = inTransportStream(this.#url);
    if (video.readyState > 0 || other === this.#url) {
      return this.#host.end({ why: "broken", text: video.error?.message ?? "" });
    }
    this.#url = other;
    this.#start();
  }

  destroy() {
    this.#listening.abort();
    this.#host.video.removeAttribute("src");
    this.#host.video.load();
  }
}

/** Browsers start a few segments behind live, and the end of `seekable` is such a place already. */
const JUMP_S = 20;
