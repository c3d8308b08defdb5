/** What a client is made of beside its core: a bundle has the parts that generated code names. */

import type { InboundPart } from "../connection/inbound.js";
import type { Streams } from "../connection/inbound-streams.js";
import type { SessionParts } from "../session/index.js";
import type { ClientTopics } from "./topics.js";
import type { ClientUrls } from "./urls.js";

/** The parts of a client. */
export interface ClientParts extends Omit<SessionParts, "streams" | "inboundMessages" | "inboundCalls" | "topics"> {
  /** Calls with streams, either way. */
  readonly streams?: Streams | undefined;
  /** Messages of the server. */
  readonly inboundMessages?: InboundPart<"inboundMessages"> | undefined;
  /** Calls of the server. */
  readonly inboundCalls?: InboundPart<"inboundCalls"> | undefined;
  /** Topics of a broker. */
  readonly topics?: ClientTopics | undefined;
  /** What URLs may say. */
  readonly urls: ClientUrls;
}
