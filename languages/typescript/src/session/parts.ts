/**
 * What a session may have beside its core.
 *
 * @module
 */

import { allowances, type Allowances } from "./allowances.js";
import { deliveries, type Deliveries } from "./deliveries.js";
import { droppable, type Droppable } from "./droppable.js";
import { inboundCalls, type InboundCalls } from "./inbound-calls.js";
import { inboundMessages, type InboundMessages } from "./inbound-messages.js";
import { metadata, type SessionMetadata } from "./metadata.js";
import { resumption, type Resumption } from "./resume.js";
import { sessionStreams, type SessionStreams } from "./streams.js";
import { topics, type SessionTopics } from "./topics.js";

/**
 * The parts of a session. One that is left out is not in a bundle: a client names those that its schema needs, and a server has all.
 */
export interface SessionParts {
  /** Calls with streams. Without it an item is a frame of no exchange. */
  readonly streams?: SessionStreams | undefined;
  /** Messages of the peer. Without it they are `UNIMPLEMENTED`. */
  readonly inboundMessages?: InboundMessages | undefined;
  /** Calls of the peer. Without it they are `UNIMPLEMENTED`. */
  readonly inboundCalls?: (() => InboundCalls) | undefined;
  /** Messages that are acknowledged. Without it those of the peer are refused. */
  readonly deliveries?: (() => Deliveries) | undefined;
  /** Allowances. Without it a peer may send as many frames as it likes that lead to nothing. */
  readonly allowances?: (() => Allowances) | undefined;
  /** The queue of STATE, LOG and METRIC. Without it their senders wait, as those of other messages do. */
  readonly droppable?: ((max: number) => Droppable) | undefined;
  /** What outlives a connection. Without it the session ends with its connection. */
  readonly resumption?: (() => Resumption) | undefined;
  /** Metadata. Without it a message carries its deadline alone. */
  readonly metadata?: SessionMetadata | undefined;
  /** Topics of a broker. Without it every connection is a direct one. */
  readonly topics?: SessionTopics | undefined;
}

/** All parts. */
export const everyPart: SessionParts = { streams: sessionStreams, inboundMessages, inboundCalls, deliveries, allowances, droppable, resumption, metadata, topics };
