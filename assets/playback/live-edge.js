// The distance of a playing video element from the newest media that it has.

/** Further behind its target than this, playback jumps instead of catching up by playing faster. */
const JUMP_S = 3.4;
/** Further behind its target than this, playback catches up. */
const SLACK_S = 0.4;
const CATCH_UP_RATE = 1.2;

/**
 * Returns the seconds of media in front of the playing position; undefined if there is no media.
 *
 * @param {HTMLVideoElement} video
 */
export function behindBuffer({ buffered, currentTime }) {
  if (buffered.length === 0) return undefined;
  return Math.max(0, buffered.end(buffered.length - 1) - currentTime);
}

/**
 * Jumps to `targetS` seconds behind the newest media if playback is far behind that.
 *
 * @param {HTMLVideoElement} video
 * @param {number} targetS
 */
export function jumpToLive(video, targetS) {
  const behind = behindBuffer(video);
  if (behind === undefined || behind <= targetS + JUMP_S) return;
  const last = video.buffered.length - 1;
  video.currentTime = Math.max(video.buffered.start(last), video.buffered.end(last) - targetS);
}

/**
 * Keeps playback about `targetS` seconds behind the newest media.
 *
 * @param {HTMLVideoElement} video
 * @param {number} targetS
 */
export function followLive(video, targetS) {
  jumpToLive(video, targetS);
  const behind = behindBuffer(video);
  if (behind === undefined) return;
  if (behind > targetS + SLACK_S) video.playbackRate = CATCH_UP_RATE;
  else if (behind <= targetS) video.playbackRate = 1;
}

/**
 * Returns true if there is media at a position.
 *
 * @param {HTMLVideoElement} video
 * @param {number} position
 */
export function isBuffered({ buffered }, position) {
  for (let range = 0; range < buffered.length; range++) {
    if (buffered.start(range) <= position && position < buffered.end(range)) return true;
  }
  return false;
}

/**
 * Jumps over a gap in front of the playing position, where players would wait for ever. An encoder that starts anew leaves one.
 *
 * @param {HTMLVideoElement} video
 */
export function leaveGap(video) {
  const { buffered, currentTime } = video;
  for (let range = 0; range < buffered.length; range++) {
    if (buffered.start(range) > currentTime) {
      video.currentTime = buffered.start(range) + 0.01;
      return;
    }
  }
}
