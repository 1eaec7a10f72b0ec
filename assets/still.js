// The last frame, kept in view while one player follows another in the video element.

export class Still {
  #video;
  #canvas;

  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLCanvasElement} canvas lies over the video
   */
  constructor(video, canvas) {
    this.#video = video;
    this.#canvas = canvas;
    video.addEventListener("loadeddata", () => {
      if (video.videoWidth > 0) this.release();
    });
  }

  /**
   * Keeps the frame that an element shows until the video has another one.
   *
   * @param {HTMLVideoElement} shown
   */
  hold(shown = this.#video) {
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
