// One attempt to play a room: attaches a player to the video element, keeps it close to live, and tells how it ends.

const PLAYERS = {
  flv: { script: "./players/mpegts-1.8.2.js", global: "mpegts" },
  hls: { script: "./players/hls-light-1.7.4.js", global: "Hls" },
};

const HLS_TYPE = "application/vnd.apple.mpegurl";

/** Further behind than this, playback jumps instead of catching up by playing faster. */
const FLV_JUMP_S = 4;
const FLV_TARGET_S = 0.6;

/** Nothing new came for so long: something is wrong with the connection or the publisher. */
const STALL_MS = 2000;
const CHECK_MS = 250;

/** Media that was there for so long was played; one picture before the end was not. */
const PLAYED_MS = 1000;

const loading = new Map();

/** Fetches a player's library when it is first used. */
function load(protocol) {
  const { script, global } = PLAYERS[protocol];
  if (!loading.has(script)) {
    const loaded = new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = new URL(script, import.meta.url).href;
      element.onload = () => resolve(globalThis[global]);
      element.onerror = () => reject(new Error(`${script} could not be loaded`));
      document.head.append(element);
    });
    loaded.catch(() => loading.delete(script));
    loading.set(script, loaded);
  }
  return loading.get(script);
}

/** Why playback ended, in the words of the page. Only what is undecodable is the same whenever it is tried. */
export const Ended = Object.freeze({ over: "over", broken: "broken", undecodable: "undecodable" });

export class Playback {
  #video;
  #onEnd;
  #release = () => {};
  #latency = () => undefined;
  #check;
  #progressAt = performance.now();
  #newest = 0;
  #position = 0;
  #stuckMs = 0;
  #readyMs = 0;
  #isOver = false;

  /** `onEnd` gets one of Ended and a sentence, once. */
  constructor(video, onEnd) {
    this.#video = video;
    this.#onEnd = onEnd;
  }

