/**
 * Receiving messages: calls, deliveries and one-way messages.
 *
 * @module
 */

import type { Code } from "../errors.js";
import { Kind, Shape, type Member } from "../protocol.js";
import type { Frame } from "../wire/decoder.js";
import { Fault, MessageFault } from "../wire/fault.js";
import { ACK_REQUIRED, COMPRESSED, ITEM, MORE, SEQUENCE, URGENT } from "../wire/header.js";
import { readPayload, type Payload } from "../wire/payload.js";
import { consume, watch } from "./credit.js";
import { DESCRIBE, describe } from "./describe.js";
import { pushError } from "./frames.js";
import type { State } from "./state.js";

/** Handles a PUBLISH or an EVENT. */
export function handleMessage(s: State, frame: Frame): void {
  const { flags, id, size } = frame;
  if (flags & ITEM) {
    return s.parts.streams ? s.parts.streams.handleItem(s, frame) : s.allowances?.limitLate(s, frame);
  }
  if (frame.accepting === s.server) {
    throw new Fault("a message id that only the other side chooses", id);
  }
  const isAnswered = (flags & ACK_REQUIRED) !== 0;
  if (isAnswered && (id & SEQUENCE) === 0n) {
    throw new Fault("message id 0 on a message that is to be answered", id);
  }
  const isCall = isAnswered && !frame.delivery;
  if (!isCall) {
    if (!s.receiveWindow.accept(size, (flags & URGENT) !== 0)) {
      throw new Fault("a message beyond the credit", id, "RESOURCE_EXHAUSTED");
    }
    watch(s, s.receiveWindow);
    if (isAnswered && s.deliveries?.isDuplicate(s, frame)) {
      return;
    }
  }
  let isRead = false;
  try {
    const payload = read(s, frame);
    isRead = true;
    if (isAnswered && s.closing && !s.pendingClose) {
      throw new MessageFault("not accepted", "UNAVAILABLE");
    }
    if (isCall && frame.variant === DESCRIBE) {
      describe(s, frame, payload);
    } else if (!isCall && payload.topic.startsWith("$")) {
      s.parts.topics?.handleNotice(s, frame, payload);
    } else {
      const member = memberOf(s, frame, isCall, payload.topic);
      const taker = isCall ? s.inboundCalls : s.parts.inboundMessages;
      if (!taker) {
        throw new MessageFault(`${isCall ? "calls" : "messages"} are not a part of this client`, "UNIMPLEMENTED");
      }
      taker.accept(s, frame, payload, member);
    }
  } catch (error) {
    if (!(error instanceof MessageFault)) {
      throw error;
    }
    const { code, message } = error;
    // The peer is not to blame where it cannot know: that this side closes, has another schema, or holds its handlers up.
    const isHolding = isRead && code === "RESOURCE_EXHAUSTED" && s.events.isHolding;
    if (code !== "UNAVAILABLE" && !isHolding && (code !== "UNIMPLEMENTED" || s.sameSchema)) {
      s.allowances?.limitSent(s, id);
    }
    if (!isCall) {
      consume(s, s.receiveWindow, 1, size);
    }
    if (isAnswered || !isRead) {
      reject(s, frame, code, message);
    }
  }
}

/** The parts of a message, or why it cannot be read. */
export function read(s: State, frame: Frame): Payload {
  const { flags, kind } = frame;
  if (kind < 1 || kind > Kind.METRIC) {
    throw new MessageFault(`unknown msg_kind ${kind}: 1 (EVENT) to 5 (METRIC) are understood`);
  }
  checkCompressed(s, frame);
  if (flags & MORE && !(flags & ITEM) && (!(flags & ACK_REQUIRED) || frame.delivery)) {
    throw new MessageFault("MORE on a message that is no call");
  }
  const payload = readPayload(frame, s.limits.maxBody, s.parts);
  if (payload.topic && !s.topics) {
    throw new MessageFault("a topic, and this is a direct connection");
  }
  return payload;
}

export function checkCompressed(s: State, { flags }: Frame): void {
  if (flags & COMPRESSED && !s.compresses) {
    throw new MessageFault("a compressed body, and no compression was agreed");
  }
}

/** What the peer sends by this variant. */
function memberOf(s: State, { variant }: Frame, isCall: boolean, topic: string): Member {
  const member = s.at(topic).members.get(variant);
  if (!member || member.shape === Shape.ANSWER || (member.shape === Shape.CALL) !== isCall) {
    throw new MessageFault(`variant ${variant} is no known ${isCall ? "call" : "message"}`, "UNIMPLEMENTED");
  }
  return member;
}

/** Answers a message that is not accepted. */
export function reject(s: State, frame: Frame, code: Code, text: string): void {
  const { id, flags } = frame;
  if (id === 0n) {
    // An ERROR with id 0 would mean that the connection ends.
    return;
  }
  if (flags & ACK_REQUIRED) {
    if (frame.delivery) {
      s.deliveries?.rejected(id);
    } else {
      s.resumption?.ended.end(id);
      s.allowances?.expectLate((flags & MORE) !== 0);
    }
  }
  // "Not accepted" must not overtake the CLOSE that explains it.
  const urgent = (flags & URGENT) !== 0 && text !== "not accepted";
  pushError(s, id, urgent, code, text);
}
