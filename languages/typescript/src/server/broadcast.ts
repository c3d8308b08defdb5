/** What generated broadcasts stand on: one message to many clients. */

import type { Bodies, Body } from "../connection/bodies.js";
import type { Member } from "../protocol.js";
import type { ServerConnection } from "./server-connection.js";

/** One-way messages to many clients. Nothing waits: a client without capacity is skipped. */
export abstract class Broadcast {
  readonly #connections: () => Iterable<ServerConnection>;

  /** @internal */
  constructor(connections: () => Iterable<ServerConnection>) {
    this.#connections = connections;
  }

  /** Sends; returns how many clients took it. */
  protected sendAll(member: Member, message: unknown): number {
    // Encoded once for each codec.
    const encoded = new Map<Bodies, Body>();
    let count = 0;
    for (const connection of this.#connections()) {
      let body = encoded.get(connection.bodies);
      if (body === undefined) {
        body = connection.bodies.encode(member, message);
        encoded.set(connection.bodies, body);
      }
      if (connection.offer(member, body)) count += 1;
    }
    return count;
  }
}
