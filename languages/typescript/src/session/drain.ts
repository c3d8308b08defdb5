/**
 * The end of a session: the drain after a CLOSE, faults, and what becomes of all that is open (docs/protocol.md, "Drain").
 *
 * @module
 */

import { ClosedError, Status, type Code } from "../errors.js";
import { Fault } from "../wire/fault.js";
import { CLOSE, ERROR } from "../wire/header.js";
import { writeText } from "../wire/text.js";
import { wake } from "./credit.js";
import { endOutbound, failOutbound } from "./ending.js";
import type { Outbound } from "./exchange.js";
import { pushControl, sendClose } from "./frames.js";
import { OWN } from "./outgoing.js";
import { ANYTHING, type State } from "./state.js";

/** How long the peer has for closing the transport. */
const LINGER = 500;

/** Opens and accepts nothing new from here on. */
export function beginClose(s: State, status: Status): void {
  if (s.phase === "idle" || s.phase === "suspended" || s.phase === "handshake") {
    s.closing = true;
    return end(s, status);
  }
  if (s.closing || s.phase === "over") {
    return;
  }
  s.closing = true;
  startDraining(s, status.message);
  s.pendingClose = status;
  sendClose(s);
}

/** Either side has said CLOSE. */
export function startDraining(s: State, reason: string): void {
  const deadline = s.now + s.limits.drainTimeoutMs;
  if (s.drain) {
    s.drain.deadline = Math.min(s.drain.deadline, deadline);
  } else {
    s.drain = { reason, deadline, streamsAt: Infinity, lingerUntil: Infinity };
  }
  const isStreaming = (it: { streaming: boolean }): boolean => it.streaming;
  if ([...s.calls.values(), ...(s.inboundCalls?.open.values() ?? [])].some(isStreaming)) {
    s.drain.streamsAt = Math.min(s.drain.streamsAt, s.now + s.limits.streamDrainMs);
  }
  // Whoever waits is told why it waits in vain.
  wake(s, ANYTHING);
}

/** What is due in a session that drains. */
export function handleDrainTimeout(s: State): void {
  const { drain } = s;
  if (!drain || s.phase !== "open") {
    return;
  }
  if (s.now >= drain.streamsAt) {
    drain.streamsAt = Infinity;
    s.parts.streams?.endAll(s, `${drain.reason}: the stream was ended`);
  }
  if (s.now >= drain.deadline && drain.lingerUntil === Infinity) {
    s.resumption?.clear(s);
    s.droppable?.clear(s);
    sendClose(s);
    end(s, new ClosedError("UNAVAILABLE", `${drain.reason}: not finished in time`));
  } else if (isDrained(s)) {
    linger(s);
  }
}

/** Whether the session is closing, and nothing is open or waits to be sent. */
export function isDrained(s: State): boolean {
  return (
    s.phase === "open" &&
    s.isClosing &&
    s.calls.size === s.abandoned &&
    !s.inboundCalls?.open.size &&
    !s.deliveries?.inbound.size &&
    !s.isWaiting &&
    !s.droppable?.size &&
    !s.pendingClose &&
    s.outgoing.isEmpty
  );
}

/** All has been written: the peer has a while to close the transport. */
export function linger(s: State): void {
  if (s.drain && s.drain.lingerUntil === Infinity && isDrained(s)) {
    s.drain.lingerUntil = s.now + LINGER;
  }
}

/** Whether nothing is left to do but to close the transport. */
export function isFinished(s: State): boolean {
  if (s.phase === "over" || s.phase === "suspended") {
    return s.outgoing.isEmpty;
  }
  return isDrained(s) && (s.closeReceived || s.now >= (s.drain?.lingerUntil ?? Infinity));
}

/** Ends the session with a fault of the peer, and queues the ERROR and CLOSE that report it. */
export function handleFault(s: State, fault: Fault): void {
  const wasOpen = s.phase === "open";
  s.outgoing.takeUnsent();
  const isTls = /^bad magic 1[56]03/.test(fault.message);
  const text = isTls ? "TLS, where MSIP is spoken without it" : fault.message;
  if (!fault.foreign || wasOpen || s.server) {
    const body = writeText(fault.code, text);
    pushControl(s, ERROR, fault.foreign ? 0n : fault.id, body, true, OWN);
    if (wasOpen && !fault.foreign) {
      pushControl(s, CLOSE, 0n, body, true);
    }
  }
  end(s, new ClosedError(fault.code, text));
}

/** Ends the session: all that is open fails. */
export function end(s: State, status: Status): void {
  if (s.phase === "over") {
    return;
  }
  s.phase = "over";
  s.phaseEnds = Infinity;
  failAll(s, status.message);
  s.emit({ type: "closed", status });
}

/** Whether any of an exchange was handed to a transport. */
export function wasSent(exchange: Outbound): boolean {
  return exchange.wasSent || exchange.frame.sent;
}

/** Fails an exchange whose answer will not come. */
export function lose(s: State, exchange: Outbound, reason: string): void {
  const [code, text]: [Code, string] = wasSent(exchange) ? ["UNKNOWN", "it may have been handled"] : ["UNAVAILABLE", "not sent"];
  endOutbound(s, exchange);
  if (!exchange.abandoned) {
    failOutbound(s, exchange, code, `${reason}: ${text}`, code === "UNAVAILABLE");
  }
}

/** Everything of the session that is open fails, and nobody waits for the calls of the peer. */
export function failAll(s: State, reason: string): void {
  for (const exchange of s.calls.values()) {
    lose(s, exchange, reason);
  }
  s.inboundCalls?.disownAll(s, () => true);
  s.resumption?.clear(s);
  s.droppable?.clear(s);
  s.pendingClose = undefined;
  s.starved.clear();
  s.deliveries?.inbound.clear();
  wake(s, ANYTHING);
}
