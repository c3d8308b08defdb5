/** What a client is made with, and what it tells its handler. */

import type { Codec, Compression } from "../codec/index.js";
import type { ClearedState, Context } from "../connection/options.js";
import type { ConnectError, Status } from "../errors.js";
import type { Event } from "../session/index.js";
import type { ClientSettings } from "../settings/defaults.js";
import type { WebSocketClass } from "../transport/websocket.js";
import type { ClientConnection } from "./client-connection.js";

/** A credential, or a function that is asked for one at each attempt to connect. */
export type Credential = string | Uint8Array | (() => string | Uint8Array | Promise<string | Uint8Array>);

/** How a client is made: settings (docs/operations.md), and what only code can say. The URL wins over settings here. */
export interface ClientOptions<H = object> extends Partial<ClientSettings> {
  /** Called with what the server says. */
  readonly handler?: H | undefined;
  /** How bodies are encoded, `json(CHAT_JSON)` or `messagePack(CHAT_JSON)`: default protobuf. The URL may say `codec=protobuf` all the same. */
  readonly codec?: Codec | undefined;
  /** What bodies may be compressed with, both ways: `gzip` of `msip/node`. The URL may say `compress=none` all the same. */
  readonly compress?: Compression | undefined;
  /** What the server calls this program in its logs. */
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  /** Who this is, for the server: at most 6 KiB. It leaves only over a confidential connection, unless `insecure` is set. */
  readonly credential?: Credential | undefined;
  /**
   * The schema for servers that have another version of it, and compare them: `CHAT_DESCRIPTION`. For a client that compares by itself,
   * `new SchemaComparison(CHAT_DESCRIPTION)` of `msip/schema`.
   */
  readonly description?: string | DescribedSchema | undefined;
  /** The class of WebSockets for a `ws://` URL, where the platform has none. */
  readonly webSocket?: WebSocketClass | undefined;
  /** Is told what handlers have thrown that is no `Status`; by default the console is. */
  readonly onError?: ((error: unknown, what: string) => void) | undefined;
}

/** A schema that knows its description, and hears what becomes of connections. */
export interface DescribedSchema {
  readonly text: string;
  /** Something has happened to the connection of a client of this fingerprint. @internal */
  onEvent(event: Event, connection: ClientConnection, fingerprint: bigint): void;
}

/** What a client does after an attempt to connect has failed, or the server has closed its session. */
export type Reconnect =
  /** Tries again after a wait that grows with each attempt. */
  | "backoff"
  /** Gives up: the client is closed. */
  | "stop"
  /** Tries again after this wait. */
  | { readonly afterMs: number };

/** What every client's handler may have besides its messages, with these STATEs of the server: what happens to the connection. */
export interface ClientHandler<C, S extends ClearedState = ClearedState> {
  /**
   * Called after each connect, before anything that the server says is handled, and before others send: the place to log in, by the
   * client that it is given. Where it throws, or takes longer than `loginTimeoutMs`, the attempt has failed. It must not wait for a message
   * of the server.
   */
  onConnected?(client: C, event: { readonly resumed: boolean }): void | Promise<void>;
  /** A connection has ended whose login had succeeded; the client comes back unless it is closed. */
  onDisconnected?(reason: Error): void;
  /** The session was lost, and what was open in it has failed: another one has begun, or the client is closed. */
  onSessionLost?(reason: Status): void;
  /** An attempt to connect again has failed, the `attempt`th one. By default it tries again. */
  onConnectFailure?(error: ConnectError, attempt: number): Reconnect;
  /** The server has closed the session, and not because it stops or has too much to do. By default the client stays away. */
  onClosedByServer?(status: Status): Reconnect;
  /** A STATE of the server is set no longer. */
  onStateCleared?(state: S, context: Context<C>): void | Promise<void>;
}

/** Where a client is. */
export type ConnectionState = "connecting" | "connected" | "closed";
