// Descriptions of a stream for people.

/** @import { Details } from "./types.js" */

/** Codecs of FLV that the API knows by their number. */
const NUMBERED = new Map([
  ["flv-audio-0", "PCM"],
  ["flv-audio-1", "ADPCM"],
  ["flv-audio-3", "PCM"],
  ["flv-audio-4", "Nellymoser"],
  ["flv-audio-5", "Nellymoser"],
  ["flv-audio-6", "Nellymoser"],
  ["flv-audio-7", "G.711 A-law"],
  ["flv-audio-8", "G.711 µ-law"],
  ["flv-audio-11", "Speex"],
  ["flv-video-2", "Sorenson H.263"],
  ["flv-video-3", "Screen video"],
  ["flv-video-4", "VP6"],
  ["flv-video-5", "VP6"],
  ["flv-video-6", "Screen video"],
]);

/**
 * Returns the name of a codec that the API or a tag names.
 *
 * @param {string} codec
 */
export const codecName = (codec) => NUMBERED.get(codec) ?? codec;

/** @param {Details | null} details */
export function describeVideo(details) {
  if (!details) return "";
  const { video } = details;
  if (!video) return "no video";
  const size = video.width && video.height ? ` ${video.width} × ${video.height}` : "";
  return `${codecName(video.codec)}${size}`;
}

/** @param {Details | null} details */
export function describeAudio(details) {
  if (!details) return "";
  return details.audio ? codecName(details.audio.codec) : "no audio";
}

/** @param {Details | null} details */
export function describeBitrate(details) {
  const kbps = details?.bitrate_kbps;
  if (kbps === null || kbps === undefined) return "";
  return kbps < 1000 ? `${kbps} kbit/s` : `${(kbps / 1000).toFixed(1)} Mbit/s`;
}

/**
 * Describes the distance from live. What the measurement leaves out, such as the screen, is hundredths of a second.
 *
 * @param {number} seconds
 */
export const describeLatency = (seconds) => `${seconds < 0.1 ? "< 0.1" : seconds.toFixed(1)} s`;

/** @param {Details | null} details */
export function describeViewers(details) {
  if (!details) return "";
  return details.viewers === 1 ? "1 viewer" : `${details.viewers} viewers`;
}

/** @param {number | undefined} sinceUnixMs */
export function describeSince(sinceUnixMs, nowUnixMs = Date.now()) {
  if (!sinceUnixMs) return "";
  const seconds = Math.max(0, Math.floor((nowUnixMs - sinceUnixMs) / 1000));
  if (seconds < 60) return `live for ${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `live for ${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `live for ${hours} h ${minutes % 60} min` : `live for ${Math.floor(hours / 24)} days`;
}
