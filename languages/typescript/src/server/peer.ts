/** What generated peers stand on: a client, as the server sees it. */

import type { Items } from "../connection/item-pump.js";
import type { CallOptions, SendOptions } from "../connection/options.js";
import { callBoth, callStream, sendStream } from "../connection/outbound-streams.js";
import type { Outbound } from "../connection/outbound.js";
import { ResponseStream } from "../connection/response-stream.js";
import { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import type { PeerConnection } from "./peer-connection.js";

/** A client, as the server sees it. It is the same object over all connections of a session. */
export abstract class Peer {
  /** Who the client is, and how it is connected. */
  readonly connection: PeerConnection;

  /** @internal */
  constructor(connection: PeerConnection) {
    this.connection = connection;
  }

  /**
   * Ends the client's session. Where the code is `UNAVAILABLE` or `RESOURCE_EXHAUSTED` the client comes back by itself, otherwise it asks its
   * program.
   */
  disconnect(status: Status = new Status("ABORTED", "disconnected by the server")): void {
    this.connection.disconnect(status);
  }

  protected async send(member: Member, message: unknown, options: SendOptions = {}): Promise<void> {
    await this.#outbound().send(member, message, this.connection.route(options), false);
  }

  protected async call<T>(member: Member, request: unknown, options: CallOptions = {}): Promise<T> {
    return (await this.#outbound().call(member, request, this.connection.route(options), false)) as T;
  }

  protected callStream<T>(member: Member, request: unknown, options: CallOptions = {}): ResponseStream<T> {
    const { gone, outbound } = this.connection;
    if (gone !== undefined) return ended(gone);
    return callStream(outbound, member, request, this.connection.route(options), false) as ResponseStream<T>;
  }

  protected async sendStream<T>(member: Member, requests: Items, options: CallOptions = {}): Promise<T> {
    return (await sendStream(this.#outbound(), member, requests, this.connection.route(options), false)) as T;
  }

  protected callBoth<T>(member: Member, requests: Items, options: CallOptions = {}): ResponseStream<T> {
    const { gone, outbound } = this.connection;
    if (gone !== undefined) return ended(gone);
    return callBoth(outbound, member, requests, this.connection.route(options), false) as ResponseStream<T>;
  }

  #outbound(): Outbound {
    const { gone, outbound } = this.connection;
    if (gone !== undefined) throw gone;
    return outbound;
  }
}

/** A stream that has failed. */
function ended<T>(status: Status): ResponseStream<T> {
  const stream = new ResponseStream<T>({ decode: () => undefined, finished: () => {}, cancel: () => {} });
  stream.end(status);
  return stream;
}
