/// <reference lib="esnext.disposable" preserve="true" />
/** What generated clients stand on. */

import { streams } from "../connection/inbound-streams.js";
import type { Items } from "../connection/item-pump.js";
import type { CallOptions, SendOptions } from "../connection/options.js";
import { callBoth, callStream, sendStream } from "../connection/outbound-streams.js";
import type { ResponseStream } from "../connection/response-stream.js";
import type { Member, Protocol } from "../protocol.js";
import type { Transport } from "../transport/transport.js";
import type { ClientConnection } from "./client-connection.js";
import type { ClientOptions } from "./options.js";
import { OwnConnection } from "./own-connection.js";
import type { ClientParts } from "./parts.js";

/** A generated client. */
export type ClientClass<C> = new (connection: ClientConnection, isLogin?: boolean) => C;

/** A client: the typed calls of a generated class, over a connection that comes back by itself. It has no streams. */
export abstract class Client {
  /** What is known of the connection, and what is not of the schema: pings, subscriptions, whether it is closed. */
  readonly connection: ClientConnection;
  readonly #isLogin: boolean;

  /** @internal */
  constructor(connection: ClientConnection, isLogin = false) {
    this.connection = connection;
    this.#isLogin = isLogin;
  }

  /**
   * Connects.
   *
   * @param parts What the client is made of beside the core, as its schema needs it.
   * @throws ConnectError where no address of the service can be connected to, or the server refuses the client.
   */
  protected static open<C extends Client, H extends object>(
    type: ClientClass<C>,
    protocol: Protocol,
    endpoint: string | Transport,
    options: ClientOptions<H> | undefined,
    parts: ClientParts,
  ): Promise<C> {
    return OwnConnection.open(type, protocol, endpoint, options ?? {}, parts);
  }

  /** Closes: nothing new is sent, what is open may finish within `drainTimeoutMs`. Resolves when the connection has ended. */
  close(): Promise<void> {
    return this.connection.close();
  }

  /** As {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  protected send(member: Member, message: unknown, options: SendOptions = {}): Promise<void> {
    return this.connection.outbound.send(member, message, options, this.#isLogin);
  }

  protected call<T>(member: Member, request: unknown, options: CallOptions = {}): Promise<T> {
    return this.connection.outbound.call(member, request, options, this.#isLogin) as Promise<T>;
  }
}

/** A client of a protocol that has calls with streams, either way. */
export abstract class StreamingClient extends Client {
  readonly #isLogin: boolean;

  /** @internal */
  constructor(connection: ClientConnection, isLogin = false) {
    super(connection, isLogin);
    this.#isLogin = isLogin;
  }

  protected static override open<C extends Client, H extends object>(
    type: ClientClass<C>,
    protocol: Protocol,
    endpoint: string | Transport,
    options: ClientOptions<H> | undefined,
    parts: ClientParts,
  ): Promise<C> {
    return OwnConnection.open(type, protocol, endpoint, options ?? {}, { ...parts, streams });
  }

  protected callStream<T>(member: Member, request: unknown, options: CallOptions = {}): ResponseStream<T> {
    return callStream(this.connection.outbound, member, request, options, this.#isLogin) as ResponseStream<T>;
  }

  protected sendStream<T>(member: Member, requests: Items, options: CallOptions = {}): Promise<T> {
    return sendStream(this.connection.outbound, member, requests, options, this.#isLogin) as Promise<T>;
  }

  protected callBoth<T>(member: Member, requests: Items, options: CallOptions = {}): ResponseStream<T> {
    return callBoth(this.connection.outbound, member, requests, options, this.#isLogin) as ResponseStream<T>;
  }
}
