/**
 * Receiving messages: calls, deliveries, one-way messages, and items of request streams.
 *
 * @module
 */

import type { Code } from "../errors.js";
import { Kind, Shape, type Member } from "../protocol.js";
import type { Frame } from "../wire/decoder.js";
import { Fault, MessageFault } from "../wire/fault.js";
import { ACK, ACK_REQUIRED, COMPRESSED, ITEM, META, MORE, REDELIVERED, SEQUENCE, URGENT } from "../wire/header.js";
import type { Metadata } from "../wire/messages.js";
import { NOTHING, readPayload, type Payload } from "../wire/payload.js";
import { expectLate, ignoreLate, limit, limitSent } from "./allowance.js";
import { consume, watch } from "./credit.js";
import { DESCRIBE, describe } from "./describe.js";
import { ANSWER, type Inbound } from "./exchange.js";
import { pushControl, pushError } from "./frames.js";
import { PROVOKED } from "./outgoing.js";
import { FAILED, FORGOTTEN, HANDLED, NEW } from "./received.js";
import type { State } from "./state.js";
import { ReceiveWindow, STREAM_WINDOW, SendWindow } from "./window.js";

/** What an open call counts besides its request. */
const HEADER_COST = 160;

const BARE: Payload = { metadata: undefined, topic: "", body: NOTHING };

/** Handles a PUBLISH or an EVENT. */
export function handleMessage(s: State, frame: Frame): void {
  const { flags, id } = frame;
  if (flags & ITEM) {
    return s.parts.streams ? s.parts.streams.handleItem(s, frame) : ignoreLate(s, frame);
  }
  if (frame.accepting === s.server) {
    throw new Fault("a message id that only the other side chooses", id);
  }
  const isAnswered = (flags & ACK_REQUIRED) !== 0;
  if (isAnswered && (id & SEQUENCE) === 0n) {
    throw new Fault("message id 0 on a message that is to be answered", id);
  }
  const isCall = isAnswered && !frame.delivery;
  const size = frame.end - frame.start;
  if (!isCall) {
    if (!s.receiveWindow.accept(size, (flags & URGENT) !== 0)) {
      throw new Fault("a message beyond the credit that was granted", id, "RESOURCE_EXHAUSTED");
    }
    watch(s, s.receiveWindow);
    if (isAnswered && isDuplicate(s, frame)) {
      return;
    }
  }
  let isRead = false;
  try {
    const payload = read(s, frame);
    isRead = true;
    if (isAnswered && s.closing && !s.pendingClose) {
      if (!isCall) {
        consume(s, s.receiveWindow, 1, size);
      }
      return reject(s, frame, "UNAVAILABLE", "not accepted");
    }
    if (payload.topic.startsWith("$") && !isCall) {
      return s.parts.topics?.handleNotice(s, frame, payload);
    }
    if (isCall && frame.variant === DESCRIBE) {
      return describe(s, frame, payload);
    }
    const member = memberOf(s, frame, isCall, payload.topic);
    if (isCall) {
      handleCall(s, frame, member, payload);
    } else {
      acceptMessage(s, frame, member, payload);
    }
  } catch (error) {
    if (!(error instanceof MessageFault)) {
      throw error;
    }
    if (error.code !== "UNIMPLEMENTED" || s.sameSchema) {
      limitSent(s, id);
    }
    if (!isCall) {
      consume(s, s.receiveWindow, 1, size);
    }
    if (isAnswered || !isRead) {
      reject(s, frame, error.code, error.message);
    }
  }
}

/** The parts of a message, or why it cannot be read. */
export function read(s: State, frame: Frame): Payload {
  const { flags, kind, start, end, view } = frame;
  if (kind < 1 || kind > Kind.METRIC) {
    throw new MessageFault(`unknown msg_kind ${kind}: 1 (EVENT) to 5 (METRIC) are understood`);
  }
  if (flags & COMPRESSED && !s.compresses) {
    throw new MessageFault("a compressed body, and no compression was agreed");
  }
  if (flags & MORE && !(flags & ITEM) && (!(flags & ACK_REQUIRED) || frame.delivery)) {
    throw new MessageFault("MORE on a message that is no call: only a request stream has it");
  }
  if (!(flags & META) && end - start >= 2 && end - start - 2 <= s.limits.maxBody && view.getUint16(start) === 0) {
    return end - start === 2 ? BARE : { metadata: undefined, topic: "", body: frame.slice(start + 2) };
  }
  const payload = readPayload(frame, s.limits.maxBody, s.parts);
  if (payload.topic && !s.topics) {
    throw new MessageFault("a topic, and this is a direct connection");
  }
  return payload;
}

/** What the peer sends by this variant. */
function memberOf(s: State, frame: Frame, isCall: boolean, topic: string): Member {
  const { variant } = frame;
  const member = s.at(topic).members.get(variant);
  if (!member || member.shape === Shape.ANSWER || (member.shape === Shape.CALL) !== isCall) {
    throw new MessageFault(`variant ${variant} is no ${isCall ? "call" : "message"} that is known here`, "UNIMPLEMENTED");
  }
  if (isCall && frame.flags & MORE && !member.requestStream) {
    throw new MessageFault(`a stream of requests, where ${member.name} has one`);
  }
  return member;
}

