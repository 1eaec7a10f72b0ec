// The protocols by which a page can play a room, and the reasons against one.

import { hasMediaSource, obstacle } from "./codecs.js";
import { hasWebRtc } from "./playback/webrtc.js";

/** @import { Details, Protocol, Server } from "./types.js" */

/**
 * The order of preference. WebRTC plays by choice: many networks do not carry it, it has no audio of some streams,
 * and costs the server several times as much.
 *
 * @type {Protocol[]}
 */
const PREFERRED = ["flv", "hls", "webrtc"];

/**
 * Returns what keeps a protocol from being used with any room; undefined if nothing does.
 *
 * @param {Protocol} protocol
 * @param {Server} server
 * @returns {string | undefined}
 */
export function unavailable(protocol, { hls_port, webrtc }) {
  switch (protocol) {
    case "flv":
      return hasMediaSource() ? undefined : "This browser cannot play HTTP-FLV";
    case "hls":
      return hls_port === null ? "This server has no HLS" : undefined;
    case "webrtc":
      if (!webrtc) return "This server has no WebRTC";
      return hasWebRtc() ? undefined : "This browser has no WebRTC";
  }
}

/**
 * Returns the server's reasons why viewers over WebRTC do not get all of a stream; empty if they do.
 *
 * @param {Details | null | undefined} details
 */
export const limitsOfWebRtc = (details) => (details?.webrtc?.reasons ?? []).map(({ message }) => message).join("; ");

/**
 * True if offers for a stream are refused.
 *
 * @param {Details | null | undefined} details
 */
export const isRefusedOverWebRtc = (details) => details?.webrtc?.state === "refused";

/**
 * Returns the protocol to begin with.
 *
 * @param {Server} server
 * @returns {Protocol}
 */
export const usual = (server) => PREFERRED.find((protocol) => !unavailable(protocol, server)) ?? "flv";

/**
 * Returns the protocol that plays a stream for viewers who have chosen none, or WebRTC in vain; undefined if none can.
 *
 * @param {Server} server
 * @param {Details | null | undefined} details
 * @returns {Protocol | undefined}
 */
export const playable = (server, details) =>
  PREFERRED.find(
    (protocol) => protocol !== "webrtc" && !unavailable(protocol, server) && !obstacle(protocol, details),
  );
