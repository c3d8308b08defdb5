/**
 * Streams of requests and of answers, as a part of a session that a client without any is made without (docs/protocol.md,
 * "Streams").
 *
 * @module
 */

import { Status } from "../errors.js";
import type { Frame } from "../wire/decoder.js";
import { Fault, MessageFault } from "../wire/fault.js";
import { ACK, COMPRESSED, HEADER_LEN, ITEM, MORE, URGENT } from "../wire/header.js";
import { readCredit } from "../wire/credit.js";
import type { Metadata } from "../wire/messages.js";
import { NOTHING, NO_TOPIC } from "../wire/payload.js";
import { watch } from "./credit.js";
import { failOutbound } from "./ending.js";
import type { MsgId } from "./event.js";
import { ANSWER, CALL, type Outbound, type Streams } from "./exchange.js";
import { pushError } from "./frames.js";
import { giveUp } from "./give-up.js";
import { answerWith } from "./inbound-calls.js";
import { read } from "./message.js";
import { OutFrame, RESPONSE } from "./outgoing.js";
import type { Session } from "./session.js";
import type { State } from "./state.js";
import { ReceiveWindow, STREAM_WINDOW, SendWindow, creditOverflow } from "./window.js";

/** What a session needs for streams. */
export interface SessionStreams {
  /** A call with streams begins, of either side. */
  begin(s: State, streams: Streams, sends: boolean, receives: boolean): void;
  /** An item of a stream of requests, or its end. */
  handleItem(s: State, frame: Frame): void;
  /** Takes an item of a stream of answers off its window. */
  accept(s: State, window: ReceiveWindow, size: number, id: bigint): void;
  /** CREDIT for a stream of this side. */
  handleCredit(s: State, frame: Frame): void;
  /** Ends the calls with streams that have not ended by themselves. */
  endAll(s: State, text: string): void;
  /** Items of a call of which nothing was sent are not sent either. */
  withdraw(s: State, exchange: Outbound): void;
  /** The queue has place again: senders of items may try again. */
  wake(s: State): void;
}

/** Streams: for a session whose protocol has calls with them. */
export const sessionStreams: SessionStreams = { begin, handleItem, accept, handleCredit, endAll, withdraw, wake };

function begin(s: State, streams: Streams, sends: boolean, receives: boolean): void {
  streams.send = sends ? new SendWindow(STREAM_WINDOW, 1) : undefined;
  streams.receive = receives ? new ReceiveWindow(STREAM_WINDOW, streams.id, streams.urgent) : undefined;
  if (s.drain) {
    s.drain.streamsAt = Math.min(s.drain.streamsAt, s.now + s.limits.streamDrainMs);
  }
}

// Items of this side.

/** The streams of a call of either side. */
function streamsOf(s: State, id: MsgId): Streams | undefined {
  const call = s.inboundCalls?.open.get(id);
  return call ? (call.interest === ANSWER ? call : undefined) : s.calls.get(id);
}

/**
 * Whether an item with a body of this size would be taken now. If not, a `writable` of this id follows. Of a call that is over it
 * is taken, and dropped; one that is too large is refused rather than held up.
 */
export function canSendItem(session: Session, id: MsgId, size: number): boolean {
  const { s } = session;
  const send = streamsOf(s, id)?.send;
  if (size > s.peerMaxBody || !send || s.phase !== "open" || (send.isOpen && s.hasPlace)) {
    return true;
  }
  s.blockedStreams.add(id);
  return false;
}

/**
 * Sends an item of a stream of requests; `last` ends the stream, and the body may then be empty. What comes after the end of its call
 * is dropped. Throws as `Session.call` does.
 */
export function sendItem(session: Session, id: MsgId, body: Uint8Array, last: boolean, compressed = false): void {
  const { s } = session;
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
    exchange.lateCredits = send.uncredited;
    exchange.send = undefined;
  }
}

/** Sends an item of a stream of answers. Throws as `Session.call` does. */
export function sendAnswerItem(session: Session, id: MsgId, body: Uint8Array, compressed = false): void {
  const { s } = session;
  const call = s.inboundCalls?.open.get(id);
  if (!call?.send || call.interest !== ANSWER || s.phase !== "open" || body.length === 0) {
    return;
  }
  const flags = MORE | (call.urgent ? URGENT : 0) | (compressed ? COMPRESSED : 0);
  pushItem(s, call, new OutFrame(ACK, flags, id, body, NOTHING, call.member.answer ?? 0, undefined, RESPONSE), body.length);
}

