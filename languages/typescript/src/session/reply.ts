/**
 * Replying: answers to calls, and acknowledgments.
 *
 * @module
 */

import { Status } from "../errors.js";
import { MessageFault } from "../wire/fault.js";
import { ACK, COMPRESSED, META, SEQUENCE, URGENT } from "../wire/header.js";
import type { Metadata } from "../wire/messages.js";
import { NOTHING, prefix } from "../wire/payload.js";
import { endInbound } from "./ending.js";
import type { MsgId } from "./event.js";
import type { Inbound } from "./exchange.js";
import { pushControl, statusFrame } from "./frames.js";
import { OutFrame, RESPONSE } from "./outgoing.js";
import { FAILED, HANDLED } from "./received.js";
import type { State } from "./state.js";

/** Answers a call with a message. */
export function answer(s: State, id: MsgId, body: Uint8Array, metadata: Metadata | undefined, compressed: boolean): void {
  const call = endInbound(s, id);
  if (!call) {
    return;
  }
  if (body.length > s.peerMaxBody) {
    const text = `an answer of ${body.length} bytes, where the caller accepts ${s.peerMaxBody} (its setting \`max_body\`)`;
    return reply(s, statusFrame(s, id, call.urgent, new Status("RESOURCE_EXHAUSTED", text)));
  }
  const timed = call.timed ? { ...metadata, responseTimeUs: Math.round(s.limits.unixTime() * 1000) } : metadata;
  replyWith(s, call, body, timed, compressed ? COMPRESSED : 0);
}

/** Answers a call with this body, or with none. */
export function replyWith(s: State, call: Inbound, body: Uint8Array, metadata: Metadata | undefined, flags: number): void {
  let before = NOTHING;
  if (metadata) {
    try {
      before = prefix(metadata, undefined, s.parts);
    } catch (error) {
      const text = `the answer's metadata cannot be sent: ${(error as MessageFault).message}`;
      return reply(s, statusFrame(s, call.id, call.urgent, new Status("INTERNAL", text)));
    }
  }
  const all = flags | (call.urgent ? URGENT : 0) | (metadata ? META : 0);
  const variant = body.length > 0 ? (call.member.answer ?? 0) : 0;
  reply(s, new OutFrame(ACK, all, call.id, body, before, variant, undefined, RESPONSE));
}

/** Sends the frame that ends a call, or keeps it for the caller's next connection. */
function reply(s: State, frame: OutFrame): void {
  s.resumption?.ended.end(frame.id);
  if (s.phase === "open") {
    s.outgoing.push(frame);
  } else if (s.isOffline) {
    s.resumption?.ended.keep(frame);
  }
}

/** Answers a call or a delivery with an error. */
export function fail(s: State, id: MsgId, status: Status): void {
  const urgent = s.inboundDeliveries.get(id);
  if (urgent !== undefined) {
    s.inboundDeliveries.delete(id);
    s.received.end(Number(id & SEQUENCE), FAILED);
    // Without a connection the delivery comes again, and is answered then.
    if (s.phase === "open") {
      s.outgoing.push(statusFrame(s, id, urgent, status));
    }
    return;
  }
  const call = endInbound(s, id);
  if (call) {
    reply(s, statusFrame(s, id, call.urgent, status));
  }
}

/** The handler of a delivery has returned. */
export function acknowledge(s: State, id: MsgId): void {
  const urgent = s.inboundDeliveries.get(id);
  if (urgent === undefined) {
    return;
  }
  s.inboundDeliveries.delete(id);
  s.received.end(Number(id & SEQUENCE), HANDLED);
  if (s.phase === "open") {
    pushControl(s, ACK, id, NOTHING, urgent, RESPONSE);
  }
}
