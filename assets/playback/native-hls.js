// HLS played by the browser itself, for phones without media source extensions.

/** @import { Host, Open } from "../types.js" */

const HLS_TYPE = "application/vnd.apple.mpegurl";

/** @type {Open} */
export async function open(host) {
  if (!host.video.canPlayType(HLS_TYPE)) throw new Error("This browser plays neither HTTP-FLV nor HLS.");
  return new NativeHlsPlayer(host);
}

class NativeHlsPlayer {
  #host;
  #listening = new AbortController();
  latency = undefined;
  tracks = undefined;
  undecodableAudio = undefined;

  /** @param {Host} host */
  constructor(host) {
    this.#host = host;
    const { video, url } = host;
    const { signal } = this.#listening;
    video.addEventListener("ended", () => host.end({ why: "over", text: "" }), { signal });
    video.addEventListener("error", () => host.end({ why: "broken", text: video.error?.message ?? "" }), { signal });
    video.src = url;
    host.play();
  }

  /** The newest media is where the browser says that seeking ends. */
  goLive() {
    const { seekable, currentTime } = this.#host.video;
    if (seekable.length === 0) return;
    const live = seekable.end(seekable.length - 1);
    if (live - currentTime > JUMP_S) this.#host.video.currentTime = live;
  }

  keepUp() {}

  destroy() {
    this.#listening.abort();
    this.#host.video.removeAttribute("src");
    this.#host.video.load();
  }
}

/** Browsers start a few segments behind live, and the end of `seekable` is such a place already. */
const JUMP_S = 20;
