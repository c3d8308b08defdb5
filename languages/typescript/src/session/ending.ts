/**
 * How exchanges end, on both sides.
 *
 * @module
 */

import { Status, type Code } from "../errors.js";
import { wake } from "./credit.js";
import { CALL, DELIVERING, type Outbound, type Streams } from "./exchange.js";
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

/** An exchange of this side has failed. */
export function failOutbound(s: State, exchange: Outbound, code: Code, text: string, repeatable = false): void {
  s.emit({ type: "failed", id: exchange.id, status: new Status(code, text), repeatable });
}
