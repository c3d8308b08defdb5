/**
 * Resuming: what a session keeps when its connection is lost, and what the next one sends first (docs/protocol.md, "Resumption").
 *
 * @module
 */

import { Queue } from "../queue.js";
import { ACCEPTING, ACK, ACK_REQUIRED, DELIVERY, ERROR, EVENT, HEADER_LEN, ITEM, META, MORE, PUBLISH, REDELIVERED, URGENT } from "../wire/header.js";
import { failAll, lose, wasSent } from "./drain.js";
import { EndedCalls } from "./ended.js";
import { endOutbound } from "./ending.js";
import { CALL, DELIVERING, END, PINGING, SUBSCRIBING, type Outbound } from "./exchange.js";
import { pushCancel, pushError } from "./frames.js";
import { FRAME_COST, OutFrame, PROVOKED, RESPONSE } from "./outgoing.js";
import { openingFrame } from "./send.js";
import type { State } from "./state.js";

/** How many calls a HELLO or its answer names as awaited, at most. */
const MAX_AWAITED = 1024;

/** Resumption, as a part of a session: without it a session ends with its connection. */
export const resumption = (): Resumption => new Resumption();

/** What a session has for its next connection. */
export class Resumption {
  ended = new EndedCalls();
  readonly #waiting = new Queue<OutFrame>();
  #waitingCost = 0;

  /** Whether there is something to be sent before all else. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether a message with a body of this size may wait for the next connection. */
  hasPlace(s: State, size: number): boolean {
    return this.#waitingCost + size + FRAME_COST + HEADER_LEN <= s.limits.bufferDisconnected;
  }

  /** Keeps a frame for the next connection. */
  wait(frame: OutFrame): void {
    this.#waiting.push(frame);
    this.#waitingCost += frame.size + FRAME_COST;
  }

  /** Sends what waits, as far as credit allows. */
  flush(s: State): void {
    for (let frame = this.#waiting.first; frame; frame = this.#waiting.first) {
      const isCall = frame.exchange?.type === CALL;
      if (!isCall && !s.sendWindow.isOpen) {
        return;
      }
      this.#waiting.shift();
      this.#waitingCost -= frame.size + FRAME_COST;
      const again = resent(s, frame);
      if (again) {
        s.outgoing.push(again);
        if (!isCall) {
          s.sendWindow.spend(again.size - HEADER_LEN);
        }
      }
    }
  }

  /** Drops all. */
  clear(s: State): void {
    s.dropped += this.#waiting.takeAll().filter((frame) => !frame.exchange).length;
    this.#waitingCost = 0;
    this.ended.clearKept();
  }

  /** The connection is lost, and the session waits for the next one. */
  suspend(s: State): void {
    s.phase = "suspended";
    s.phaseEnds = s.now + s.expiry;
    s.connection++;
    s.starved.clear();
    const unsent = s.outgoing.takeUnsent();
    for (const exchange of s.calls.values()) {
      if (exchange.type !== DELIVERING && (exchange.streaming || exchange.type === PINGING || exchange.abandoned)) {
        lose(s, exchange, "the connection was lost");
      } else {
        exchange.wasSent = wasSent(exchange);
      }
    }
    const waiting = this.#waiting.takeAll();
    this.#waitingCost = 0;
    for (const exchange of s.deliveries?.open.values() ?? []) {
      if (exchange.wasSent) {
        this.wait(exchange.frame);
      }
    }
    for (const frame of unsent) {
      this.#keepUnsent(s, frame);
    }
    for (const frame of waiting) {
      // Those that were sent meanwhile are queued already.
      if (!frame.exchange?.wasSent) {
        this.wait(frame);
      }
    }
    s.droppable?.clear(s);
    s.inboundCalls?.disownAll(s, (call) => call.streaming || call.interest === END);
    s.blockedMessage = false;
  }

