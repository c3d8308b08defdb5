/**
 * What a peer may not do too often, and what may still be under way (docs/protocol.md, "Allowances"). Servers, and what is attached to a
 * broker, have it. A client does without: it has chosen its server, and what that sends takes no memory beyond its limits.
 *
 * @module
 */

import type { Frame } from "../wire/decoder.js";
import { Fault } from "../wire/fault.js";
import { TokenBucket } from "./bucket.js";
import type { State } from "./state.js";

/** How many frames of a stream may be under way when its exchange ends. */
const LATE_FRAMES = 32;

/** Allowances, as a part of a session. */
export const allowances = (): Allowances => new Allowances();

/** What the peer of a session has left. */
export class Allowances {
  readonly #unwanted = new TokenBucket(2000, 200);
  readonly #cancels = new TokenBucket(10_000, 1000);
  #lateOut = 0;
  #lateIn = 0;

  /** A frame that only costs us: too many of them are a fault. */
  limit(s: State, id: bigint, what = "unwanted frames"): void {
    if (!this.#unwanted.take(s.now)) {
      throw new Fault(`more than 200 ${what} a second`, id, "RESOURCE_EXHAUSTED");
    }
  }

  /** What others have sent, and a broker passes on, is not its fault. */
  limitSent(s: State, id: bigint): void {
    if (!s.topics) {
      this.limit(s, id);
    }
  }

  /** A CANCEL of an open call. */
  limitCancel(s: State, id: bigint): void {
    if (!s.topics && !this.#cancels.take(s.now)) {
      throw new Fault("more than 1000 calls cancelled a second", id, "RESOURCE_EXHAUSTED");
    }
  }

  /** A CREDIT that no message has earned. */
  limitCredit(s: State, id: bigint): void {
    this.limit(s, id, "CREDITs beyond one for each message");
  }

  /** A frame for an exchange that is not open: it may have been under way when that ended. */
  limitLate(s: State, { accepting, id }: Frame): void {
    const isOwn = accepting === s.server;
    if (isOwn ? id !== 0n && this.#lateOut > 0 : this.#lateIn > 0) {
      if (isOwn) {
        this.#lateOut--;
      } else {
        this.#lateIn--;
      }
    } else {
      this.limit(s, id);
    }
  }

  /** A call of the peer has ended: it may cancel it, and send items of it, before it has the answer. */
  expectLate(hasStreams: boolean): void {
    this.#lateIn += hasStreams ? 1 + LATE_FRAMES : 1;
  }

  /** An answer to an exchange of this side may be under way, for which nobody waits. */
  expectAnswer(): void {
    this.#lateOut++;
  }

  /** A stream of this side has ended, whose items may be under way. */
  expectItems(): void {
    this.#lateOut += LATE_FRAMES;
  }
}
