// The playlists of a room: Low-Latency HLS in fragmented MP4, and MPEG-TS.

/** The answer for codecs that the container of a playlist does not carry. */
export const CANNOT_CARRY = 415;

/** Answers to viewers without a valid token, and to clients that ask too often: another playlist gets the same. */
const OF_ANY_PLAYLIST = [401, 403, 429];

/**
 * Returns the address of the same room in MPEG-TS.
 *
 * @param {string} url
 */
export const inTransportStream = (url) => url.replace(/\/master\.m3u8$/, "/index.m3u8");

/**
 * True for the status of a playlist that the server does not have, though it may have another one: fragmented MP4 may be off.
 *
 * @param {number | undefined} status
 */
export const isNotServed = (status = 0) => status >= 400 && status < 500 && !OF_ANY_PLAYLIST.includes(status);
