// Parts that a browser's own offer lacks.

/**
 * Returns an offer that asks for Opus in stereo (RFC 7587, section 6.1). Chromium can play it and does not ask: both channels
 * would come as one.
 *
 * @param {string} sdp
 */
export function withStereo(sdp) {
  const [, opus] = /^a=rtpmap:(\d+) opus\/48000\/2\r?$/im.exec(sdp) ?? [];
  if (opus === undefined) return sdp;
  const format = new RegExp(`^a=fmtp:${opus} (?!.*\\bstereo=)(.*?)(\\r?)$`, "m");
  return sdp.replace(format, `a=fmtp:${opus} $1;stereo=1$2`);
}
