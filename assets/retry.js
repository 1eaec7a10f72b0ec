// Backoff: soon at first, then ever less often, so that viewers do not overload a server that comes back.

const FIRST_MS = 1000;
const LONGEST_MS = 10_000;

/**
 * Returns a time around `ms`, so that the viewers of a server that comes back do not all ask at once.
 *
 * @param {number} ms
 */
export const jittered = (ms) => ms * (0.8 + 0.4 * Math.random());

/** The wait before the next attempt at something that keeps failing. */
export class Retry {
  #onDue;
  #firstMs;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #failures = 0;

  /** @param {() => void} onDue is called at the end of each wait */
  constructor(onDue, firstMs = FIRST_MS) {
    this.#onDue = onDue;
    this.#firstMs = firstMs;
  }

  /** True between a failure and the end of its wait. */
  get isWaiting() {
    return this.#timer !== undefined;
  }

  /** Failures in a row. */
  get failures() {
    return this.#failures;
  }

  /** Counts a failure and starts its wait, twice as long as the one before. */
  fail() {
    clearTimeout(this.#timer);
    const pause = Math.min(LONGEST_MS, this.#firstMs * 2 ** this.#failures);
    this.#failures += 1;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#onDue();
    }, jittered(pause));
  }

  /** Forgets the failures, after a success or for a new target. */
  reset() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#failures = 0;
  }
}
