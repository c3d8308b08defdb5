/**
 * What a session may have beside its core.
 *
 * @module
 */

import { droppable, type Droppable } from "./droppable.js";
import { resumption, type Resumption } from "./resume.js";
import { sessionStreams, type SessionStreams } from "./streams.js";

/**
 * The parts of a session. One that is left out is not in a bundle: a client names those that its schema needs, and a server has all.
 */
export interface SessionParts {
  /** Calls with streams. Without it an item is a frame of no exchange. */
  readonly streams?: SessionStreams | undefined;
  /** The queue of STATE, LOG and METRIC. Without it their senders wait, as those of other messages do. */
  readonly droppable?: ((max: number) => Droppable) | undefined;
  /** What outlives a connection. Without it the session ends with its connection. */
  readonly resumption?: (() => Resumption) | undefined;
}

/** All parts. */
export const everyPart: SessionParts = { streams: sessionStreams, droppable, resumption };
