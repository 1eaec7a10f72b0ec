// The server's API, and the addresses at which the server is reached.

import { fromPage, headers } from "./credential.js";

/** @import { ClusterReport, Server, Stream, Streams } from "./types.js" */

/** A request that failed, or an answer that could not be read. */
export class Unreachable extends Error {}

/** A request without a valid token. The message is the server's. */
export class Refused extends Error {}

const REFUSED = [401, 403];

const TIMEOUT_MS = 5000;

/** The address that the server's paths begin at: these files are in its folder `assets/`, whatever prefix a proxy adds. */
const BASE = new URL("../", import.meta.url);

/** The credential of requests: that of the page's address, or one that was typed in. */
let credential = fromPage;

/** Returns the credential, if there is one. */
export const bearer = () => credential?.text;

/**
 * Presents a token from now on.
 *
 * @param {string} text
 */
export function useBearer(text) {
  credential = { name: "token", text };
}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
async function get(path, method = "GET") {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const options = { method, cache: /** @type {RequestCache} */ ("no-store"), headers: headers(credential), signal };
    const response = await fetch(new URL(path, BASE), options);
    if (response.status === 204) return undefined;
    if (response.ok) return await response.json();
    if (REFUSED.includes(response.status)) throw new Refused((await response.json()).message);
  } catch (error) {
    if (error instanceof Refused) throw error;
    // A network that fails and an answer that is no JSON are the same to a viewer.
  }
  throw new Unreachable(path);
}

/** @returns {Promise<Server>} */
export const server = () => get("api/v1/server");

/** @returns {Promise<ClusterReport>} */
export const nodes = () => get("api/v1/nodes");

/**
 * @param {string} path
 * @returns {Promise<void>}
 */
export const remove = (path) => get(path, "DELETE");

/** @returns {Promise<Streams>} */
export const streams = () => get("api/v1/streams");

/**
 * Returns the room as the list has it. A room that is missing from an incomplete list may be live on another node.
 *
 * @param {string} room
 * @returns {Promise<{ stream: Stream | undefined, isComplete: boolean }>}
 */
export async function stream(room) {
  /** @type {Streams} */
  const { streams: found, complete } = await get(`api/v1/streams?room=${encodeURIComponent(room)}`);
  return { stream: found[0], isComplete: complete };
}

/**
 * Returns the addresses of a server, seen from this page.
 *
 * @param {Server} server
 */
export function addresses({ app, tls, rtmp_port, hls_port, webrtc, rtmp_url, hls_url }, base = BASE) {
  const { protocol, hostname } = base;
  const [scheme, usualPort] = tls ? ["rtmps", 443] : ["rtmp", 1935];
  const rtmp = rtmp_url ?? `${scheme}://${hostname}${rtmp_port === usualPort ? "" : `:${rtmp_port}`}`;
  const hls = hls_url ?? `${protocol}//${hostname}:${hls_port}`;
  const rtmpServer = `${rtmp}/${app}`;
  /** @param {string} path */
  const below = (path) => new URL(path, base).href;
  return {
    rtmpServer,
    flv: (/** @type {string} */ room) => below(`${room}.flv`),
    hls: (/** @type {string} */ room) =>
      hls_port === null ? undefined : `${hls}/${app}/${room}/master.m3u8`,
    // Behind the app, rooms of any name have one: `watch/whep` is a page.
    webrtc: (/** @type {string} */ room) => (webrtc ? below(`${app}/${room}/whep`) : undefined),
    rtmp: (/** @type {string} */ room) => `${rtmpServer}/${room}`,
    page: (/** @type {string} */ room) => below(`watch/${room}`),
  };
}