  async start(protocol, address) {
    try {
      const nativeOnly = protocol === "hls" && !(globalThis.ManagedMediaSource ?? globalThis.MediaSource);
      const library = nativeOnly ? undefined : await load(protocol);
      if (this.#isOver) return;
      if (nativeOnly) this.#startNative(address);
      else if (protocol === "flv") this.#startFlv(library, address);
      else this.#startHls(library, address);
    } catch (error) {
      this.#end(Ended.broken, error.message);
      return;
    }
    this.#check = setInterval(() => this.#keepUp(protocol), CHECK_MS);
    this.play();
  }

  /** Plays from the newest media; a browser that wants a touch first leaves it paused. */
  play() {
    this.#jumpToLive();
    this.#video.play().catch(() => {});
  }

  /** Seconds behind live; undefined while that is not known. */
  get latency() {
    return this.#latency();
  }

  /** Whether media stopped coming. */
  get isStalled() {
    return performance.now() - this.#progressAt > STALL_MS;
  }

  /** How long no media came, in milliseconds. */
  get stalledMs() {
    return performance.now() - this.#progressAt;
  }

  /** Whether there was something to see or hear, and not only for a moment. */
  get hasPlayed() {
    return this.#readyMs >= PLAYED_MS;
  }

  stop() {
    this.#isOver = true;
    clearInterval(this.#check);
    this.#release();
    this.#release = () => {};
  }

  #end(why, text) {
    if (this.#isOver) return;
    this.stop();
    this.#onEnd(why, text);
  }

  #startFlv(mpegts, url) {
    // The page says what is wrong; the library's own words are for its authors.
    mpegts.LoggingControl.enableAll = false;
    const player = mpegts.createPlayer(
      { type: "flv", isLive: true, url },
      {
        enableStashBuffer: false,
        liveSync: true,
        liveSyncMaxLatency: 1.0,
        liveSyncTargetLatency: FLV_TARGET_S,
        liveSyncPlaybackRate: 1.2,
        autoCleanupSourceBuffer: true,
        autoCleanupMaxBackwardDuration: 30,
        autoCleanupMinBackwardDuration: 10,
      },
    );
    const { Events, ErrorDetails } = mpegts;
    const undecodable = [ErrorDetails.MEDIA_CODEC_UNSUPPORTED, ErrorDetails.MEDIA_FORMAT_UNSUPPORTED];
    player.on(Events.LOADING_COMPLETE, () => this.#end(Ended.over, ""));
    player.on(Events.ERROR, (_, detail, info) => {
      this.#end(undecodable.includes(detail) ? Ended.undecodable : Ended.broken, info?.msg || detail);
    });
    player.attachMediaElement(this.#video);
    player.load();
    this.#latency = () => this.#behindBuffer();
    this.#release = () => player.destroy();
  }

  #startHls(Hls, url) {
    const hls = new Hls({ enableWorker: false, backBufferLength: 30, maxLiveSyncPlaybackRate: 1.1 });
    const { ErrorDetails } = Hls;
    const undecodable = [
      ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR,
      ErrorDetails.BUFFER_ADD_CODEC_ERROR,
      ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR,
    ];
    const onEnded = () => this.#end(Ended.over, "");
    hls.on(Hls.Events.ERROR, (_, { fatal, details }) => {
      if (fatal) this.#end(undecodable.includes(details) ? Ended.undecodable : Ended.broken, details);
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => this.play());
    this.#video.addEventListener("ended", onEnded);
    hls.loadSource(url);
    hls.attachMedia(this.#video);
    this.#latency = () => (hls.latency > 0 ? hls.latency : undefined);
    this.#release = () => {
      this.#video.removeEventListener("ended", onEnded);
      hls.destroy();
    };
  }

  /** Phones whose browsers play HLS themselves and have nothing else. */
  #startNative(url) {
    if (!this.#video.canPlayType(HLS_TYPE)) throw new Error("This browser plays neither HTTP-FLV nor HLS.");
    const video = this.#video;
    const onEnded = () => this.#end(Ended.over, "");
    const onError = () => this.#end(Ended.broken, video.error?.message ?? "");
    video.addEventListener("ended", onEnded);
    video.addEventListener("error", onError);
    video.src = url;
    this.#release = () => {
      video.removeEventListener("ended", onEnded);
      video.removeEventListener("error", onError);
      video.removeAttribute("src");
      video.load();
    };
  }

  #behindBuffer() {
    const { buffered, currentTime } = this.#video;
    if (buffered.length === 0) return undefined;
    return Math.max(0, buffered.end(buffered.length - 1) - currentTime);
  }

  #jumpToLive() {
    const { buffered } = this.#video;
    if (buffered.length === 0) return;
    const end = buffered.end(buffered.length - 1);
    const start = buffered.start(buffered.length - 1);
    if (end - this.#video.currentTime > FLV_JUMP_S) {
      this.#video.currentTime = Math.max(start, end - FLV_TARGET_S);
    }
  }

  #keepUp(protocol) {
    this.#noteProgress();
    if (this.#video.paused) return;
    if (protocol === "flv") this.#jumpToLive();
    this.#leaveGap();
  }

  #noteProgress() {
    const { buffered, currentTime } = this.#video;
    const newest = buffered.length === 0 ? 0 : buffered.end(buffered.length - 1);
    const isNew = newest !== this.#newest;
    // HLS comes in segments: while there is something to play, nothing is wrong.
    const isPlaying = currentTime !== this.#position;
    if (isNew || isPlaying) this.#progressAt = performance.now();
    this.#stuckMs = isPlaying ? 0 : this.#stuckMs + CHECK_MS;
    // A paused viewer has it too.
    if (this.#video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) this.#readyMs += CHECK_MS;
    this.#newest = newest;
    this.#position = currentTime;
  }

  /** Media that does not continue what came before, after an encoder's restart, leaves a gap that players wait at. */
  #leaveGap() {
    if (this.#stuckMs < 2 * CHECK_MS) return;
    const { buffered, currentTime } = this.#video;
    for (let range = 0; range < buffered.length; range++) {
      if (buffered.start(range) > currentTime) {
        this.#video.currentTime = buffered.start(range) + 0.01;
        return;
      }
    }
  }
}
