// The video element in view, and the one in which a second player starts.

export class Screen {
  #video;

  /** @param {HTMLVideoElement} video */
  constructor(video) {
    this.#video = video;
  }

  /** The element in view. */
  get video() {
    return this.#video;
  }

  /**
   * Calls back at an event of the element in view, whichever that is then. Events of media do not bubble: they are caught on
   * their way down.
   *
   * @param {string} type
   * @param {(video: HTMLVideoElement) => void} listener
   */
  on(type, listener) {
    const around = /** @type {HTMLElement} */ (this.#video.parentElement);
    around.addEventListener(type, ({ target }) => target === this.#video && listener(this.#video), { capture: true });
  }

  /** True while the video is in a window of the browser's own, which an element cannot hand on to another. */
  get isElsewhere() {
    const { webkitDisplayingFullscreen } = /** @type {any} */ (this.#video);
    return document.pictureInPictureElement === this.#video || webkitDisplayingFullscreen === true;
  }

  /** Returns a new element behind the one in view. It plays beside that, so it is muted. */
  standIn() {
    const video = document.createElement("video");
    video.playsInline = true;
    video.muted = true;
    video.tabIndex = -1;
    this.#video.before(video);
    return video;
  }

  /**
   * Puts a stand-in in the place of the element in view.
   *
   * @param {HTMLVideoElement} next
   */
  show(next) {
    const last = this.#video;
    this.#video = next;
    next.volume = last.volume;
    next.muted = last.muted;
    last.remove();
    next.id = last.id;
    // Some browsers pause an element that gets its sound without a click on it.
    if (!next.paused || last.muted) return;
    next.muted = true;
    next.play().catch(() => {});
  }
}
