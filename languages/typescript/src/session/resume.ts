/**
 * Resuming: what a session keeps when its connection is lost, and what the next one sends first (docs/protocol.md, "Resumption").
 *
 * @module
 */

import { ClosedError, Status } from "../errors.js";
import { ACCEPTING, ACK, ACK_REQUIRED, DELIVERY, ERROR, EVENT, ITEM, MORE, PUBLISH } from "../wire/header.js";
import { MAX_HELLO } from "../wire/handshake.js";
import { BESIDE_BODY } from "../wire/payload.js";
import { expectLate } from "./allowance.js";
import { wake } from "./credit.js";
import { end, lose, wasSent } from "./drain.js";
import { disown, endOutbound, endStreams } from "./ending.js";
import { CALL, END, PINGING, SUBSCRIBING, type Outbound } from "./exchange.js";
import { pushCancel, pushError } from "./frames.js";
import { Keepalive } from "./keepalive.js";
import { FRAME_COST, OutFrame, PROVOKED, RESPONSE } from "./outgoing.js";
import { flushWaiting } from "./send.js";
import { ANYTHING, type State } from "./state.js";
import { CONNECTION_WINDOW, ReceiveWindow, SendWindow } from "./window.js";

/** How many calls a HELLO or its answer names as awaited, at most. */
const MAX_AWAITED = 1024;

/** What the peer says of itself in a handshake. */
export interface PeerTerms {
  readonly maxBody: number | undefined;
  readonly maxCalls: number | undefined;
  readonly awaited: readonly bigint[] | undefined;
}

/** The connection is lost, and the session waits for the next one. */
export function suspend(s: State): void {
  s.phase = "suspended";
  s.phaseEnds = s.now + s.expiry;
  s.connection++;
  s.starved.clear();
  const unsent = s.outgoing.takeUnsent();
  for (const exchange of s.calls.values()) {
    if (exchange.streaming || exchange.type === PINGING || exchange.abandoned) {
      lose(s, exchange, "the connection was lost");
    } else {
      exchange.wasSent = wasSent(exchange);
    }
  }
  const waiting: OutFrame[] = [];
  for (const exchange of s.deliveries.values()) {
    exchange.wasSent = wasSent(exchange);
    if (exchange.wasSent) {
      waiting.push(exchange.frame);
    }
  }
  for (const frame of unsent) {
    keepUnsent(s, frame, waiting);
  }
  for (const frame of s.waiting) {
    // Those that were sent meanwhile are queued already.
    if (!frame.exchange?.wasSent) {
      waiting.push(frame);
    }
  }
  s.waiting = waiting;
  s.waitingCost = waiting.reduce((cost, frame) => cost + frame.size + FRAME_COST, 0);
  s.dropped += s.droppable?.size ?? 0;
  s.droppable = undefined;
  for (const call of s.inbound.values()) {
    if (call.streaming || call.interest === END) {
      endStreams(s, call);
      disown(s, call);
    }
  }
  s.blockedMessage = false;
}

/** Keeps or drops a frame of which nothing was handed to the transport. */
function keepUnsent(s: State, frame: OutFrame, waiting: OutFrame[]): void {
  const { type, flags, exchange } = frame;
  if (type === PUBLISH || type === EVENT) {
    if (!(flags & (ACK_REQUIRED | ITEM))) {
      s.dropped++;
    } else if (exchange && !exchange.wasSent && (exchange.type === CALL ? s.calls : s.deliveries).get(exchange.id) === exchange) {
      waiting.push(frame);
    }
  } else if ((type === ACK || type === ERROR) && frame.role === RESPONSE && !(flags & MORE) && !(frame.id & DELIVERY)) {
    s.ended.keep(frame);
  }
}

