// A source of bytes for mpegts.js other than a request of its own.

/** @import { Mpegts } from "../types.js" */

/** @typedef {{ pass: (bytes: Uint8Array<ArrayBuffer>) => void, complete: () => void }} Sink */

/**
 * Returns a loader class for mpegts.js that loads nothing.
 *
 * @param {Mpegts} mpegts
 * @param {(sink: Sink) => void} onOpen is called when mpegts.js takes bytes
 */
export function loaderOf({ BaseLoader, LoaderStatus }, onOpen) {
  return class extends BaseLoader {
    #received = 0;

    constructor() {
      super("page");
    }

    open() {
      this._status = LoaderStatus.kBuffering;
      onOpen({ pass: (bytes) => this.#pass(bytes), complete: () => this.#complete() });
    }

    /** @param {Uint8Array<ArrayBuffer>} bytes fill their buffer */
    #pass(bytes) {
      const start = this.#received;
      this.#received += bytes.length;
      this._onDataArrival?.(bytes.buffer, start, this.#received);
    }

    #complete() {
      this._status = LoaderStatus.kComplete;
      this._onComplete?.(0, this.#received - 1);
    }

    /** mpegts.js stops loading when it ends and when the browser's buffer is full: what arrives then is lost. */
    abort() {
      this._status = LoaderStatus.kIdle;
    }
  };
}
