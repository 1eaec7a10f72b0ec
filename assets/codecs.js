// Codecs that can be played: by the library of a protocol, and by this browser.

import { codecName } from "./text.js";

/** @import { Details, Fetched, Kind, Obstacle, Protocol } from "./types.js" */

/** @type {Record<string, string>} */
const MSE_TYPES = {
  "H.264": 'video/mp4; codecs="avc1.42E01E"',
  "H.265": 'video/mp4; codecs="hvc1.1.6.L93.B0"',
  AV1: 'video/mp4; codecs="av01.0.04M.08"',
  VP9: 'video/mp4; codecs="vp09.00.31.08"',
  AAC: 'audio/mp4; codecs="mp4a.40.2"',
  MP3: "audio/mpeg",
  Opus: 'audio/mp4; codecs="opus"',
  FLAC: 'audio/mp4; codecs="flac"',
  "AC-3": 'audio/mp4; codecs="ac-3"',
  "E-AC-3": 'audio/mp4; codecs="ec-3"',
};

/**
 * Codecs that the libraries read: mpegts.js in FLV, and hls.js in fragmented MP4, which carries more.
 *
 * @type {Record<Fetched, string[]>}
 */
const READ_BY = {
  flv: ["H.264", "H.265", "AV1", "AAC", "MP3", "Opus", "FLAC"],
  hls: ["H.264", "H.265", "AV1", "VP9", "AAC", "MP3", "Opus", "FLAC", "AC-3", "E-AC-3"],
};

/** @type {Record<Fetched, string>} */
const NAMES = { flv: "HTTP-FLV", hls: "HLS" };

/** HLS may still play: the browser itself decides. */
const NO_MEDIA_SOURCE = { title: "This browser cannot play HTTP-FLV", text: "Choose HLS." };

/** The media source extensions of this browser; iPhones have the managed kind only. */
const mediaSource = () =>
  /** @type {{ ManagedMediaSource?: typeof MediaSource }} */ (globalThis).ManagedMediaSource ?? globalThis.MediaSource;

/** True if libraries can feed the video element; without it, only the browser's own HLS is left. */
export const hasMediaSource = () => mediaSource() !== undefined;

/**
 * Returns what keeps a stream from being played; undefined if nothing does, or if its codecs are not known. Over HTTP-FLV,
 * audio that cannot be decoded is left out of a stream with video; HLS has no playlist for such a stream. Over WebRTC, the
 * server refuses what it cannot carry.
 *
 * @param {Protocol} protocol
 * @param {Details | null | undefined} details
 * @returns {Obstacle | undefined}
 */
export function obstacle(protocol, details) {
  if (protocol === "webrtc") return undefined;
  const video = details?.video && obstacleOf(protocol, details.video.codec, "video");
  if (video) return video;
  if (!details?.audio || (protocol === "flv" && details.video)) return undefined;
  const audio = obstacleOf(protocol, details.audio.codec, "audio");
  if (!audio || !details.video || obstacle("flv", details)) return audio;
  return { ...audio, text: `Choose ${NAMES.flv}: it plays the video without audio.` };
}

/**
 * Returns what keeps a codec from being played. `Enhanced` codecs are classic ones in the packets of Enhanced RTMP, which
 * mpegts.js does not read.
 *
 * @param {Fetched} protocol
 * @param {string} named
 * @param {Kind} kind
 * @returns {Obstacle | undefined}
 */
export function obstacleOf(protocol, named, kind) {
  const codec = codecName(named);
  if (!READ_BY[protocol].includes(codec)) {
    const other = protocol === "flv" ? "hls" : "flv";
    const isReadThere = READ_BY[other].includes(codec.replace("Enhanced ", ""));
    const instead = isReadThere ? `Choose ${NAMES[other]}` : "Use a player such as VLC or ffplay";
    return { title: `${codec} ${kind} cannot be played over ${NAMES[protocol]} here`, text: `${instead}.` };
  }
  const source = mediaSource();
  if (source === undefined) return protocol === "hls" ? undefined : NO_MEDIA_SOURCE;
  if (source.isTypeSupported(MSE_TYPES[codec])) return undefined;
  return {
    title: `This browser cannot decode ${codec} ${kind}`,
    text: "Another browser or device may; VLC and ffplay can.",
  };
}
