// What the server says, and how it is written for people. Nothing here puts text into the page as HTML.

/** The server could not be asked, or its answer could not be read. */
export class Unreachable extends Error {}

const TIMEOUT_MS = 5000;

/** The address that the server's paths begin at: these files are in its folder `assets/`, whatever prefix a proxy adds. */
const BASE = new URL("../", import.meta.url);

async function get(path) {
  try {
    const response = await fetch(new URL(path, BASE), { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.ok) return await response.json();
  } catch {
    // Told below: a network that fails and an answer that is none are the same to a viewer.
  }
  throw new Unreachable(path);
}

export const server = () => get("api/v1/server");
export const streams = () => get("api/v1/streams");

/** The room as the list has it; undefined if nobody publishes it. */
export async function stream(room) {
  const { streams: found } = await get(`api/v1/streams?room=${encodeURIComponent(room)}`);
  return found[0];
}

/** The addresses at which this server is reached, seen from this page. */
export function addresses({ app, rtmp_port, hls_port }, base = BASE) {
  const { protocol, hostname } = base;
  const rtmp = `rtmp://${hostname}${rtmp_port === 1935 ? "" : `:${rtmp_port}`}/${app}`;
  return {
    rtmpServer: rtmp,
    flv: (room) => new URL(`${room}.flv`, base).href,
    hls: (room) => (hls_port === null ? null : `${protocol}//${hostname}:${hls_port}/${app}/${room}/index.m3u8`),
    rtmp: (room) => `${rtmp}/${room}`,
    page: (room) => new URL(`watch/${room}`, base).href,
  };
}

export function describeVideo(details) {
  if (!details) return "";
  const { video } = details;
  if (!video) return "no video";
  const size = video.width && video.height ? ` ${video.width} × ${video.height}` : "";
  return `${video.codec}${size}`;
}

export function describeAudio(details) {
  if (!details) return "";
  return details.audio ? details.audio.codec : "no audio";
}

export function describeBitrate(details) {
  const kbps = details?.bitrate_kbps;
  if (kbps === null || kbps === undefined) return "";
  return kbps < 1000 ? `${kbps} kbit/s` : `${(kbps / 1000).toFixed(1)} Mbit/s`;
}

export function describeViewers(details) {
  if (!details) return "";
  return details.viewers === 1 ? "1 viewer" : `${details.viewers} viewers`;
}

export function describeSince(since_unix_ms) {
  if (!since_unix_ms) return "";
  const seconds = Math.max(0, Math.floor((Date.now() - since_unix_ms) / 1000));
  if (seconds < 60) return `live for ${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `live for ${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `live for ${hours} h ${minutes % 60} min` : `live for ${Math.floor(hours / 24)} days`;
}

/** Writes a text where it differs: what did not change keeps its selection, and is not announced again. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes the buttons with data-copies copy that element's text. */
export function enableCopying() {
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", () => copy(button, document.getElementById(button.dataset.copies)));
  }
}

async function copy(button, source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    write(button, "Copied");
  } catch {
    // Pages that came over plain HTTP may not write to the clipboard: the text is selected for the keyboard.
    getSelection().selectAllChildren(source);
    write(button, "Selected");
  }
  setTimeout(() => write(button, "Copy"), 1500);
}
