/** What is known of a client, however it has come: by a connection of its own, or through a broker. */

import type { CallOptions } from "../connection/options.js";
import type { Outbound } from "../connection/outbound.js";
import type { Status } from "../errors.js";
import type { SchemaDifference } from "../schema/index.js";
import type { ClientIdentity } from "./options.js";

/** What is known of a client, and what is not of its schema. */
export interface PeerConnection {
  /** Who the client is, as `authenticate` or the broker has said. */
  readonly identity: ClientIdentity | undefined;
  /** By what others know this client. It stays as long as the session does. */
  readonly peerId: bigint;
  /** What the client calls itself. */
  readonly clientName: string;
  /** Where it comes from. */
  readonly address: string;
  /** The topic of the broker at which it speaks; empty where it has a connection of its own. */
  readonly topic: string;
  /** Whether it is there now. */
  readonly isConnected: boolean;
  /** Whether it speaks another version of the schema. */
  readonly isOtherSchema: boolean;
  /** What differs then, once the two were compared. Nothing where this server has no description of its own. */
  readonly schemaDifference: SchemaDifference | undefined;
  /** The same, once it is known; nothing where the client has the same schema. */
  schemaCompared(): Promise<SchemaDifference | undefined>;
  /** How long a PING and its answer take, in milliseconds: to the broker, where there is one. */
  ping(options?: CallOptions): Promise<number>;
  /** @internal */
  readonly outbound: Outbound;
  /** Why nothing can be sent to it any more, where `outbound` does not know. @internal */
  readonly gone: Status | undefined;
  /** These options, for a message to this client. @internal */
  route<O extends CallOptions>(options: O): O;
  /** @internal */
  disconnect(status: Status): void;
}
