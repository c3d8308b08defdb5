/** What a server is made with that is attached to a broker. */

import type { ClientHandler, ClientOptions } from "../client/options.js";
import type { TlsOptions } from "../node/tls.js";
import type { OnDifference } from "../schema/index.js";

/**
 * How a server is attached: the settings of its connection to the broker, which are those of a client, and what only code can say. The
 * URL wins over settings here.
 */
export interface AttachOptions extends Omit<ClientOptions, "handler" | "topic" | "description" | "webSocket" | "bufferDisconnected"> {
  /** For `tls://` and `wss://`, where the endpoint is a URL. */
  readonly tls?: TlsOptions;
  /**
   * Which clients are served that have another version of the schema: `any`, or with `strict` none, where this is the first service of the
   * topic.
   */
  readonly schema?: "any" | "strict";
  /**
   * What the session with the broker and what waits for handlers may hold in memory, in bytes: 1 GiB, shared with all servers of the process that
   * keep the default; 1 MiB to 1 TiB.
   */
  readonly maxMemory?: number;
  /** Is told what differs in the schemas of clients, once for each version; by default the console is. */
  readonly onSchemaDifference?: OnDifference;
  /** An attempt to connect again has failed, as a client's handler hears of it. By default it tries again. */
  readonly onConnectFailure?: NonNullable<ClientHandler<unknown>["onConnectFailure"]>;
  /** The broker has closed the session, as a client's handler hears of it. By default it comes back. */
  readonly onClosedByBroker?: NonNullable<ClientHandler<unknown>["onClosedByServer"]>;
}