/** Ends a stream of answers. */
export function endAnswers(session: Session, id: MsgId, metadata?: Metadata): void {
  const { s } = session;
  const call = s.inboundCalls?.end(s, id);
  if (call) {
    answerWith(s, call, NOTHING, metadata, 0);
  }
}

function pushItem(s: State, streams: Streams, frame: OutFrame, len: number): void {
  if (len > s.peerMaxBody) {
    throw new Status("RESOURCE_EXHAUSTED", `the item has ${len} bytes: ${s.peerMaxBody} are allowed (max_body)`);
  }
  if (len > 0) {
    const send = streams.send!;
    if (!send.isOpen || !s.hasPlace) {
      throw new Status("RESOURCE_EXHAUSTED", "no capacity");
    }
    send.spend(frame.size - HEADER_LEN);
  }
  s.outgoing.push(frame);
}

// What the peer sends.

function accept(s: State, window: ReceiveWindow, size: number, id: bigint): void {
  if (!window.accept(size, false)) {
    throw new Fault("an item beyond the credit", id, "RESOURCE_EXHAUSTED");
  }
  watch(s, window);
}

function handleItem(s: State, frame: Frame): void {
  const { id, flags, variant } = frame;
  const call = s.inboundCalls?.open.get(id);
  const window = call?.interest === ANSWER ? call.receive : undefined;
  if (!call || !window) {
    return s.allowances?.limitLate(s, frame);
  }
  const last = !(flags & MORE);
  const size = frame.size;
  // The end of a stream is no item, and needs no credit.
  const isItem = size > 2;
  if (isItem || !last) {
    accept(s, window, size, id);
  }
  if (last) {
    s.starved.delete(window);
    call.receive = undefined;
  }
  try {
    const { body } = read(s, frame);
    if (isItem && variant !== call.member.number) {
      throw new MessageFault("another member than its call", "UNIMPLEMENTED");
    }
    if (isItem) {
      s.emit({ type: "requestItem", id, body, compressed: (flags & COMPRESSED) !== 0, size, connection: s.connection });
    }
    if (last) {
      s.emit({ type: "requestEnd", id });
    }
  } catch (error) {
    if (!(error instanceof MessageFault)) {
      throw error;
    }
    s.allowances?.limitSent(s, id);
    s.allowances?.expectLate(true);
    s.inboundCalls?.disown(s, call);
    pushError(s, id, call.urgent, error.code, `an item of variant ${variant} cannot be read: ${error.message}`);
  }
}

function handleCredit(s: State, frame: Frame): void {
  const { id } = frame;
  const exchange = s.calls.get(id);
  const call = s.inboundCalls?.open.get(id);
  const streams = exchange?.type === CALL && exchange.streaming ? exchange : call?.interest === ANSWER && call.streaming ? call : undefined;
  if (!streams || exchange?.abandoned) {
    return s.allowances?.limitLate(s, frame);
  }
  const { send } = streams;
  const isEarned = (send?.uncredited ?? streams.lateCredits) > 0;
  const [items, bytes] = readCredit(frame);
  if (send && !send.grant(items, bytes)) {
    throw creditOverflow(id);
  }
  if (!send) {
    // It was under way before the end of the stream.
    streams.lateCredits = Math.max(0, streams.lateCredits - 1);
  }
  if (!isEarned) {
    s.allowances?.limitCredit(s, id);
  }
  if (s.blockedStreams.delete(id)) {
    s.emit({ type: "writable", id });
  }
}

// The end.

function endAll(s: State, text: string): void {
  const { inboundCalls } = s;
  for (const call of inboundCalls?.open.values() ?? []) {
    if (call.streaming && call.interest === ANSWER) {
      pushError(s, call.id, call.urgent, "UNAVAILABLE", text, RESPONSE);
      // Items and credit may be under way.
      s.allowances?.expectLate(true);
      inboundCalls?.disown(s, call);
    }
  }
  if (s.closing) {
    for (const exchange of s.calls.values()) {
      if (exchange.streaming && !exchange.abandoned) {
        giveUp(s, exchange, true);
        failOutbound(s, exchange, "UNAVAILABLE", text);
      }
    }
  }
}

function withdraw({ outgoing }: State, { id, member }: Outbound): void {
  if (member?.requestStream) {
    for (const frame of outgoing.all()) {
      if (frame.id === id) {
        outgoing.withdraw(frame);
      }
    }
  }
}

function wake(s: State): void {
  for (const id of s.blockedStreams) {
    const streams = s.inboundCalls?.open.get(id) ?? s.calls.get(id);
    if (streams?.send?.isOpen !== false) {
      s.blockedStreams.delete(id);
      s.emit({ type: "writable", id });
    }
  }
}
