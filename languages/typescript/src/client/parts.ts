/** What a client is made of beside its core: a bundle has the parts that generated code names. */

import type { Streams } from "../connection/inbound-streams.js";
import type { SessionParts } from "../session/index.js";

/** The parts of a client. */
export interface ClientParts extends Omit<SessionParts, "streams"> {
  /** Calls with streams, either way. */
  readonly streams?: Streams | undefined;
}
