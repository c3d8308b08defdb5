/**
 * What a peer may not do too often, and what may still be under way (docs/protocol.md, "Allowances").
 *
 * @module
 */

import type { Frame } from "../wire/decoder.js";
import { Fault } from "../wire/fault.js";
import type { State } from "./state.js";

/** How many frames of a stream may be under way when its exchange ends. */
export const LATE_FRAMES = 32;
const UNWANTED = "unwanted frames";
export const UNEARNED = "CREDITs beyond one for each message";

/** A frame that only costs us: too many of them are a fault. */
export function limit(s: State, id: bigint, what = UNWANTED): void {
  if (!s.unwanted.take(s.now)) {
    throw new Fault(`more than 200 ${what} a second`, id, "RESOURCE_EXHAUSTED");
  }
}

/** What others have sent, and a broker passes on, is not its fault. */
export function limitSent(s: State, id: bigint): void {
  if (!s.topics) {
    limit(s, id);
  }
}

/** A frame for an exchange that is not open: it may have been under way when that ended. */
export function ignoreLate(s: State, frame: Frame): void {
  const isOwn = frame.accepting === s.server;
  if (isOwn ? frame.id !== 0n && s.lateOut > 0 : s.lateIn > 0) {
    if (isOwn) {
      s.lateOut--;
    } else {
      s.lateIn--;
    }
  } else {
    limit(s, frame.id);
  }
}

/** A call was refused: its caller may cancel it, and send items of it, before it has the answer. */
export function expectLate(s: State, streaming: boolean): void {
  s.lateIn += streaming ? 1 + LATE_FRAMES : 1;
}
