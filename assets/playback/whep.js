// The requests of a WebRTC player (WHEP, draft-ietf-wish-whep).

import { headers } from "../credential.js";
import { refusal } from "./refusal.js";

const SDP = "application/sdp";

/** Answers that stay the same while a room is published as it is: its codecs, or the browser, are not for WebRTC. */
const FINAL = [415, 422];

/** A room that cannot be watched over WebRTC. The message is the server's. */
export class NotCarried extends Error {}

/**
 * Begins a session: returns the server's answer, and the address at which the session ends.
 *
 * @param {string} url
 * @param {string} offer needs no candidates: the server learns the viewer's address from its connectivity checks
 * @returns {Promise<{ answer: string, session: string }>}
 * @throws if the request fails or is refused
 */
export async function begin(url, offer) {
  const response = await fetch(url, {
    method: "POST",
    cache: "no-store",
    headers: { ...headers(), "Content-Type": SDP },
    body: offer,
  });
  if (!response.ok) {
    const text = await refusal(response);
    throw FINAL.includes(response.status) ? new NotCarried(text) : new Error(text);
  }
  // Of the path in `Location`, a proxy may have left out its own prefix: the name of the session is all that is needed.
  const name = response.headers.get("Location")?.split("/").at(-1);
  return { answer: await response.text(), session: `${url}/${name}` };
}

const END_MS = 3000;

const NOT_FOUND = 404;

/**
 * Ends a session, also while the page is closed. If the request fails, the server ends the session by itself, a little later.
 *
 * @param {string} session
 * @returns {Promise<boolean>} true if the server had ended the session before
 */
export async function end(session) {
  const signal = AbortSignal.timeout(END_MS);
  const request = { method: "DELETE", headers: headers(), keepalive: true, signal };
  const response = await fetch(session, request).catch(() => undefined);
  return response?.status === NOT_FOUND;
}
