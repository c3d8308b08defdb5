/** How often a peer may do what only costs us: a burst, and then so many a second (docs/protocol.md, "Allowances"). */
export class TokenBucket {
  #tokens: number;
  #refilled = 0;

  constructor(
    readonly burst: number,
    readonly perSecond: number,
  ) {
    this.#tokens = burst;
  }

  /** Takes a token; false where none is left. */
  take(now: number): boolean {
    const refill = Math.floor(((now - this.#refilled) * this.perSecond) / 1000);
    if (refill > 0) {
      this.#tokens = Math.min(this.burst, this.#tokens + refill);
      this.#refilled = now;
    }
    if (this.#tokens <= 0) {
      return false;
    }
    this.#tokens--;
    return true;
  }
}
