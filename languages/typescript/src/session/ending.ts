/**
 * How exchanges end, on both sides.
 *
 * @module
 */

import { Status, type Code } from "../errors.js";
import { wake } from "./credit.js";
import { ANSWER, CALL, DELIVERING, NONE, type Inbound, type Outbound, type Streams } from "./exchange.js";
import { pushError } from "./frames.js";
import { RESPONSE } from "./outgoing.js";
import { CALLS, CREDITS, type State } from "./state.js";

/** Closes an exchange of this side. */
export function endOutbound(s: State, exchange: Outbound): void {
  s.calls.delete(exchange.id);
  if (exchange.type === CALL) {
    s.openCalls--;
    s.abandoned -= exchange.abandoned ? 1 : 0;
  } else if (exchange.type === DELIVERING) {
    s.deliveries!.end(exchange);
  }
  if (exchange.streaming) {
    endStreams(s, exchange);
    s.allowances?.expectItems();
  }
  wake(s, exchange.type === CALL ? CALLS : CREDITS);
}

/** Ends the streams of a call. */
export function endStreams(s: State, streams: Streams): void {
  if (streams.receive) {
    s.starved.delete(streams.receive);
  }
  streams.send = streams.receive = undefined;
  if (s.blockedStreams.delete(streams.id)) {
    s.emit({ type: "writable", id: streams.id });
  }
}

/** The handler of a call of the peer has ended. Returns it where its answer is awaited. */
export function endInbound(s: State, id: bigint): Inbound | undefined {
  const call = s.inbound.get(id);
  if (!call) {
    return undefined;
  }
  s.inbound.delete(id);
  s.inboundBytes -= call.size;
  if (call.streaming) {
    endStreams(s, call);
  }
  s.allowances?.expectLate(call.streaming);
  if (call.interest === ANSWER) {
    return call;
  }
  if (call.interest === NONE) {
    s.orphans--;
  } else if (s.phase === "open") {
    pushError(s, id, call.urgent, "CANCELLED", "given up by its caller", RESPONSE);
  }
  return undefined;
}

/** Nobody waits for a call of the peer any more. */
export function disown(s: State, call: Inbound): void {
  if (call.interest === NONE) {
    return;
  }
  if (call.interest === ANSWER && call.started) {
    s.emit({ type: "cancelled", id: call.id });
  }
  call.interest = NONE;
  s.orphans++;
}

/** An exchange of this side has failed. */
export function failOutbound(s: State, exchange: Outbound, code: Code, text: string, repeatable = false): void {
  s.emit({ type: "failed", id: exchange.id, status: new Status(code, text), repeatable });
}