function deadlineOf(s: State, metadata: Metadata | undefined, usual: number | undefined): number {
  return s.now + (metadata?.deadlineMs ?? usual ?? Infinity);
}

function handleCall(s: State, frame: Frame, member: Member, { metadata, topic, body }: Payload): void {
  const { id, flags } = frame;
  const { maxCalls, maxCallBytes } = s.limits;
  const streaming = (flags & MORE) !== 0;
  const size = frame.end - frame.start + (metadata?.headers?.size ?? 0) * HEADER_COST;
  const open = s.inbound.size;
  if (open >= maxCalls + Math.min(s.orphans, maxCalls)) {
    return refuse(s, frame, `too many open calls: ${maxCalls} (max_calls)`);
  }
  if (open > 0 && s.inboundBytes + size > maxCallBytes) {
    return refuse(s, frame, `the requests of open calls are too large: ${maxCallBytes} bytes (max_call_bytes)`);
  }
  const refusal = s.limits.budget?.refusalOf(s);
  if (refusal) {
    return refuse(s, frame, refusal);
  }
  if (s.inbound.has(id)) {
    throw new Fault("the id of a call that is open", id);
  }
  const urgent = (flags & URGENT) !== 0;
  const call: Inbound = {
    id,
    urgent,
    member,
    size,
    interest: ANSWER,
    started: false,
    timed: metadata?.requestTimeUs !== undefined,
    streaming: streaming || (member.responseStream ?? false),
    // What is granted before the handler has begun counts all the same.
    send: member.responseStream ? new SendWindow(STREAM_WINDOW, 1) : undefined,
    receive: streaming ? new ReceiveWindow(STREAM_WINDOW, id, urgent) : undefined,
    lateCredits: 0,
  };
  s.inbound.set(id, call);
  s.inboundBytes += size;
  if (s.drain && call.streaming) {
    s.drain.streamsAt = Math.min(s.drain.streamsAt, s.now + s.limits.streamDrainMs);
  }
  const compressed = (flags & COMPRESSED) !== 0;
  const deadline = deadlineOf(s, metadata, member.timeoutMs);
  s.emit({ type: "request", id, member, body, compressed, metadata, deadline, topic, streaming });
}

/** A call that has no place. While handlers wait for the peer to read it may not know better. */
function refuse(s: State, frame: Frame, text: string): void {
  if (!s.events.isHolding) {
    limitSent(s, frame.id);
  }
  reject(s, frame, "RESOURCE_EXHAUSTED", text);
}

function acceptMessage(s: State, frame: Frame, member: Member, { metadata, topic, body }: Payload): void {
  const { id, flags } = frame;
  const delivery = (flags & ACK_REQUIRED) !== 0;
  const cleared = body.length === 0;
  if (cleared && (frame.kind !== Kind.STATE || member.kind !== Kind.STATE)) {
    throw new MessageFault(`an empty body, and ${member.name} is no STATE`);
  }
  if (cleared && flags & META && !s.parts.metadata) {
    // Which STATE it is, its metadata say. The peer is not to blame.
    consume(s, s.receiveWindow, 1, frame.end - frame.start);
    if (delivery) {
      reject(s, frame, "INVALID_ARGUMENT", "metadata is not a part of this client");
    }
    return;
  }
  if (delivery) {
    s.inboundDeliveries.set(id, (flags & URGENT) !== 0);
  }
  s.emit({
    type: "message",
    id,
    member,
    body,
    compressed: (flags & COMPRESSED) !== 0,
    metadata,
    topic,
    delivery,
    deadline: deadlineOf(s, metadata, undefined),
    cleared,
    size: frame.end - frame.start,
    connection: s.connection,
  });
}

/** Whether a delivery came before: then it is answered as its original was, or will be. */
function isDuplicate(s: State, frame: Frame): boolean {
  const state = s.received.begin(Number(frame.id & SEQUENCE));
  if (state === NEW) {
    return false;
  }
  if (!(frame.flags & REDELIVERED)) {
    limit(s, frame.id);
  }
  consume(s, s.receiveWindow, 1, frame.end - frame.start);
  const urgent = (frame.flags & URGENT) !== 0;
  if (state === HANDLED) {
    pushControl(s, ACK, frame.id, NOTHING, urgent, PROVOKED);
  } else if (state === FAILED || state === FORGOTTEN) {
    pushError(s, frame.id, urgent, "ABORTED", state === FAILED ? "failed earlier" : "older than the window of 4096 deliveries");
  }
  return true;
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
      s.received.end(Number(id & SEQUENCE), FAILED);
    } else {
      s.resumption?.ended.end(id);
      expectLate(s, (flags & MORE) !== 0);
    }
  }
  // "Not accepted" must not overtake the CLOSE that explains it.
  const urgent = (flags & URGENT) !== 0 && text !== "not accepted";
  pushError(s, id, urgent, code, text);
}
