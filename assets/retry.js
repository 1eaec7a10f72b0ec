// When to try again what did not play: soon at first, then ever less often, so that viewers do not bring a server down.

const FIRST_MS = 1000;
const LONGEST_MS = 10_000;

/** A time around `ms`, so that the viewers of a server that comes back do not ask all at once. */
export const jittered = (ms) => ms * (0.8 + 0.4 * Math.random());

export class Retry {
  #onDue;
  #timer;
  #failures = 0;

  /** `onDue` is called when the time has come. */
  constructor(onDue) {
    this.#onDue = onDue;
  }

  /** Whether now is no time to try. */
  get isWaiting() {
    return this.#timer !== undefined;
  }

  /** Failures since it last played. */
  get failures() {
    return this.#failures;
  }

  /** It did not play. */
  fail() {
    clearTimeout(this.#timer);
    const pause = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#onDue();
    }, jittered(pause));
  }

  /** It plays, or is something else now. */
  reset() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#failures = 0;
  }
}
