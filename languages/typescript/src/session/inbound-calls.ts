/**
 * Calls of the peer, until their handlers have ended. A client whose schema has none of its server is made without this.
 *
 * @module
 */

import { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import type { Frame } from "../wire/decoder.js";
import { Fault, MessageFault } from "../wire/fault.js";
import { ACK, COMPRESSED, META, MORE, URGENT } from "../wire/header.js";
import type { Metadata } from "../wire/messages.js";
import { NOTHING, type Payload } from "../wire/payload.js";
import { endStreams } from "./ending.js";
import type { MsgId } from "./event.js";
import { ANSWER, END, NONE, type Inbound } from "./exchange.js";
import { pushError, statusFrame } from "./frames.js";
import { OutFrame, RESPONSE } from "./outgoing.js";
import type { State } from "./state.js";

/** What an open call counts besides its request. */
const HEADER_COST = 160;

/** Calls of the peer, as a part of a session. */
export const inboundCalls = (): InboundCalls => new InboundCalls();

/** The calls of the peer. */
export class InboundCalls {
  /** Those whose handlers have not ended. */
  readonly open = new Map<MsgId, Inbound>();
  /** What the requests of these have together, in bytes. */
  bytes = 0;
  /** How many of these run on for nobody. */
  orphans = 0;

  /** One has come. Throws {@link MessageFault} where it is refused. */
  accept(s: State, frame: Frame, { metadata, topic, body }: Payload, member: Member): void {
    const { id, flags } = frame;
    const streaming = (flags & MORE) !== 0;
    if (streaming && !member.requestStream) {
      throw new MessageFault(`${member.name} has one request`);
    }
    const { maxCalls, maxCallBytes, budget } = s.limits;
    const size = frame.size + (metadata?.headers?.size ?? 0) * HEADER_COST;
    const open = this.open.size;
    const refusal =
      open >= maxCalls + Math.min(this.orphans, maxCalls)
        ? `more than ${maxCalls} open calls (max_calls)`
        : open > 0 && this.bytes + size > maxCallBytes
          ? `the open calls have more than ${maxCallBytes} bytes (max_call_bytes)`
          : budget?.refusalOf(s);
    if (refusal) {
      throw new MessageFault(refusal, "RESOURCE_EXHAUSTED");
    }
    if (this.open.has(id)) {
      throw new Fault("the id of a call that is open", id);
    }
    const call: Inbound = {
      id,
      urgent: (flags & URGENT) !== 0,
      member,
      size,
      interest: ANSWER,
      started: false,
      timed: metadata?.requestTimeUs !== undefined,
      streaming: streaming || (member.responseStream ?? false),
      send: undefined,
      receive: undefined,
      lateCredits: 0,
    };
    this.open.set(id, call);
    this.bytes += size;
    if (call.streaming) {
      // What is granted before the handler has begun counts all the same.
      s.parts.streams?.begin(s, call, member.responseStream ?? false, streaming);
    }
    s.emit({
      type: "request",
      id,
      member,
      body,
      compressed: (flags & COMPRESSED) !== 0,
      metadata,
      deadline: s.now + (metadata?.deadlineMs ?? member.timeoutMs ?? Infinity),
      topic,
      streaming,
    });
  }

  /** CANCEL. */
  handleCancel(s: State, frame: Frame): void {
    const { id } = frame;
    const call = this.open.get(id);
    if (call?.interest !== ANSWER) {
      return s.allowances?.limitLate(s, frame);
    }
    s.allowances?.limitCancel(s, id);
    call.interest = END;
    endStreams(s, call);
    if (call.started) {
      s.emit({ type: "cancelled", id });
    }
  }

  /** The handler of one begins. False where nobody waits for it any more, and it is over. */
  start(s: State, id: MsgId): boolean {
    const call = this.open.get(id);
    if (call?.interest === ANSWER) {
      return (call.started = true);
    }
    this.end(s, id);
    return false;
  }

  /** The handler of one has ended. Returns it where its answer is awaited. */
  end(s: State, id: MsgId): Inbound | undefined {
    const call = this.open.get(id);
    if (!call) {
      return undefined;
    }
    this.open.delete(id);
    this.bytes -= call.size;
    if (call.streaming) {
      endStreams(s, call);
    }
    s.allowances?.expectLate(call.streaming);
    if (call.interest === ANSWER) {
      return call;
    }
    if (call.interest === NONE) {
      this.orphans--;
    } else if (s.phase === "open") {
      pushError(s, id, call.urgent, "CANCELLED", "given up by its caller", RESPONSE);
    }
    return undefined;
  }

  /** Nobody waits any more for this one. */
  disown(s: State, call: Inbound): void {
    endStreams(s, call);
    if (call.interest === ANSWER && call.started) {
      s.emit({ type: "cancelled", id: call.id });
    }
    this.orphans += call.interest === NONE ? 0 : 1;
    call.interest = NONE;
  }

  /** Nobody waits any more for those of which this is true. */
  disownAll(s: State, isDisowned: (call: Inbound) => boolean): void {
    for (const call of this.open.values()) {
      if (isDisowned(call)) {
        this.disown(s, call);
      }
    }
  }

  /** Answers one with a message. */
  answer(s: State, id: MsgId, body: Uint8Array, metadata?: Metadata, compressed = false): void {
    const call = this.end(s, id);
    if (call && body.length > s.peerMaxBody) {
      const text = `an answer of ${body.length} bytes, where the caller accepts ${s.peerMaxBody} (its setting \`max_body\`)`;
      reply(s, statusFrame(s, id, call.urgent, new Status("RESOURCE_EXHAUSTED", text)));
    } else if (call) {
      answerWith(s, call, body, metadata, compressed ? COMPRESSED : 0);
    }
  }

  /** Answers one with an error. */
  fail(s: State, id: MsgId, status: Status): void {
    const call = this.end(s, id);
    if (call) {
      reply(s, statusFrame(s, id, call.urgent, status));
    }
  }

  /** Another session begins. */
  restart(): void {
    this.open.clear();
    this.orphans = this.bytes = 0;
  }
}

/** Answers a call with this body, or with none. */
export function answerWith(s: State, call: Inbound, body: Uint8Array, metadata: Metadata | undefined, flags: number): void {
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
