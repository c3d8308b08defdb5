/** What a client is made of beside its core: a bundle has the parts that generated code names. */

import type { Streams } from "../connection/inbound-streams.js";
import type { SessionParts } from "../session/index.js";
import type { ClientTopics } from "./topics.js";
import type { ClientUrls } from "./urls.js";

/** The parts of a client. */
export interface ClientParts extends Omit<SessionParts, "streams" | "topics"> {
  /** Calls with streams, either way. */
  readonly streams?: Streams | undefined;
  /** Topics of a broker. */
  readonly topics?: ClientTopics | undefined;
  /** What URLs may say. */
  readonly urls: ClientUrls;
}
