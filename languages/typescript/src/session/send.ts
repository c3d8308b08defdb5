/**
 * Opening exchanges: calls, one-way messages, deliveries and pings.
 *
 * @module
 */

import { Status } from "../errors.js";
import { Kind, Shape, type Member } from "../protocol.js";
import { MessageFault } from "../wire/fault.js";
import { ACCEPTING, ACK_REQUIRED, COMPRESSED, DELIVERY, HEADER_LEN, META, MORE, PING, SEQUENCE, URGENT } from "../wire/header.js";
import type { Metadata } from "../wire/messages.js";
import { NO_TOPIC, prefix } from "../wire/payload.js";
import { wake } from "./credit.js";
import type { MsgId } from "./event.js";
import { CALL, DELIVERING, PINGING, type Outbound } from "./exchange.js";
import { sendClose } from "./frames.js";
import { FRAME_COST, OutFrame } from "./outgoing.js";
import { DELIVERY_WINDOW } from "./received.js";
import type { SendOptions } from "./session.js";
import { CALLS, CREDITS, PLACE, type State } from "./state.js";
import { ReceiveWindow, STREAM_WINDOW, SendWindow } from "./window.js";

/** Whether a message of this kind waits in a queue of its own, rather than its sender. */
function isDroppable(s: State, member: Member): boolean {
  return s.droppable !== undefined && member.kind >= Kind.STATE && member.shape === Shape.ONE_WAY;
}

/** Whether a call, or a message, would be taken now. */
export function canSend(s: State, member: Member, size: number): boolean {
  const missing = missingFor(s, member, size);
  s.blocked |= missing;
  return missing === 0 && (s.phase === "open" ? !s.isClosing : s.isOffline);
}

/** What there is not enough of. */
function missingFor(s: State, member: Member, size: number): number {
  const { shape, kind } = member;
  let missing = s.hasPlace ? 0 : PLACE;
  if (s.phase !== "open") {
    missing = s.resumption?.hasPlace(s, size) && !member.requestStream && !member.responseStream ? 0 : CREDITS;
  }
  if (shape === Shape.CALL) {
    return missing | (s.openCalls < s.peerMaxCalls ? 0 : CALLS);
  }
  if (shape === Shape.ACKNOWLEDGED && !canDeliver(s)) {
    missing |= CREDITS;
  }
  if (s.phase !== "open") {
    return missing;
  }
  const hasCredit = s.sendWindow.isOpen && !s.isWaiting;
  if (isDroppable(s, member)) {
    return kind > Kind.STATE || (hasCredit && !missing) || s.droppable!.hasPlace(size) ? 0 : CREDITS;
  }
  if (!hasCredit || s.droppable?.size) {
    missing |= CREDITS;
    s.blockedMessage = true;
  }
  return missing;
}

function hasCredit(s: State): boolean {
  return s.sendWindow.isOpen && s.hasPlace && !s.isWaiting;
}

function canDeliver(s: State): boolean {
  let oldest: bigint | undefined;
  for (const id of s.deliveries.keys()) {
    oldest = id & SEQUENCE;
    break;
  }
  return (
    (oldest === undefined || s.deliverySequence + 1n < oldest + BigInt(DELIVERY_WINDOW)) &&
    s.deliveries.size < s.limits.sessionDeliveries &&
    s.keptCost < s.limits.sessionBuffer &&
    !s.isShort(s.outgoing.cost + s.keptCost)
  );
}

/** Throws why something cannot be sent. */
function check(s: State, member: Member, size: number): void {
  if (s.phase === "over" || s.isClosing) {
    throw new Status("UNAVAILABLE", "the session is closed");
  }
  if (size > s.peerMaxBody) {
    throw new Status("RESOURCE_EXHAUSTED", `a body of ${size} bytes, where the peer accepts ${s.peerMaxBody} (its max_body)`);
  }
  if (!canSend(s, member, size)) {
    throw s.phase === "open"
      ? new Status("RESOURCE_EXHAUSTED", "no capacity: the queue, the credit or the number of calls is used up")
      : new Status("UNAVAILABLE", "there is no connection");
  }
}

/** The metadata of a message. */
function metadataOf(s: State, member: Member, options: SendOptions | undefined, deadline: number | undefined): Metadata | undefined {
  const deadlineMs = deadline === undefined ? undefined : Math.min(Math.ceil(deadline), 0xffffffff);
  const { metadata } = s.parts;
  if (metadata) {
    return metadata.of(s, member, options, deadlineMs);
  }
  if (options?.metadata && Object.keys(options.metadata).length > 0) {
    throw new Status("UNIMPLEMENTED", "metadata is not a part of this client");
  }
  return deadlineMs === undefined ? undefined : { deadlineMs };
}

/** The frame that begins an exchange. */
export function openingFrame(s: State, member: Member, id: bigint, body: Uint8Array, options: SendOptions | undefined, flags: number, deadlineMs?: number): OutFrame {
  const metadata = options || member.idempotent || deadlineMs !== undefined ? metadataOf(s, member, options, deadlineMs) : undefined;
  let all = flags | (member.urgent ? URGENT : 0) | (metadata ? META : 0);
  if (options?.compressed) {
    all |= COMPRESSED;
  }
  let before = NO_TOPIC;
  if (metadata || options?.topic) {
    try {
      before = prefix(metadata, options?.topic ?? "", s.parts);
    } catch (error) {
      throw new Status((error as MessageFault).code, (error as MessageFault).message);
    }
  }
  return new OutFrame(s.opening, all, id, body, before, member.number, member.kind);
}

