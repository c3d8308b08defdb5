/** When to ping, and when a silent peer is dead (docs/protocol.md, "Liveness"). Times are in milliseconds; an interval of 0 is never. */
export class Keepalive {
  readonly #interval: number;
  lastReceived: number;
  /** When the first PING since then was sent: a process that was suspended asks before it gives up. */
  #firstPing: number | undefined;
  #nextPing: number;
  /** The last PING, where it was not answered. */
  #pending: bigint | undefined;

  constructor(interval: number, now: number) {
    this.#interval = interval || Infinity;
    this.lastReceived = now;
    this.#nextPing = now + this.#interval;
  }

  received(now: number): void {
    this.lastReceived = now;
    this.#firstPing = undefined;
  }

  get timeout(): number {
    return Math.min(this.#nextPing, this.deadAt);
  }

  /** When the peer is dead if nothing comes. */
  get deadAt(): number {
    const first = this.#firstPing;
    return first === undefined ? Infinity : Math.max(this.lastReceived + 2 * this.#interval, first + this.#interval);
  }

  /** Whether a PING is due. */
  isDue(now: number): boolean {
    return now >= this.#nextPing;
  }

  pinged(id: bigint, now: number): void {
    this.#nextPing = now + this.#interval;
    this.#firstPing ??= now;
    this.#pending = id;
  }

  /** Whether a PONG answers the PING. */
  ponged(id: bigint): boolean {
    const isAnswer = this.#pending === id;
    this.#pending = isAnswer ? undefined : this.#pending;
    return isAnswer;
  }
}
