/**
 * Opening exchanges: calls, one-way messages and pings.
 *
 * @module
 */

import { Status } from "../errors.js";
import { Kind, Shape, type Member } from "../protocol.js";
import { ACK_REQUIRED, COMPRESSED, HEADER_LEN, META, MORE, PING, URGENT } from "../wire/header.js";
import type { Metadata } from "../wire/messages.js";
import { NO_TOPIC, prefix } from "../wire/payload.js";
import { wake } from "./credit.js";
import type { MsgId } from "./event.js";
import { CALL, PINGING, type Outbound } from "./exchange.js";
import { sendClose } from "./frames.js";
import { FRAME_COST, OutFrame } from "./outgoing.js";
import type { SendOptions } from "./session.js";
import { CALLS, CREDITS, PLACE, type State } from "./state.js";

/** Whether a call, or a message, would be taken now. */
export function canSend(s: State, member: Member, size: number): boolean {
  const missing = missingFor(s, member, size);
  s.blocked |= missing;
  return missing === 0 && (s.phase === "open" ? !s.isClosing : s.isOffline);
}

/** What there is not enough of. */
function missingFor(s: State, member: Member, size: number): number {
  const { shape, kind } = member;
  const isOpen = s.phase === "open";
  let missing = s.hasPlace ? 0 : PLACE;
  if (!isOpen) {
    missing = s.resumption?.hasPlace(s, size) && !member.requestStream && !member.responseStream ? 0 : CREDITS;
  }
  if (shape === Shape.CALL) {
    return missing | (s.openCalls < s.peerMaxCalls ? 0 : CALLS);
  }
  if (shape === Shape.ACKNOWLEDGED && s.deliveries?.hasPlace(s) === false) {
    missing |= CREDITS;
  }
  if (!isOpen) {
    return missing;
  }
  const hasCredit = s.sendWindow.isOpen && !s.isWaiting;
  if (s.droppable?.takes(member)) {
    return kind > Kind.STATE || (hasCredit && !missing) || s.droppable.hasPlace(size) ? 0 : CREDITS;
  }
  if (!hasCredit || s.droppable?.size) {
    missing |= CREDITS;
    s.blockedMessage = true;
  }
  return missing;
}

/** Throws why something cannot be sent. */
function check(s: State, member: Member, size: number): void {
  if (s.phase === "over" || s.isClosing) {
    throw new Status("UNAVAILABLE", "the session is closed");
  }
  if (size > s.peerMaxBody) {
    throw new Status("RESOURCE_EXHAUSTED", `the body has ${size} bytes: ${s.peerMaxBody} are allowed (max_body)`);
  }
  if (!canSend(s, member, size)) {
    throw s.phase === "open"
      ? new Status("RESOURCE_EXHAUSTED", "no capacity")
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
  const all = flags | (member.urgent ? URGENT : 0) | (metadata ? META : 0) | (options?.compressed ? COMPRESSED : 0);
  const before = metadata || options?.topic ? prefix(metadata, options?.topic ?? "", s.parts) : NO_TOPIC;
  return new OutFrame(s.opening, all, id, body, before, member.number, member.kind);
}

/** Adds an exchange of this side, which begins with this frame. */
export function open(s: State, type: number, id: bigint, timeout: number, frame: OutFrame, member?: Member, options?: SendOptions): Outbound {
  const deadline = s.now + timeout;
  const exchange: Outbound = {
    id,
    urgent: (frame.flags & URGENT) !== 0,
    type,
    member,
    options,
    deadline,
    frame,
    cost: frame.size + FRAME_COST,
    wasSent: false,
    abandoned: false,
    streaming: type === CALL && (member?.requestStream ?? member?.responseStream ?? false),
    send: undefined,
    receive: undefined,
    lateCredits: 0,
  };
  frame.exchange = exchange;
  s.calls.set(id, exchange);
  s.nextDeadline = Math.min(s.nextDeadline, deadline);
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
    throw new Status("DEADLINE_EXCEEDED", "no time remains");
  }
  // The peer counts the usual one by itself.
  const isUsual = timeout <= usual && usual - timeout < usual / 64;
  const flags = member.requestStream ? ACK_REQUIRED | MORE : ACK_REQUIRED;
  const id = s.nextId();
  const frame = openingFrame(s, member, id, body, options, flags, isUsual || timeout === Infinity ? undefined : timeout);
  const exchange = open(s, CALL, id, timeout, frame, member, options);
  s.openCalls++;
  if (exchange.streaming) {
    s.parts.streams?.begin(s, exchange, member.requestStream ?? false, member.responseStream ?? false);
  }
  pushOrWait(s, frame);
  return id;
}

export function send(s: State, member: Member, body: Uint8Array, options: SendOptions | undefined): MsgId {
  check(s, member, body.length);
  if (member.shape === Shape.ACKNOWLEDGED) {
    if (!s.deliveries) {
      throw new Status("UNIMPLEMENTED", "deliveries are not a part of this client");
    }
    return s.deliveries.send(s, member, body, options);
  }
  const id = s.nextId();
  const frame = openingFrame(s, member, id, body, options, 0);
  if (!s.droppable?.keeps(s, member, frame, options)) {
    sendMessage(s, frame);
  }
  return id;
}

/** Sends what takes credit, now or by the next connection. */
export function sendMessage(s: State, frame: OutFrame): void {
  if (s.phase === "open") {
    s.sendWindow.spend(frame.size - HEADER_LEN);
  }
  pushOrWait(s, frame);
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
    throw new Status("RESOURCE_EXHAUSTED", payload.length > 65_536 ? "the PING has more than 65536 bytes" : "no capacity");
  }
  const id = s.nextId();
  const frame = new OutFrame(PING, 0, id, payload);
  open(s, PINGING, id, s.limits.pingIntervalMs * 2 || Infinity, frame);
  s.outgoing.push(frame, true);
  return id;
}
