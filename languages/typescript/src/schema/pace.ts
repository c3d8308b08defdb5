/** Long work in short turns, so that other events have theirs. */

/** How long a turn may take, in milliseconds. */
const TURN_MS = 8;

export class Pace {
  #since = performance.now();

  /** Whether this turn has taken long enough: then {@link rest}. */
  get isDue(): boolean {
    return performance.now() - this.#since > TURN_MS;
  }

  /** Resolves in the next turn. */
  async rest(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve));
    this.#since = performance.now();
  }
}
