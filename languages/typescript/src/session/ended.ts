/**
 * Calls of the peer that have ended, for a caller that comes back and asks what became of its own (docs/protocol.md,
 * "Resumption").
 *
 * @module
 */

import { FRAME_COST, type OutFrame } from "./outgoing.js";

/** How many are remembered. */
const REMEMBERED = 256;

/** What is known of ended calls. */
export class EndedCalls {
  readonly #ended: bigint[] = [];
  #next = 0;
  /** No call after this one was forgotten. */
  #forgottenUpTo = 0n;
  /** Replies for which there was no connection. */
  readonly #kept = new Map<bigint, OutFrame>();
  keptCost = 0;

  /** A call has ended, and its reply is queued. */
  end(id: bigint): void {
    const forgotten = this.#ended[this.#next];
    if (forgotten !== undefined && forgotten > this.#forgottenUpTo) {
      this.#forgottenUpTo = forgotten;
    }
    this.#ended[this.#next] = id;
    this.#next = (this.#next + 1) % REMEMBERED;
  }

  /** Keeps a reply. */
  keep(frame: OutFrame): void {
    this.#kept.set(frame.id, frame);
    this.keptCost += frame.size + FRAME_COST;
  }

  /** The reply that was kept; whether the call has run otherwise, as far as is known. */
  take(id: bigint): OutFrame | boolean {
    return this.#kept.get(id) ?? (this.#ended.includes(id) || id <= this.#forgottenUpTo);
  }

  clearKept(): void {
    this.#kept.clear();
    this.keptCost = 0;
  }
}
