// An HTTP-FLV request.

import { headers } from "../credential.js";
import { FlvTags } from "./flv-tags.js";
import { refusal } from "./refusal.js";

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
  const response = await fetch(url, { cache: "no-store", headers: headers(), signal });
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
