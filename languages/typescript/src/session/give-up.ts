/**
 * Giving up exchanges: by their callers, or since their time has passed.
 *
 * @module
 */

import { endOutbound, endStreams, failOutbound } from "./ending.js";
import type { MsgId } from "./event.js";
import { CALL, type Outbound } from "./exchange.js";
import { pushCancel } from "./frames.js";
import type { State } from "./state.js";

/** Nobody waits for an exchange any more. */
export function giveUp(s: State, exchange: Outbound, cancels: boolean): void {
  const { frame, id } = exchange;
  if (exchange.type === CALL) {
    const isUnsent = !exchange.wasSent && s.outgoing.withdraw(frame);
    if (isUnsent) {
      s.parts.streams?.withdraw(s, exchange);
    } else if (cancels && s.phase === "open") {
      pushCancel(s, exchange);
    }
    if (!isUnsent && s.peerEndsCancelled && s.phase !== "over") {
      // It counts at the peer until its handler has ended, and so it does here.
      exchange.abandoned = true;
      s.abandoned++;
      exchange.deadline = Infinity;
      if (exchange.streaming) {
        s.allowances?.expectItems();
      }
      endStreams(s, exchange);
      return;
    }
    if (!isUnsent) {
      s.allowances?.expectAnswer();
    }
  } else {
    s.allowances?.expectAnswer();
  }
  endOutbound(s, exchange);
  s.blockedStreams.delete(id);
}

export function cancel(s: State, id: MsgId): void {
  const exchange = s.calls.get(id);
  if (exchange && !exchange.abandoned) {
    giveUp(s, exchange, true);
  }
}

/** Ends what has timed out. */
export function expire(s: State): void {
  if (s.now < s.nextDeadline) {
    return;
  }
  let next = Infinity;
  for (const exchange of s.calls.values()) {
    if (exchange.deadline <= s.now) {
      failOutbound(s, exchange, "DEADLINE_EXCEEDED", "no answer in time");
      // The peer knows the deadline of a call without streams itself.
      giveUp(s, exchange, exchange.streaming);
    } else {
      next = Math.min(next, exchange.deadline);
    }
  }
  s.nextDeadline = next;
}
