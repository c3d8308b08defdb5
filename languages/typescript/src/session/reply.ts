/**
 * Replying: answers to calls.
 *
 * @module
 */

import { Status } from "../errors.js";
import { ACK, COMPRESSED, META, URGENT } from "../wire/header.js";
import type { Metadata } from "../wire/messages.js";
import { NOTHING } from "../wire/payload.js";
import { endInbound } from "./ending.js";
import type { MsgId } from "./event.js";
import type { Inbound } from "./exchange.js";
import { statusFrame } from "./frames.js";
import { OutFrame, RESPONSE } from "./outgoing.js";
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
  replyWith(s, call, body, metadata, compressed ? COMPRESSED : 0);
}

/** Answers a call with this body, or with none. */
export function replyWith(s: State, call: Inbound, body: Uint8Array, metadata: Metadata | undefined, flags: number): void {
  let before: Uint8Array;
  try {
    before = s.parts.metadata?.ofAnswer(s, call, metadata) ?? NOTHING;
  } catch (error) {
    const text = `the answer's metadata cannot be sent: ${(error as Error).message}`;
    return reply(s, statusFrame(s, call.id, call.urgent, new Status("INTERNAL", text)));
  }
  const all = flags | (call.urgent ? URGENT : 0) | (before.length > 0 ? META : 0);
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
  const call = s.deliveries?.answer(s, id, status) ? undefined : endInbound(s, id);
  if (call) {
    reply(s, statusFrame(s, id, call.urgent, status));
  }
}
