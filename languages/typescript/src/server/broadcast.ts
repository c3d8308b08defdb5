/** What generated broadcasts stand on: one message to many clients. */

import type { Member } from "../protocol.js";

/** Sends a message, or what clears it, to many; returns to how many. */
export type SendAll = (member: Member, message: unknown, isCleared: boolean) => number;

/** One-way messages to many clients. Nothing waits: a client without capacity is skipped. */
export abstract class Broadcast {
  readonly #send: SendAll;
  readonly #clears: boolean;

  /** @internal */
  constructor(send: SendAll, clears = false) {
    this.#send = send;
    this.#clears = clears;
  }

  /** The same; what is said clears the STATE that it would set, and of the message only the key counts. */
  clearing(): this {
    const type = this.constructor as new (send: SendAll, clears: boolean) => this;
    return new type(this.#send, true);
  }

  /** Sends; returns how many clients took it. Through a broker it is how many messages the broker was sent. */
  protected sendAll(member: Member, message: unknown): number {
    return this.#send(member, message, this.#clears);
  }
}
