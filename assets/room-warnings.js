// Trouble of a room in words, and what it means for viewers.

/** @import { RoomReport } from "./types.js" */

/** Viewers over HTTP-FLV and RTMP begin at a keyframe: a longer interval makes them late, or wait. */
const KEYFRAME_INTERVAL_MAX_MS = 4000;

/** Of the announced frames, so many may be missing: encoders do not send to the frame. */
const FRAMES_MIN_SHARE = 0.9;

/** Players put audio and video in order that are this far apart. */
const APART_MAX_MS = 500;

/** @param {number} ms */
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** What viewers over WebRTC do not notice: frames that are left out. */
const UNNOTICED = "b_frames_dropped";

/**
 * Returns what viewers over WebRTC miss.
 *
 * @param {RoomReport} room
 * @returns {string[]}
 */
function missingOverWebRtc({ webrtc, has_b_frames }) {
  if (!webrtc) return has_b_frames ? ["B-frames: WebRTC viewers may not be able to watch"] : [];
  const { state, reasons } = webrtc;
  if (reasons.some(({ code }) => code === "b_frames")) return ["B-frames: WebRTC viewers cannot watch"];
  const effect = state === "refused" ? "WebRTC viewers cannot watch" : "over WebRTC";
  return reasons.filter(({ code }) => code !== UNNOTICED).map(({ message }) => `${effect}: ${message}`);
}

/**
 * Returns the warnings of a room.
 *
 * @param {RoomReport} room
 * @param {{ hasWebRtc: boolean }} server
 * @returns {string[]}
 */
export function warningsOf(room, { hasWebRtc }) {
  if (!room.is_live) return ["no publisher: viewers wait for it to come back"];
  const warnings = [];
  const interval = room.keyframe_interval_ms ?? 0;
  if (room.lacks_keyframes) {
    warnings.push("no keyframes: viewers who join see broken video at first");
  } else if (interval > KEYFRAME_INTERVAL_MAX_MS) {
    warnings.push(`keyframe every ${seconds(interval)}: viewers join up to ${seconds(interval)} behind`);
  }
  // The last sample counts from the stream's start.
  const sent = room.charts.frame_rate.at(-1);
  const announced = room.announced_frame_rate;
  if (sent !== undefined && announced && sent < announced * FRAMES_MIN_SHARE) {
    warnings.push(`publisher sends ${Math.round(sent)} of ${announced} frames a second`);
  }
  const apart = room.video_after_audio_ms ?? 0;
  if (Math.abs(apart) > APART_MAX_MS) {
    warnings.push(`audio and video are ${Math.abs(apart)} ms apart: players wait for the later one`);
  }
  if (hasWebRtc) warnings.push(...missingOverWebRtc(room));
  if (room.skips > 0) warnings.push(`slow viewers skipped ${room.skips} ${room.skips === 1 ? "time" : "times"}`);
  return warnings;
}
