// HLS through hls.js: Low-Latency HLS where the server has it, else MPEG-TS.
//
// As over HTTP-FLV, browsers cannot add a track to a running player, and one whose audio or video pauses stands still at the
// end of the other. So another player starts when the segments have other tracks.

import { present } from "../credential.js";
import { CANNOT_CARRY, inTransportStream, isNotServed } from "./hls-addresses.js";
import { load } from "./library.js";
import { sentenceIn } from "./refusal.js";

/** @import { EndReport, Host, HlsConstructor, HlsData, HlsInstance, Kind, Open, Tracks } from "../types.js" */

/** @type {Open} */
export async function open(host) {
  /** @type {HlsConstructor} */
  const Hls = await load("players/hls-light-1.7.4.js", "Hls");
  return new HlsPlayer(Hls, host);
}

/** hls.js passes more than `present` takes. @type {(request: XMLHttpRequest, url: string) => void} */
const xhrSetup = (request, url) => present(request, url);

/**
 * hls.js begins where it can and stays there. Catching up brings it to the position that the playlist asks for: with parts of
 * 500 ms that is worth 0.4 to 0.8 s. Each stall moves that position back, by a second unless it is set: a publisher's pause
 * would cost that much for good.
 */
const CONFIG = {
  enableWorker: false,
  backBufferLength: 30,
  lowLatencyMode: true,
  maxLiveSyncPlaybackRate: 1.1,
  liveSyncOnStallIncrease: 0.25,
  xhrSetup,
};

/**
 * Playback that is further behind the position that hls.js aims at, and by more than a segment, jumps there: after a pause of the
 * viewer's, or of a publisher that sends all at once what was held up meanwhile.
 */
const JUMP_S = 4;

/** Players take over a little before the end of the media, where playback would come to a stop. */
const EARLY_S = 0.3;

/**
 * Holes after which MPEG-TS takes over: viewers stand still in front of each. An encoder that starts anew leaves one hole, a pause of
 * video none.
 */
const HOLES_MAX = 2;

/** A track that ends so much before the other one in a segment was not in that segment. */
const LAG_S = 1;

/** The player of one playlist; `open` gives it hls.js. */
export class HlsPlayer {
  #Hls;
  #host;
  #url;
  /** @type {HlsInstance} */
  #hls;
  #listening = new AbortController();
  /** @type {Tracks | undefined} */
  #tracks;
  /** True if both tracks are in one buffer of the browser, as they come in fragmented MP4. */
  #isMuxed = false;
  /** Where the media of each buffer ends. @type {{ [kind in Kind | "audiovideo"]?: number }} */
  #ends = {};
  /** Where a track ends that has paused, or begins that the player lacks. @type {number | undefined} */
  #changeAt;
  /** True once a segment with another track has been loaded, which hls.js cannot take. */
  #isOutgrown = false;
  #holes = 0;
  /** The codecs that the playlist names, if it does. @type {string | undefined} */
  #codecs;
  undecodableAudio = undefined;

