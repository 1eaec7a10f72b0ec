// What the statistics of a connection over WebRTC say of its media.

/** @typedef {{ delayS: number, count: number }} Sum */

export class Statistics {
  /** @type {Sum | undefined} */
  #last;

  /** Packets of media that have come. */
  packets = 0;

  /**
   * The mean delay between the last two looks, in seconds: half a round trip, and the time from a frame's first packet to its
   * decoding. Undefined while that is not known.
   *
   * @type {number | undefined}
   */
  delayS;

  /**
   * Looks at the statistics. Without new frames, the delay stays as it was.
   *
   * @param {Iterable<any>} statistics
   */
  note(statistics) {
    const all = [...statistics];
    const received = all.filter(({ type }) => type === "inbound-rtp");
    this.packets = received.reduce((packets, { packetsReceived }) => packets + packetsReceived, 0);
    const sum = sumOf(all);
    const last = this.#last;
    this.#last = sum;
    if (!sum || !last || sum.count <= last.count) return;
    const roundTrip = all.find(({ type, nominated }) => type === "candidate-pair" && nominated)?.currentRoundTripTime ?? 0;
    this.delayS = roundTrip / 2 + (sum.delayS - last.delayS) / (sum.count - last.count);
  }
}

/**
 * Returns the delay of all frames so far: those of video, as audio is kept to it, or else of audio.
 *
 * @param {any[]} statistics
 * @returns {Sum | undefined}
 */
function sumOf(statistics) {
  const received = (/** @type {string} */ wanted) =>
    statistics.find(({ type, kind }) => type === "inbound-rtp" && kind === wanted);
  const [video, audio] = [received("video"), received("audio")];
  if (video?.totalProcessingDelay > 0) return { delayS: video.totalProcessingDelay, count: video.framesDecoded };
  if (!audio?.jitterBufferEmittedCount) return undefined;
  return { delayS: audio.jitterBufferDelay, count: audio.jitterBufferEmittedCount };
}
