/**
 * Frames of this side that end or accompany exchanges.
 *
 * @module
 */

import type { Code, Status } from "../errors.js";
import { CANCEL, CLOSE, ERROR, META, URGENT } from "../wire/header.js";
import { BESIDE_BODY, NOTHING } from "../wire/payload.js";
import { MAX_LONG_TEXT, MAX_TEXT, writeText } from "../wire/text.js";
import type { Outbound } from "./exchange.js";
import { OWN, OutFrame, PROVOKED, RESPONSE } from "./outgoing.js";
import type { State } from "./state.js";

/** Queues a frame without a message; an urgent one goes before what waits. */
export function pushControl(s: State, type: number, id: bigint, body: Uint8Array, urgent: boolean, role: number = OWN): void {
  s.outgoing.push(new OutFrame(type, urgent && id !== 0n ? URGENT : 0, id, body, NOTHING, 0, undefined, role), urgent);
}

/** A frame of no exchange, which has no flags, and goes before what waits. */
export function pushOvertaking(s: State, type: number, id: bigint, body: Uint8Array, role: number = OWN): void {
  s.outgoing.push(new OutFrame(type, 0, id, body, NOTHING, 0, undefined, role), true);
}

/** Answers an exchange with an error of the session. */
export function pushError(s: State, id: bigint, urgent: boolean, code: Code, text: string, role: number = PROVOKED): void {
  pushControl(s, ERROR, id, writeText(code, text), urgent, role);
}

/** Answers an exchange with an error of what is above the session, and with what goes with it. */
export function statusFrame(s: State, id: bigint, urgent: boolean, status: Status): OutFrame {
  let { message } = status;
  if (status.code === "UNAVAILABLE" && (message === "not received" || message === "not accepted")) {
    // Those two texts are the session's own statements.
    message += ", says the handler";
  }
  let before = (s.errorMetadata && s.parts.metadata?.ofStatus(status)) || NOTHING;
  const text = writeText(status.code, message, s.errorMetadata ? MAX_LONG_TEXT : MAX_TEXT);
  if (before.length + text.length > s.peerMaxBody + BESIDE_BODY) {
    before = NOTHING;
  }
  const flags = (urgent ? URGENT : 0) | (before.length > 0 ? META : 0);
  return new OutFrame(ERROR, flags, id, text, before, 0, undefined, RESPONSE);
}

/** Tells the peer that nobody waits for an exchange any more. */
export function pushCancel(s: State, exchange: Outbound): void {
  pushControl(s, CANCEL, exchange.id, NOTHING, exchange.urgent);
}

/** Sends CLOSE once nothing waits that is to go before it. */
export function sendClose(s: State): void {
  const close = s.pendingClose;
  if (close && !s.isWaiting && !s.droppable?.size) {
    s.pendingClose = undefined;
    pushControl(s, CLOSE, 0n, writeText(close.code, close.message), false);
  }
}
