/** What generated broadcasts stand on: one message to many clients. */

import type { Member } from "../protocol.js";

/** One-way messages to many clients. Nothing waits: a client without capacity is skipped. */
export abstract class Broadcast {
  readonly #send: (member: Member, message: unknown) => number;

  /** @internal */
  constructor(send: (member: Member, message: unknown) => number) {
    this.#send = send;
  }

  /** Sends; returns how many clients took it. Through a broker it is how many messages the broker was sent. */
  protected sendAll(member: Member, message: unknown): number {
    return this.#send(member, message);
  }
}
