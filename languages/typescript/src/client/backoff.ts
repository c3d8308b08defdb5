/** The wait between attempts to connect (docs/protocol.md, "Liveness"). */

/** A client that was logged in for this long was connected well: waits start over after it. */
const GOOD_AFTER_MS = 10_000;

/** Waits that grow, drawn evenly between nothing and their maximum. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  #nextMs: number;

  constructor(minMs: number, maxMs: number) {
    this.#minMs = minMs;
    this.#maxMs = Math.max(minMs, maxMs);
    this.#nextMs = minMs;
  }

  /** A connection has ended that had lasted so long. */
  connectedFor(lastedMs: number): void {
    if (lastedMs >= GOOD_AFTER_MS) this.#nextMs = this.#minMs;
  }

  /** The next wait; `random` is drawn from 0 to 1. */
  next(random: number): number {
    const longest = this.#nextMs;
    this.#nextMs = Math.min(longest * 2, this.#maxMs);
    return longest * random;
  }
}
