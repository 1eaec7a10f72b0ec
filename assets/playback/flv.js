// HTTP-FLV through mpegts.js.
//
// Browsers cannot add a track to a running player, and a player whose audio or video pauses stands still. So the page reads
// the stream itself, gives mpegts.js the tracks that really come, and starts another player on the same request when those
// change.

import { hasMediaSource, obstacleOf } from "../codecs.js";
import { FlvCache, concatenated } from "./flv-cache.js";
import { readFlv } from "./flv-request.js";
import { isNotice, withNotice } from "./flv-script.js";
import { decodeStill } from "./flv-still.js";
import { isFrame } from "./flv-tags.js";
import { load } from "./library.js";
import { behindBuffer, followLive, isBuffered, jumpToLive } from "./live-edge.js";
import { loaderOf } from "./mpegts-loader.js";
import { Placement } from "./mpegts-placement.js";
import { TrackWatch } from "./track-watch.js";

/** @import { Host, Kind, Mpegts, MpegtsPlayer, Open, Tracks } from "../types.js" */
/** @import { FlvTags, Tag } from "./flv-tags.js" */

/** @type {Open} */
export async function open(host) {
  if (!hasMediaSource()) throw new Error("this browser cannot play HTTP-FLV");
  /** @type {Mpegts} */
  const mpegts = await load("players/mpegts-1.8.2.js", "mpegts");
  // The page says what is wrong; the library's own words are for its authors.
  mpegts.LoggingControl.enableAll = false;
  return new FlvPlayer(mpegts, host);
}

/** Distance from live that is aimed at, in seconds. */
const TARGET_S = 0.6;
/** Frames that have to be there before one is shown: decoders and mpegts.js keep some back. */
const FRAMES_AHEAD = 4;

const CONFIG = {
  enableStashBuffer: false,
  autoCleanupSourceBuffer: true,
  autoCleanupMaxBackwardDuration: 30,
  autoCleanupMinBackwardDuration: 10,
};

/** Longest time that one track waits for the other if both are announced. */
const DECIDE_MS = 500;

/** Interval at which a new player is looked at until it has media. */
const RESUME_MS = 50;

/** @type {Kind[]} */
const KINDS = ["audio", "video"];

/** The player of one request; `open` gives it mpegts.js. */
export class FlvPlayer {
  #mpegts;
  #host;
  #decode;
  #request = new AbortController();
  #cache = new FlvCache();
  #watch = new TrackWatch();
  /** Codec of each track, once a tag has named it. @type {{ [kind in Kind]?: string }} */
  #codecs = {};
  /** @type {number | undefined} */
  #firstFrameAt;
  /** @type {MpegtsPlayer | undefined} */
  #player;
  /** @type {Tracks | undefined} */
  #tracks;
  /** The stream's time at which the first player began: the zero of the video element. @type {number | undefined} */
  #zeroMs;
  /** @type {Placement | undefined} */
  #placement;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #resuming;
  /** The time of the newest frame that has been shown as a still. @type {number | undefined} */
  #stillMs;
  #isDecoding = false;

  /**
   * @param {Mpegts} mpegts
   * @param {Host} host
   */
  constructor(mpegts, host, decode = decodeStill) {
    this.#mpegts = mpegts;
    this.#host = host;
    this.#decode = decode;
    readFlv(withNotice(host.url), this.#request.signal, (tags, source) => this.#take(tags, source)).then(
      () => this.#end("over", ""),
      (error) => this.#end("broken", error.message),
    );
  }

  get tracks() {
    return this.#tracks;
  }

  get latency() {
    return this.#player && behindBuffer(this.#host.video);
  }

  get undecodableAudio() {
    const codec = this.#codecs.audio;
    return codec && this.#obstacle("audio") ? codec : undefined;
  }

  goLive() {
    jumpToLive(this.#host.video, this.#targetS);
  }

  keepUp() {
    followLive(this.#host.video, this.#targetS);
  }

  /** Video of few frames a second has to stay further behind, or it would stand still for most of the time. */
  get #targetS() {
    const frameMs = this.#tracks?.video ? this.#watch.intervalMs("video") : 0;
    return Math.max(TARGET_S, (FRAMES_AHEAD * frameMs) / 1000);
  }

  destroy() {
    this.#request.abort();
    this.#stop();
  }

  #stop() {
    const player = this.#player;
    this.#player = undefined;
    this.#placement = undefined;
    clearInterval(this.#resuming);
    player?.destroy();
  }

  /**
   * @param {"over" | "broken"} why
   * @param {string} text
   */
  #end(why, text) {
    if (!this.#request.signal.aborted) this.#host.end({ why, text });
  }

  /**
   * @param {Tag[]} received
   * @param {FlvTags} source
   */
  #take(received, { announced }) {
    const tags = received.filter((tag) => !isNotice(tag));
    if (tags.length < received.length) this.#host.moving();
    for (const tag of tags) this.#note(tag);
    const obstacle = this.#obstacle("video");
    if (obstacle) return this.#host.end({ why: "undecodable", ...obstacle });
    const tracks = this.#tracks ? this.#changed(this.#tracks) : announced && this.#first(announced);
    if (tracks) this.#play(tracks);
    else if (this.#tracks) this.#pass(tags, this.#tracks);
    this.#showStill();
  }

  /** @param {Tag} tag */
  #note(tag) {
    this.#cache.add(tag);
    if (tag.kind === "script") return;
    this.#codecs[tag.kind] = tag.codec;
    if (!isFrame(tag)) return;
    this.#firstFrameAt ??= performance.now();
    this.#watch.note(tag.kind, tag.timeMs);
  }

