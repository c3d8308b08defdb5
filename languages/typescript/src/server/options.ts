/** What a server is made with, and what it tells its handler. */

import type { Codec, Compression } from "../codec/index.js";
import type { ClearedState, Context } from "../connection/options.js";
import type { Status } from "../errors.js";
import type { TlsOptions } from "../node/tls.js";
import type { OnDifference } from "../schema/index.js";
import type { ConnectionSettings } from "../settings/defaults.js";

/** Settings of servers beside those of every connection. Times are in milliseconds. */
export interface ServerSettings extends ConnectionSettings {
  /** Connections at once: 16,384; further ones are refused with `RESOURCE_EXHAUSTED`. */
  readonly maxConnections: number;
  /** Handshakes at once: 1,024; further connections are closed. */
  readonly maxHandshakes: number;
  /** How long a client's session is kept after its connection was lost: 5 min; 0 to 24 h. */
  readonly sessionExpiryMs: number;
  /** Sessions kept without a connection: 10,000; beyond that the oldest is ended. */
  readonly maxDetachedSessions: number;
  /** What all sessions hold in memory together, in bytes: 1 GiB, shared by all servers of the process that keep the default; 1 MiB to 1 TiB. */
  readonly maxMemory: number;
  /**
   * Which clients of another version of the schema are served: `any`, with `compatible` those of whose schema nothing is wire-breaking, or with
   * `strict` none. With `compatible` nothing of such a client is handled, nor is it among the peers, until the schemas were compared.
   */
  readonly schema: "any" | "compatible" | "strict";
}

/** What is known of a client that wants to connect. */
export interface ConnectRequest {
  /** What it says of who it is; empty where it says nothing. */
  readonly credential: Uint8Array;
  readonly clientName: string;
  readonly clientVersion: string;
  /** Where it comes from. */
  readonly address: string;
  /** Whether only the two ends can read what is sent. */
  readonly isConfidential: boolean;
  /** The names in the certificate that it has shown over TLS, as `DNS:…, URI:…`; empty where it has none. */
  readonly certificateNames: string;
}

/** Who a client is. A session is resumed only by the same subject. */
export interface ClientIdentity {
  readonly user?: string;
  readonly roles?: readonly string[];
  /** Whose the client's sessions are; default the user. */
  readonly subject?: string;
  /** When the connection is to end, so that the client comes back with a fresh credential. */
  readonly expiresAt?: Date;
}

/** How a server is made: settings (docs/operations.md), and what only code can say. The URL wins over settings here. */
export interface ServerOptions extends Partial<ServerSettings> {
  /** What clients are told that they have reached. */
  readonly name?: string;
  readonly version?: string;
  /** Further URLs at which the server listens. They have settings of their transport alone. */
  readonly also?: readonly string[];
  /** Further codecs that clients may use besides protobuf: `json(CHAT_JSON)`, `messagePack(CHAT_JSON)`. */
  readonly codecs?: readonly Codec[];
  /** What bodies may be compressed with, for clients that offer it: `gzip` of `msip/node`. */
  readonly compressions?: readonly Compression[];
  /** The certificate and the key for `tls://` and `wss://`, where the URL names no files. */
  readonly tls?: Pick<TlsOptions, "cert" | "key"> & { readonly clientCa?: string | Uint8Array };
  /**
   * Says who a client is, before anything else is done for it; throws a {@link Status} to refuse it. `UNAUTHENTICATED` is told with the
   * same text whatever was wrong. It has what is left of `handshakeTimeoutMs`.
   */
  readonly authenticate?: (request: ConnectRequest) => ClientIdentity | Promise<ClientIdentity>;
  /**
   * Is told what differs in the schemas of clients, once for each version, and at most 16 times a minute; by default the console is. A peer's
   * own is in `peer.connection.schemaDifference`.
   */
  readonly onSchemaDifference?: OnDifference;
  /** Is told what handlers have thrown that is no `Status`, and why connections have failed; by default the console is. */
  readonly onError?: (error: unknown, what: string) => void;
}

/** What every server's handler may have besides its messages, with these STATEs of clients. */
export interface ServerHandler<P, S extends ClearedState = ClearedState> {
  /** A client has connected, for the first time or again. Nothing that it says is handled before this has returned. */
  onClientConnected?(peer: P): void | Promise<void>;
  /** A client's connection has ended. Its session is kept for `sessionExpiryMs`, unless it was closed. */
  onClientDisconnected?(peer: P, reason: Status): void;
  /** A client's session has ended, and its peer is of no use any more. */
  onClientGone?(peer: P, reason: Status): void;
  /** A STATE of a client is set no longer. */
  onStateCleared?(state: S, context: Context<P>): void | Promise<void>;
}
