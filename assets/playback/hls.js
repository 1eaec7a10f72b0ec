// HLS through hls.js.
//
// As over HTTP-FLV, browsers cannot add a track to a running player, and one whose audio or video pauses stands still at the
// end of the other. So another player starts when the segments have other tracks.

import { load } from "./library.js";

/** @import { Host, HlsConstructor, HlsData, HlsInstance, Kind, Open, Tracks } from "../types.js" */

/** @type {Open} */
export async function open(host) {
  /** @type {HlsConstructor} */
  const Hls = await load("players/hls-light-1.7.4.js", "Hls");
  return new HlsPlayer(Hls, host);
}

const CONFIG = { enableWorker: false, backBufferLength: 30, maxLiveSyncPlaybackRate: 1.1 };

/** Further behind the place that hls.js aims at, a viewer who goes on after a pause jumps there. */
const JUMP_S = 4;

/** Players take over a little before the end of the media, where playback would come to a stop. */
const EARLY_S = 0.3;

/** A track that ends so much before the other one in a segment was not in that segment. */
const LAG_S = 1;

/** The player of one playlist; `open` gives it hls.js. */
export class HlsPlayer {
  #Hls;
  #host;
  /** @type {HlsInstance} */
  #hls;
  #listening = new AbortController();
  /** @type {Tracks | undefined} */
  #tracks;
  /** Where the media of each track ends. @type {{ [kind in Kind]?: number }} */
  #ends = {};
  /** Where a track ends that has paused, or begins that the player lacks. @type {number | undefined} */
  #changeAt;
  /** True once a segment with another track has been loaded, which hls.js cannot take. */
  #isOutgrown = false;
  undecodableAudio = undefined;

  /**
   * @param {HlsConstructor} Hls
   * @param {Host} host
   */
  constructor(Hls, host) {
    this.#Hls = Hls;
    this.#host = host;
    const { signal } = this.#listening;
    host.video.addEventListener("ended", () => host.end({ why: "over", text: "" }), { signal });
    this.#hls = this.#start();
  }

  get tracks() {
    return this.#tracks;
  }

  get latency() {
    return this.#hls.latency > 0 ? this.#hls.latency : undefined;
  }

  goLive() {
    const live = this.#hls.liveSyncPosition;
    if (live && live - this.#host.video.currentTime > JUMP_S) this.#host.video.currentTime = live;
  }

  /** hls.js stays close to live by itself. */
  keepUp() {
    if (this.#changeAt !== undefined && this.#host.video.currentTime >= this.#changeAt - EARLY_S) this.#restart();
  }

  destroy() {
    this.#listening.abort();
    this.#hls.destroy();
  }

  #start() {
    const { Events } = this.#Hls;
    const hls = new this.#Hls(CONFIG);
    hls.on(Events.ERROR, (_, data) => this.#onError(data));
    hls.on(Events.MANIFEST_PARSED, () => this.#host.play());
    hls.on(Events.BUFFER_CODECS, (_, data) => this.#onCodecs(data));
    hls.on(Events.BUFFER_APPENDED, (_, data) => this.#noteEnds(data));
    hls.on(Events.FRAG_BUFFERED, () => this.#judgeEnds());
    hls.loadSource(this.#host.url);
    hls.attachMedia(this.#host.video);
    return hls;
  }

  #restart() {
    this.#host.hold(this.#host.video);
    this.#hls.destroy();
    this.#tracks = undefined;
    this.#ends = {};
    this.#changeAt = undefined;
    this.#isOutgrown = false;
    this.#hls = this.#start();
  }

  /** @param {HlsData} data */
  #onError({ fatal, details }) {
    if (this.#isOutgrown) return;
    const { ErrorDetails } = this.#Hls;
    const undecodable = [
      ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR,
      ErrorDetails.BUFFER_ADD_CODEC_ERROR,
      ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR,
    ];
    if (fatal) this.#host.end({ why: undecodable.includes(details) ? "undecodable" : "broken", text: details });
  }

  /**
   * Compares a segment's tracks with those of the player. Another one takes over where a new track begins: started at once, it
   * would begin in front of that, and without the track.
   *
   * @param {HlsData} data
   */
  #onCodecs({ audio, video }) {
    this.#tracks ??= { audio: Boolean(audio), video: Boolean(video) };
    const isNew = (audio && !this.#tracks.audio) || (video && !this.#tracks.video);
    if (!isNew) return;
    this.#isOutgrown = true;
    this.#changeAt ??= this.#ends.audio ?? this.#ends.video;
    this.#hls.stopLoad();
  }

  /** @param {HlsData} data */
  #noteEnds({ timeRanges }) {
    for (const kind of /** @type {Kind[]} */ (["audio", "video"])) {
      const ranges = timeRanges?.[kind];
      if (ranges && ranges.length > 0) this.#ends[kind] = ranges.end(ranges.length - 1);
    }
  }

  /** Segments hold both tracks, so a whole one leaves them at the same end. */
  #judgeEnds() {
    const { audio, video } = this.#ends;
    if (audio === undefined || video === undefined) return;
    this.#changeAt = Math.abs(audio - video) > LAG_S ? Math.min(audio, video) : undefined;
  }
}