/** The ids of the calls that this side still awaits; those that are too many are given up. */
export function awaitedCalls(s: State): bigint[] {
  const awaited: Outbound[] = [];
  for (const exchange of s.calls.values()) {
    if (exchange.abandoned) {
      // The peer cancels what is not named.
      endOutbound(s, exchange);
    } else if (exchange.type === CALL && exchange.wasSent) {
      awaited.push(exchange);
    }
  }
  for (const exchange of awaited.splice(0, Math.max(0, awaited.length - MAX_AWAITED))) {
    lose(s, exchange, "too many calls were open");
  }
  return awaited.map((exchange) => exchange.id);
}

/** A connection is open: of a new session, or of one that continues. */
export function opened(s: State, terms: PeerTerms, isResumed: boolean): void {
  s.phase = "open";
  s.phaseEnds = Infinity;
  s.decoder.reset(s.limits.maxBody + BESIDE_BODY);
  s.keepalive = new Keepalive(s.limits.pingInterval, s.now);
  s.sendWindow = new SendWindow(CONNECTION_WINDOW);
  s.receiveWindow = new ReceiveWindow(CONNECTION_WINDOW, 0n, true);
  s.peerMaxBody = terms.maxBody ?? 0;
  s.peerMaxBody ||= 4_194_304;
  // Of zero, which is left out, the default is meant.
  s.peerMaxCalls = terms.maxCalls ?? 0;
  s.peerMaxCalls ||= 1024;
  if (isResumed) {
    const awaited = new Set(terms.awaited?.slice(0, MAX_AWAITED));
    for (const id of awaited) {
      answerAwaited(s, id);
    }
    s.ended.clearKept();
    for (const exchange of s.calls.values()) {
      if (exchange.abandoned) {
        // It was given up after it had been named as awaited.
        pushCancel(s, exchange);
      } else if (exchange.type >= SUBSCRIBING) {
        resubscribe(s, exchange);
      }
    }
    for (const call of s.inbound.values()) {
      if (!awaited.has(call.id)) {
        endStreams(s, call);
        disown(s, call);
      }
    }
  }
}

/** After a handshake, and what has to be said of it: sends what waits. */
export function sendWaiting(s: State): void {
  flushWaiting(s);
  wake(s, ANYTHING);
}

function resubscribe(s: State, exchange: Outbound): void {
  const { frame } = exchange;
  if (exchange.wasSent) {
    // Its first answer may be under way already: then the second one answers nothing.
    s.lateOut++;
  }
  const again = new OutFrame(frame.type, frame.flags, frame.id, frame.body, frame.prefix);
  again.exchange = exchange;
  exchange.frame = again;
  s.outgoing.push(again);
}

/** The peer still awaits this call: answers it, unless its handler runs. */
function answerAwaited(s: State, id: bigint): void {
  const isCall = id !== 0n && (id & ACCEPTING) === (s.server ? 0n : ACCEPTING) && !(id & DELIVERY);
  if (!isCall || s.inbound.has(id)) {
    return;
  }
  const reply = s.ended.take(id);
  if (typeof reply === "object") {
    s.outgoing.push(reply);
    return;
  }
  const [code, text] = reply ? (["UNKNOWN", "reply lost"] as const) : (["UNAVAILABLE", "not received"] as const);
  pushError(s, id, false, code, text, PROVOKED);
  expectLate(s, false);
}

/** The transport is gone. */
export function lost(s: State): void {
  s.decoder.reset(MAX_HELLO);
  if (s.phase === "handshake") {
    refused(s, new Status("UNAVAILABLE", "the connection was lost in the handshake"));
  } else if (s.phase === "open" && s.expiry > 0 && !s.isClosing) {
    suspend(s);
  } else if (s.phase === "open") {
    s.connection++;
    end(s, new ClosedError("UNAVAILABLE", s.isClosing ? "the session is closed" : "the connection was lost"));
  }
  s.outgoing.takeUnsent();
}

/** A handshake has failed. A session that it was to resume may still be, by another connection. */
export function refused(s: State, status: Status): void {
  s.outgoing.takeUnsent();
  if (s.expiry > 0) {
    s.phase = "suspended";
    s.phaseEnds = s.sessionEnds;
    s.emit({ type: "closed", status });
  } else {
    end(s, status);
  }
}
