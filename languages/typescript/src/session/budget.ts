/**
 * What sessions hold in memory, together and each (docs/operations.md, "Memory"). Nothing of a session calls what is here: a client, which has
 * no such limit, is made without it.
 *
 * @module
 */

import type { Session } from "./session.js";
import type { State } from "./state.js";

/** What each connection may hold, in either direction, however short memory is. */
export const FLOOR = 65_536;

/** What a session takes that is kept without a connection, besides what it holds. */
export const SUSPENDED_SESSION = 16_384;

/** How many bytes the sessions that share it hold, and whether that is too much. */
export class Budget {
  readonly #max: number;
  #used = 0;
  readonly #reliefs = new Set<() => boolean>();

  /** @param max How many bytes they may hold. */
  constructor(max: number) {
    this.#max = max;
  }

  /** What is held, in bytes. */
  get used(): number {
    return this.#used;
  }

  /** @param relief Ends the session that has been without a connection for longest, and says whether there was one. */
  addRelief(relief: () => boolean): void {
    this.#reliefs.add(relief);
  }

  removeRelief(relief: () => boolean): void {
    this.#reliefs.delete(relief);
  }

  /** A session holds so many bytes more, or fewer. Sessions without a connection end while that is too much, and there are some. */
  change(by: number): void {
    this.#used += by;
    if (by <= 0) return;
    for (const relief of this.#reliefs) {
      while (this.#used > this.#max && relief());
    }
  }

  /** Whether so much is more than one connection may hold at the moment. */
  isShortFor(held: number): boolean {
    return held >= FLOOR && this.#used > this.#max;
  }

  /** Why a session accepts no call of its peer at the moment. */
  refusalOf(s: State): string | undefined {
    return this.refusalFor(heldInbound(s));
  }

  /** Why one that holds so much accepts no call at the moment. */
  refusalFor(held: number): string | undefined {
    return this.isShortFor(held) ? `memory is short: ${this.#max} bytes (max_memory)` : undefined;
  }
}

/** All that a session holds: what waits to be sent, what is kept, and what has come. Items of streams that were not read are not among it. */
export function heldBy(session: Session): number {
  const { s } = session;
  if (s.phase === "over") return 0;
  const kept = (s.deliveries?.keptCost ?? 0) + (s.resumption?.ended.keptCost ?? 0) + (s.droppable?.cost ?? 0);
  return s.outgoing.cost + kept + heldInbound(s) + (s.phase === "open" ? 0 : SUSPENDED_SESSION);
}

/** Gives the session of a client a limit of memory. */
export function limitMemory(session: Session, budget: Budget): void {
  session.s.limits = { ...session.s.limits, budget };
}

/** What has come and is not handled, and a part of a frame. */
function heldInbound(s: State): number {
  return (s.inboundCalls?.bytes ?? 0) + s.receiveWindow.taken + s.decoder.pendingLen;
}
