// An HTTP-FLV request.

import { FlvTags } from "./flv-tags.js";

/** @import { Tag } from "./flv-tags.js" */

/**
 * Reads a stream to its end.
 *
 * @param {string} url
 * @param {AbortSignal} signal
 * @param {(tags: Tag[], source: FlvTags) => void} onTags is called with the tags of each portion of bytes
 * @throws if the request is refused, breaks off or is aborted
 */
export async function readFlv(url, signal, onTags) {
  const response = await fetch(url, { cache: "no-store", signal });
  if (!response.ok || !response.body) throw new Error(await refusal(response));
  const source = new FlvTags();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    signal.throwIfAborted();
    if (done) return;
    onTags(source.push(value), source);
  }
}

/**
 * Returns the server's reason for a refusal: its answers have a sentence for people.
 *
 * @param {Response} response
 * @returns {Promise<string>}
 */
async function refusal(response) {
  try {
    const { message } = await response.json();
    if (typeof message === "string" && message !== "") return message;
  } catch {
    // A proxy's answer is no JSON.
  }
  return `the server answered ${response.status}`;
}