  /**
   * @param {HlsConstructor} Hls
   * @param {Host} host
   */
  constructor(Hls, host) {
    this.#Hls = Hls;
    this.#host = host;
    this.#url = host.url;
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

  /** Only playlists with parts have low latency. */
  get kind() {
    const details = this.#hls.latestLevelDetails;
    if (!details) return undefined;
    return details.partTarget > 0 ? "Low-Latency HLS" : "HLS";
  }

  goLive() {
    const { liveSyncPosition: live, latestLevelDetails: details } = this.#hls;
    const allowedS = Math.max(JUMP_S, details?.targetduration ?? 0);
    if (live && live - this.#host.video.currentTime > allowedS) this.#host.video.currentTime = live;
  }

  /** hls.js makes up for small delays by itself, by playing a little faster. */
  keepUp() {
    this.goLive();
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
    hls.on(Events.MANIFEST_LOADED, (_, { levels }) => (this.#codecs = levels?.[0]?.attrs?.CODECS));
    hls.on(Events.MANIFEST_PARSED, () => this.#host.play());
    hls.on(Events.BUFFER_CODECS, (_, data) => this.#onCodecs(data));
    hls.on(Events.BUFFER_APPENDED, (_, data) => this.#noteEnds(data));
    hls.on(Events.FRAG_BUFFERED, () => this.#judgeEnds());
    hls.loadSource(this.#url);
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
  #onError(data) {
    if (this.#isOutgrown) return;
    if (data.details === this.#Hls.ErrorDetails.BUFFER_SEEK_OVER_HOLE) this.#noteHole();
    else if (!data.fatal) return;
    else if (this.#isLeftToTransportStream(data)) this.#restart();
    else this.#host.end(this.#reportOf(data));
  }

  /** hls.js is at work within its own timer: another one starts at the next look. */
  #noteHole() {
    this.#holes += 1;
    const other = inTransportStream(this.#url);
    if (this.#holes < HOLES_MAX || !this.#isMuxed || other === this.#url) return;
    this.#url = other;
    this.#isOutgrown = true;
    this.#changeAt = 0;
  }

  /**
   * Turns to MPEG-TS if the server has no fragmented MP4.
   *
   * @param {HlsData} data
   */
  #isLeftToTransportStream({ details, response }) {
    const other = inTransportStream(this.#url);
    const isRefused = details === this.#Hls.ErrorDetails.MANIFEST_LOAD_ERROR && isNotServed(response?.code);
    if (other === this.#url || !isRefused) return false;
    this.#url = other;
    return true;
  }

  /**
   * @param {HlsData} data
   * @returns {EndReport}
   */
  #reportOf({ details, response, networkDetails }) {
    const { ErrorDetails } = this.#Hls;
    const undecodable = [
      ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR,
      ErrorDetails.BUFFER_ADD_CODEC_ERROR,
      ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR,
    ];
    if (undecodable.includes(details)) {
      const title = `This browser cannot decode ${this.#codecs ?? "this stream"}`;
      return { why: "undecodable", title, text: "Another browser or device may; VLC and ffplay can." };
    }
    const text = sentenceIn(networkDetails?.responseText) ?? details;
    return { why: response?.code === CANNOT_CARRY ? "undecodable" : "broken", text };
  }

  /**
   * Compares a segment's tracks with those of the player. Another one takes over where a new track begins: started at once, it
   * would begin in front of that, and without the track. Fragmented MP4 without audio is for another buffer as well.
   *
   * @param {HlsData} data
   */
  #onCodecs({ audio, video, audiovideo }) {
    const isMuxed = audiovideo !== undefined;
    const tracks = { audio: isMuxed || Boolean(audio), video: isMuxed || Boolean(video) };
    if (!this.#tracks) {
      this.#tracks = tracks;
      this.#isMuxed = isMuxed;
    }
    const isNew = (tracks.audio && !this.#tracks.audio) || (tracks.video && !this.#tracks.video);
    if (!isNew && isMuxed === this.#isMuxed) return;
    this.#isOutgrown = true;
    this.#changeAt ??= this.#ends.audio ?? this.#ends.video ?? this.#ends.audiovideo;
    this.#hls.stopLoad();
  }

  /** @param {HlsData} data */
  #noteEnds({ timeRanges }) {
    for (const name of /** @type {const} */ (["audio", "video", "audiovideo"])) {
      const ranges = timeRanges?.[name];
      if (ranges && ranges.length > 0) this.#ends[name] = ranges.end(ranges.length - 1);
    }
  }

  /** Segments hold both tracks, so a whole one leaves them at the same end. */
  #judgeEnds() {
    const { audio, video } = this.#ends;
    if (audio === undefined || video === undefined) return;
    this.#changeAt = Math.abs(audio - video) > LAG_S ? Math.min(audio, video) : undefined;
  }
}
