/** What is known of a client's connection, and what is not of its schema. */

import type { CallOptions } from "../connection/options.js";
import type { Outbound } from "../connection/outbound.js";
import type { Status } from "../errors.js";
import type { Subscribe } from "../session/index.js";
import type { ConnectionState } from "./options.js";

/** What clients send by. */
export type ClientOutbound = Pick<Outbound, "host" | "send" | "call" | "encode" | "beginCall" | "decode" | "read">;

/** The connection of a client: its own, or one to a broker that it shares with others. */
export interface ClientConnection {
  /** Where the client is. */
  readonly state: ConnectionState;
  /** The address that is in use, or was last. */
  readonly address: string;
  /** By what others know this client: the peer id of its session. */
  readonly peerId: bigint;
  /** What the server calls itself. */
  readonly serverName: string;
  /** Whether the server speaks another version of the schema. */
  readonly isOtherSchema: boolean;
  /** Resolves when the client is closed for good, with the reason: by `close()`, by the server, or since it has given up. */
  readonly closed: Promise<Status>;
  /** How long a PING and its answer take, in milliseconds. */
  ping(options?: CallOptions): Promise<number>;
  /**
   * Subscribes to a topic of a broker, in which `+` and `#` stand for levels. What is published there comes to the handler's methods; the
   * context has the topic. The subscription is made again where the session is lost.
   *
   * @throws Status where the broker refuses it.
   */
  subscribe(topic: string, options?: Subscribe): Promise<void>;
  /** Revokes a subscription. */
  unsubscribe(topic: string): Promise<void>;
  /** Closes gracefully; resolves when that is done. */
  close(): Promise<void>;
  /** @internal */
  readonly outbound: ClientOutbound;
}
