/**
 * The items of this side's streams: of requests, and of answers.
 *
 * @module
 */

import { Status } from "../errors.js";
import { ACK, COMPRESSED, HEADER_LEN, ITEM, MORE, URGENT } from "../wire/header.js";
import { NOTHING, NO_TOPIC } from "../wire/payload.js";
import type { MsgId } from "./event.js";
import { ANSWER, type Streams } from "./exchange.js";
import { OutFrame, RESPONSE } from "./outgoing.js";
import type { State } from "./state.js";

/** The streams of a call of either side. */
function streamsOf(s: State, id: MsgId): Streams | undefined {
  const call = s.inbound.get(id);
  return call ? (call.interest === ANSWER ? call : undefined) : s.calls.get(id);
}

export function canSendItem(s: State, id: MsgId): boolean {
  const send = streamsOf(s, id)?.send;
  if (!send || s.phase !== "open" || (send.isOpen && s.hasPlace)) {
    // Of a stream that is over an item is taken, and dropped.
    return true;
  }
  s.blockedStreams.add(id);
  return false;
}

/** Sends an item of a request stream. What comes after the end of its call is dropped. */
export function item(s: State, id: MsgId, body: Uint8Array, last: boolean, compressed: boolean): void {
  const exchange = s.calls.get(id);
  const send = exchange?.send;
  if (!send || s.phase !== "open" || (body.length === 0 && !last)) {
    return;
  }
  const flags = ITEM | (exchange.urgent ? URGENT : 0) | (compressed ? COMPRESSED : 0) | (last ? 0 : MORE);
  const variant = body.length > 0 ? exchange.member!.number : 0;
  const frame = new OutFrame(s.opening, flags, id, body, NO_TOPIC, variant);
  pushItem(s, exchange, frame, body.length);
  if (last) {
    endSending(exchange);
  }
}

/** Sends an item of a stream of answers. */
export function answerItem(s: State, id: MsgId, body: Uint8Array, compressed: boolean): void {
  const call = s.inbound.get(id);
  if (!call?.send || call.interest !== ANSWER || s.phase !== "open" || body.length === 0) {
    return;
  }
  const flags = MORE | (call.urgent ? URGENT : 0) | (compressed ? COMPRESSED : 0);
  pushItem(s, call, new OutFrame(ACK, flags, id, body, NOTHING, call.member.answer ?? 0, undefined, RESPONSE), body.length);
}

function pushItem(s: State, streams: Streams, frame: OutFrame, len: number): void {
  if (len > s.peerMaxBody) {
    throw new Status("RESOURCE_EXHAUSTED", `an item of ${len} bytes, where the peer accepts ${s.peerMaxBody} (its max_body)`);
  }
  if (len > 0) {
    const send = streams.send!;
    if (!send.isOpen || !s.hasPlace) {
      throw new Status("RESOURCE_EXHAUSTED", "no capacity: the queue or the credit of the stream is used up");
    }
    send.spend(frame.size - HEADER_LEN);
  }
  s.outgoing.push(frame);
}

/** This side's stream is complete. */
export function endSending(streams: Streams): void {
  streams.lateCredits = streams.send?.uncredited ?? 0;
  streams.send = undefined;
}
