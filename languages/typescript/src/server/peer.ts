/** What generated peers stand on: a client, as the server sees it. */

import type { Items } from "../connection/item-pump.js";
import type { CallOptions } from "../connection/options.js";
import { callBoth, callStream, sendStream } from "../connection/outbound-streams.js";
import type { ResponseStream } from "../connection/response-stream.js";
import { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import type { ServerConnection } from "./server-connection.js";

/** A client, as the server sees it. It is the same object over all connections of a session. */
export abstract class Peer {
  /** Who the client is, and how it is connected. */
  readonly connection: ServerConnection;

  /** @internal */
  constructor(connection: ServerConnection) {
    this.connection = connection;
  }

  /**
   * Ends the client's session. Where the code is `UNAVAILABLE` or `RESOURCE_EXHAUSTED` the client comes back by itself, otherwise it asks its
   * program.
   */
  disconnect(status: Status = new Status("ABORTED", "disconnected by the server")): void {
    this.connection.disconnect(status);
  }

  protected send(member: Member, message: unknown, options: CallOptions = {}): Promise<void> {
    return this.connection.outbound.send(member, message, options, false);
  }

  protected call<T>(member: Member, request: unknown, options: CallOptions = {}): Promise<T> {
    return this.connection.outbound.call(member, request, options, false) as Promise<T>;
  }

  protected callStream<T>(member: Member, request: unknown, options: CallOptions = {}): ResponseStream<T> {
    return callStream(this.connection.outbound, member, request, options, false) as ResponseStream<T>;
  }

  protected sendStream<T>(member: Member, requests: Items, options: CallOptions = {}): Promise<T> {
    return sendStream(this.connection.outbound, member, requests, options, false) as Promise<T>;
  }

  protected callBoth<T>(member: Member, requests: Items, options: CallOptions = {}): ResponseStream<T> {
    return callBoth(this.connection.outbound, member, requests, options, false) as ResponseStream<T>;
  }
}