  /** Keeps or drops a frame of which nothing was handed to the transport. */
  #keepUnsent(s: State, frame: OutFrame): void {
    const { type, flags, exchange } = frame;
    if (type === PUBLISH || type === EVENT) {
      if (!(flags & (ACK_REQUIRED | ITEM))) {
        s.dropped++;
      } else if (exchange && !exchange.wasSent && isOpen(s, exchange)) {
        this.wait(frame);
      }
    } else if ((type === ACK || type === ERROR) && frame.role === RESPONSE && !(flags & MORE) && !(frame.id & DELIVERY)) {
      this.ended.keep(frame);
    }
  }

  /** The ids of the calls that this side still awaits; those that are too many are given up. */
  awaitedCalls(s: State): bigint[] {
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

  /** The session continues with a peer that awaits these calls. */
  resume(s: State, named: readonly bigint[] = []): void {
    const awaited = new Set(named.slice(0, MAX_AWAITED));
    for (const id of awaited) {
      this.#answerAwaited(s, id);
    }
    this.ended.clearKept();
    for (const exchange of s.calls.values()) {
      if (exchange.abandoned) {
        // It was given up after it had been named as awaited.
        pushCancel(s, exchange);
      } else if (exchange.type >= SUBSCRIBING) {
        resubscribe(s, exchange);
      }
    }
    s.inboundCalls?.disownAll(s, (call) => !awaited.has(call.id));
  }

  /** The peer still awaits this call: answers it, unless its handler runs. */
  #answerAwaited(s: State, id: bigint): void {
    const isCall = id !== 0n && (id & ACCEPTING) === (s.server ? 0n : ACCEPTING) && !(id & DELIVERY);
    if (!isCall || s.inboundCalls?.open.has(id)) {
      return;
    }
    const reply = this.ended.take(id);
    if (typeof reply === "object") {
      s.outgoing.push(reply);
      return;
    }
    const [code, text] = reply ? (["UNKNOWN", "reply lost"] as const) : (["UNAVAILABLE", "not received"] as const);
    pushError(s, id, false, code, text, PROVOKED);
    s.allowances?.expectLate(false);
  }

  /** The server has begun another session instead: nothing is left of this one but the numbers of its calls. */
  restart(s: State): void {
    failAll(s, "the session was lost");
    s.deliveries?.restart();
    this.ended = new EndedCalls();
    s.inboundCalls?.restart();
  }
}

function isOpen(s: State, exchange: Outbound): boolean {
  return s.calls.get(exchange.id) === exchange && !exchange.abandoned;
}

/** What waits, as it is sent now; nothing where nobody waits for it any more. */
function resent(s: State, frame: OutFrame): OutFrame | undefined {
  const exchange = frame.exchange;
  if (!exchange) {
    return frame;
  }
  const { type, options, id } = exchange;
  const remaining = exchange.deadline - s.now;
  if (!isOpen(s, exchange) || (type === CALL && remaining < 1)) {
    // One that has timed out is ended by the next timeout.
    return undefined;
  }
  expectSecondAnswer(s, exchange);
  const isCarried = remaining !== Infinity && (type === CALL || options?.timeoutMs !== undefined);
  const flags = (frame.flags & ~(META | URGENT)) | (exchange.wasSent ? REDELIVERED : 0);
  return reopenedBy(exchange, openingFrame(s, exchange.member!, id, frame.body, options, flags, isCarried ? Math.max(remaining, 0) : undefined));
}

function resubscribe(s: State, exchange: Outbound): void {
  const { type, flags, id, body, prefix } = exchange.frame;
  expectSecondAnswer(s, exchange);
  s.outgoing.push(reopenedBy(exchange, new OutFrame(type, flags, id, body, prefix)));
}

function expectSecondAnswer(s: State, exchange: Outbound): void {
  if (exchange.wasSent) {
    // Its first answer may be under way already: then the second one answers nothing.
    s.allowances?.expectAnswer();
  }
}

function reopenedBy(exchange: Outbound, frame: OutFrame): OutFrame {
  frame.exchange = exchange;
  exchange.frame = frame;
  return frame;
}
