/**
 * What has happened, until the driver asks for it.
 *
 * @module
 */

import { Queue } from "../queue.js";
import type { Event } from "./event.js";

/** Which events begin a handler, or go to one. */
const HANDLED: readonly Event["type"][] = ["request", "message", "requestItem", "requestEnd", "notice"];

/** A queue, in which what is for handlers waits while the peer is owed more than it reads. */
export class EventQueue {
  readonly #events = new Queue<Event>();
  /** What handlers get once the peer has read some of what it is owed. */
  readonly #held = new Queue<Event>();

  push(event: Event): void {
    this.#events.push(event);
  }

  /** Whether handlers wait for the peer to read. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  /** The next event, while the peer is owed too much or not. */
  next(isOwed: boolean): Event | undefined {
    const held = isOwed ? undefined : this.#held.shift();
    if (held) {
      return held;
    }
    for (;;) {
      const event = this.#events.shift();
      if (!event || !(isOwed || this.isHolding) || !HANDLED.includes(event.type)) {
        return event;
      }
      this.#held.push(event);
    }
  }
}
