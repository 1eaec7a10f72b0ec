// The last frame, kept in view while one player follows another in the video element.

/** @import { Screen } from "./screen.js" */

export class Still {
  #screen;
  #canvas;

  /**
   * @param {Screen} screen
   * @param {HTMLCanvasElement} canvas lies over the video
   */
  constructor(screen, canvas) {
    this.#screen = screen;
    this.#canvas = canvas;
    screen.on("loadeddata", (video) => {
      if (video.videoWidth > 0) this.release();
    });
  }

  /**
   * Keeps the frame that an element shows until the video has another one.
   *
   * @param {HTMLVideoElement} shown
   */
  hold(shown = this.#screen.video) {
    const { videoWidth, videoHeight } = shown;
    if (videoWidth === 0) return;
    this.#canvas.width = videoWidth;
    this.#canvas.height = videoHeight;
    this.#canvas.getContext("2d")?.drawImage(shown, 0, 0);
    this.#canvas.hidden = false;
  }

  get isShown() {
    return !this.#canvas.hidden;
  }

  release() {
    this.#canvas.hidden = true;
  }
}
