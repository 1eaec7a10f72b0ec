// Script data that is for the page, and not for the player of a stream.

const TAG_HEADER_BYTES = 11;

/** The marker of a string in AMF0, and the size of its length. */
const STRING = 2;
const LENGTH_BYTES = 2;

/** The name of the notice that the server is about to close this connection, as its node drains. */
const NOTICE = "onMoving";

/**
 * Returns an address at which the server gives that notice: others get the stream and no more.
 *
 * @param {string} url
 */
export function withNotice(url) {
  const noticed = new URL(url);
  noticed.searchParams.set("moves", "1");
  return noticed.href;
}

/**
 * True for the tag of that notice.
 *
 * @param {import("./flv-tags.js").Tag} tag
 */
export const isNotice = ({ kind, bytes }) => kind === "script" && nameOf(bytes.subarray(TAG_HEADER_BYTES)) === NOTICE;

/** @param {Uint8Array} body */
function nameOf(body) {
  if (body[0] !== STRING) return undefined;
  const length = (body[1] << 8) | body[2];
  const begin = 1 + LENGTH_BYTES;
  return String.fromCharCode(...body.subarray(begin, begin + Math.min(length, NOTICE.length + 1)));
}