  /** @param {Kind} kind */
  #obstacle(kind) {
    const codec = this.#codecs[kind];
    return codec && obstacleOf("flv", codec, kind);
  }

  /**
   * Returns the tracks to start with, once that is clear: all that the header announces are there, or have been waited for.
   *
   * @param {Tracks} announced
   * @returns {Tracks | undefined}
   */
  #first(announced) {
    if (this.#firstFrameAt === undefined) return undefined;
    const mayWait = performance.now() - this.#firstFrameAt < DECIDE_MS;
    if (mayWait && KINDS.some((kind) => announced[kind] && !this.#watch.hasCome(kind))) return undefined;
    const tracks = this.#playable((kind) => this.#watch.isComing(kind));
    if (tracks) return tracks;
    const obstacle = this.#watch.hasCome("video") ? undefined : this.#obstacle("audio");
    if (obstacle) this.#host.end({ why: "undecodable", ...obstacle });
    return undefined;
  }

  /**
   * Returns the tracks to go on with if one has paused, come back or come late. A track that comes only now and then stays
   * out.
   *
   * @param {Tracks} playing
   * @returns {Tracks | undefined}
   */
  #changed(playing) {
    const tracks = this.#playable((kind) => (playing[kind] ? this.#watch.isComing(kind) : this.#watch.isSteady(kind)));
    return tracks && KINDS.some((kind) => tracks[kind] !== playing[kind]) ? tracks : undefined;
  }

  /**
   * Returns the tracks that come and can be decoded; undefined if none can. Video needs a keyframe to start at.
   *
   * @param {(kind: Kind) => boolean} comes
   * @returns {Tracks | undefined}
   */
  #playable(comes) {
    const audio = comes("audio") && !this.#obstacle("audio");
    const video = comes("video") && (this.#tracks?.video || this.#cache.hasKeyframe);
    return audio || video ? { audio, video } : undefined;
  }

  /**
   * @param {Tag[]} tags
   * @param {Tracks} tracks
   */
  #pass(tags, tracks) {
    const played = tags.filter(({ kind }) => kind === "script" || tracks[kind]);
    this.#placement?.pass(played.map(({ bytes }) => bytes));
  }

  /** @param {Tracks} tracks */
  #play(tracks) {
    const positionS = this.#placement && this.#host.video.currentTime + this.#placement.shiftS;
    if (this.#player) {
      this.#host.hold(this.#host.video);
      this.#stop();
    }
    const { Events, ErrorDetails } = this.#mpegts;
    const player = this.#mpegts.createPlayer(
      { type: "flv", isLive: true, url: this.#host.url, hasAudio: tracks.audio, hasVideo: tracks.video },
      { ...CONFIG, customLoader: this.#loader(tracks) },
    );
    player.on(Events.ERROR, (_, detail, info) => {
      const text = info?.msg || detail;
      // Either the browser refuses media, or single tags cannot be read: playback goes on without those.
      if (detail === ErrorDetails.MEDIA_MSE_ERROR) this.#end("broken", text);
      else this.#host.doubt(text);
    });
    this.#player = player;
    this.#tracks = tracks;
    player.attachMediaElement(this.#host.video);
    this.#resumeAt(positionS);
    player.load();
    this.#host.play();
  }

  /**
   * Goes on where the player before stood, if there is media: another one begins at a keyframe, which may be earlier or later.
   *
   * @param {number | undefined} positionS from the first player's beginning
   */
  #resumeAt(positionS) {
    if (positionS === undefined) return;
    const { video } = this.#host;
    this.#resuming = setInterval(() => {
      if (!this.#placement || video.buffered.length === 0) return;
      clearInterval(this.#resuming);
      const position = positionS - this.#placement.shiftS;
      if (isBuffered(video, position)) video.currentTime = position;
      else if (video.currentTime < video.buffered.start(0)) video.currentTime = video.buffered.start(0);
    }, RESUME_MS);
  }

  /**
   * Returns a loader that begins with what is cached and goes on with what arrives.
   *
   * @param {Tracks} tracks
   */
  #loader(tracks) {
    return loaderOf(this.#mpegts, (sink) => {
      const { header, tags, originMs } = this.#cache.stream(tracks);
      this.#zeroMs ??= originMs;
      const originS = (originMs - this.#zeroMs) / 1000;
      const placement = new Placement(this.#player, sink, tracks, originS, this.#codecs.audio);
      this.#placement = placement;
      const [first, ...rest] = tags;
      placement.pass([concatenated([header, ...(first ? [first] : [])]), ...rest]);
    });
  }

  /** Shows the newest frame of video that is not played because it comes too rarely. */
  async #showStill() {
    const { newestVideoMs } = this.#cache;
    if (!this.#needsStill() || this.#isDecoding || newestVideoMs === this.#stillMs) return;
    this.#isDecoding = true;
    this.#stillMs = newestVideoMs;
    const still = this.#cache.still();
    if (still) await this.#decode(this.#mpegts, still, (video) => this.#needsStill() && this.#host.hold(video));
    this.#isDecoding = false;
  }

  #needsStill() {
    return this.#tracks?.video === false && this.#cache.hasKeyframe && !this.#request.signal.aborted;
  }
}
