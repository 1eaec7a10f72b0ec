// Single frames of video that comes too rarely to be played beside audio: slides, for example.

import { loaderOf } from "./mpegts-loader.js";

/** @import { Mpegts } from "../types.js" */

/** A frame that is not decoded by then never will be. */
const LIMIT_MS = 5000;

/**
 * Decodes the frame at a position of a stream without audio.
 *
 * @param {Mpegts} mpegts
 * @param {{ bytes: Uint8Array<ArrayBuffer>, positionS: number }} still
 * @param {(video: HTMLVideoElement) => void} onFrame is called with an element that shows the frame, if it can be decoded
 */
export async function decodeStill(mpegts, { bytes, positionS }, onFrame) {
  const video = document.createElement("video");
  video.muted = true;
  const player = mpegts.createPlayer(
    { type: "flv", isLive: true, url: "still", hasAudio: false, hasVideo: true },
    {
      enableStashBuffer: false,
      customLoader: loaderOf(mpegts, ({ pass, complete }) => {
        pass(bytes);
        complete();
      }),
    },
  );
  player.attachMediaElement(video);
  player.load();
  try {
    await event(video, "loadeddata");
    video.currentTime = positionS;
    await event(video, "seeked");
    onFrame(video);
  } catch {
    // A frame that cannot be decoded is not shown; the one before stays in view.
  } finally {
    player.destroy();
  }
}

/**
 * @param {HTMLVideoElement} video
 * @param {string} name
 */
function event(video, name) {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(LIMIT_MS);
    video.addEventListener(name, resolve, { once: true, signal });
    signal.addEventListener("abort", reject, { once: true });
  });
}