/** What an exchange of this side begins with. */
export function open(s: State, type: number, id: bigint, timeout: number, frame: OutFrame, member?: Member, options?: SendOptions): Outbound {
  const streaming = type === CALL && (member?.requestStream ?? member?.responseStream ?? false);
  const deadline = s.now + timeout;
  const urgent = (frame.flags & URGENT) !== 0;
  const exchange: Outbound = {
    id,
    urgent,
    type,
    member,
    options,
    deadline,
    frame,
    cost: frame.size + FRAME_COST,
    wasSent: false,
    abandoned: false,
    streaming,
    send: member?.requestStream ? new SendWindow(STREAM_WINDOW, 1) : undefined,
    receive: streaming && member?.responseStream ? new ReceiveWindow(STREAM_WINDOW, id, urgent) : undefined,
    lateCredits: 0,
  };
  frame.exchange = exchange;
  if (deadline < s.nextDeadline) {
    s.nextDeadline = deadline;
  }
  return exchange;
}

/** Queues a frame, or keeps it for the next connection. */
function pushOrWait(s: State, frame: OutFrame): void {
  if (s.isOffline) {
    s.resumption?.wait(frame);
  } else {
    s.outgoing.push(frame);
  }
}

export function call(s: State, member: Member, body: Uint8Array, options: SendOptions | undefined): MsgId {
  check(s, member, body.length);
  const usual = member.timeoutMs ?? Infinity;
  const timeout = options?.timeoutMs ?? usual;
  if (timeout < 1) {
    throw new Status("DEADLINE_EXCEEDED", "less than a millisecond remains: the call is not sent");
  }
  // The peer counts the usual one by itself.
  const isUsual = timeout === usual || (timeout < usual && usual - timeout < usual / 64);
  const flags = member.requestStream ? ACK_REQUIRED | MORE : ACK_REQUIRED;
  const id = s.nextId();
  const frame = openingFrame(s, member, id, body, options, flags, isUsual || timeout === Infinity ? undefined : timeout);
  s.calls.set(id, open(s, CALL, id, timeout, frame, member, options));
  s.openCalls++;
  pushOrWait(s, frame);
  if (s.drain && (member.requestStream || member.responseStream)) {
    s.drain.streamsAt = Math.min(s.drain.streamsAt, s.now + s.limits.streamDrainMs);
  }
  return id;
}

export function send(s: State, member: Member, body: Uint8Array, options: SendOptions | undefined): MsgId {
  check(s, member, body.length);
  if (member.shape === Shape.ACKNOWLEDGED) {
    return deliver(s, member, body, options);
  }
  const id = s.nextId();
  const frame = openingFrame(s, member, id, body, options, 0);
  if (isDroppable(s, member) && s.phase === "open" && (!hasCredit(s) || s.droppable!.size > 0)) {
    const key = options?.metadata?.key ?? options?.key ?? "";
    // Neither a key nor a topic has a control character.
    s.dropped += s.droppable!.add(frame, member.kind === Kind.STATE ? `${member.number}\n${key}\n${options?.topic ?? ""}` : undefined);
    return id;
  }
  if (s.phase === "open") {
    s.sendWindow.spend(frame.size - HEADER_LEN);
  }
  pushOrWait(s, frame);
  return id;
}

function deliver(s: State, member: Member, body: Uint8Array, options: SendOptions | undefined): MsgId {
  const timeout = options?.timeoutMs ?? member.timeoutMs ?? Infinity;
  const sequence = s.deliverySequence + 1n;
  const id = sequence | DELIVERY | (s.server ? ACCEPTING : 0n);
  const deadlineMs = options?.timeoutMs === undefined || timeout === Infinity ? undefined : timeout;
  const frame = openingFrame(s, member, id, body, options, ACK_REQUIRED, deadlineMs);
  s.deliverySequence = sequence;
  const exchange = open(s, DELIVERING, id, timeout, frame, member, options);
  s.deliveries.set(id, exchange);
  s.keptCost += exchange.cost;
  if (s.phase === "open") {
    s.sendWindow.spend(frame.size - HEADER_LEN);
  }
  pushOrWait(s, frame);
  return id;
}

/** Sends what waits in queues, as far as credit allows: what a lost connection has left, then what may be dropped. */
export function flushWaiting(s: State): void {
  s.resumption?.flush(s);
  if (s.isWaiting) {
    return;
  }
  s.droppable?.flush(s);
  if (s.sendWindow.isOpen && !s.droppable?.size) {
    wake(s, CREDITS);
  }
  sendClose(s);
}

export function ping(s: State, payload: Uint8Array): MsgId {
  if (s.phase !== "open") {
    throw new Status("UNAVAILABLE", "there is no connection");
  }
  if (!s.hasPlace || payload.length > 65_536) {
    throw new Status("RESOURCE_EXHAUSTED", payload.length > 65_536 ? "a PING carries at most 65536 bytes" : "no capacity: the queue is used up");
  }
  const id = s.nextId();
  const frame = new OutFrame(PING, 0, id, payload);
  s.calls.set(id, open(s, PINGING, id, s.limits.pingIntervalMs * 2 || Infinity, frame));
  s.outgoing.push(frame, true);
  return id;
}
