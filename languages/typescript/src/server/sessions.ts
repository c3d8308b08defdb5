/** The sessions of a server, and who they belong to. */

import { createHash, timingSafeEqual } from "node:crypto";

import { Status } from "../errors.js";
import type { ServerConnection } from "./server-connection.js";

/** How a secret is kept. */
export function hashSecret(secret: Uint8Array): Uint8Array {
  return createHash("sha256").update(secret).digest();
}

/** Sessions by their ids. Those without a connection are bounded: the oldest of them ends where there are too many. */
export class Sessions {
  readonly #all = new Map<bigint, ServerConnection>();
  /** In the order in which they lost their connections. */
  readonly #detached = new Set<ServerConnection>();
  readonly #maxDetached: number;

  constructor(maxDetached: number) {
    this.#maxDetached = maxDetached;
  }

  get all(): Iterable<ServerConnection> {
    return this.#all.values();
  }

  get size(): number {
    return this.#all.size;
  }

  /** How many of them have a connection. */
  get connectedCount(): number {
    return this.#all.size - this.#detached.size;
  }

  /**
   * The session with this id, for a client that knows its secret.
   *
   * @throws Status where the secret is wrong, or the session is somebody else's.
   */
  find(id: bigint, secret: Uint8Array, principal: string): ServerConnection | undefined {
    const found = this.#all.get(id);
    if (found === undefined) return undefined;
    const isRight = timingSafeEqual(found.parts.secretHash, hashSecret(secret));
    if (!isRight || found.parts.principal !== principal) throw new Status("UNAUTHENTICATED", "the session cannot be resumed");
    return found;
  }

  add(connection: ServerConnection): void {
    this.#all.set(connection.parts.id, connection);
  }

  /** It has a connection again. */
  attached(connection: ServerConnection): void {
    this.#detached.delete(connection);
  }

  /** It has no connection. */
  detached(connection: ServerConnection): void {
    this.#detached.add(connection);
    if (this.#detached.size <= this.#maxDetached) return;
    const [oldest] = this.#detached;
    oldest?.stop(new Status("RESOURCE_EXHAUSTED", "too many sessions without a connection"));
  }

  /** Ends the one that has been without a connection for longest, since memory is short. Says whether there was one. */
  endOldest(): boolean {
    const [oldest] = this.#detached;
    oldest?.stop(new Status("RESOURCE_EXHAUSTED", "memory is short (max_memory)"));
    return oldest !== undefined;
  }

  remove(connection: ServerConnection): void {
    this.#detached.delete(connection);
    if (this.#all.get(connection.parts.id) === connection) this.#all.delete(connection.parts.id);
  }
}
