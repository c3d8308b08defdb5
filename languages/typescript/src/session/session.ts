/**
 * A session of either side, as its driver sees it.
 *
 * @module
 */

import { ClosedError, ConnectError, type Status } from "../errors.js";
import type { Member, Protocol } from "../protocol.js";
import { Fault } from "../wire/fault.js";
import { PING } from "../wire/header.js";
import type { Metadata } from "../wire/messages.js";
import { NOTHING } from "../wire/payload.js";
import { consume, relieve, wake } from "./credit.js";
import { beginClose, end, handleDrainTimeout, handleFault, isFinished, linger } from "./drain.js";
import type { AnswerItem, Event, Message, MsgId, RequestItem } from "./event.js";
import { pushOvertaking } from "./frames.js";
import { cancel, expire } from "./give-up.js";
import { lost, refused } from "./lifecycle.js";
import { handleFrame } from "./receive.js";
import type { SessionParts } from "./parts.js";
import { call, canSend, flushWaiting, ping, send } from "./send.js";
import type { Settings } from "./settings.js";
import { PLACE, State, type Phase } from "./state.js";

/** How a message or a call is sent. */
export interface SendOptions {
  /** How long its sender waits; default that of the member. `Infinity` is without limit. */
  readonly timeoutMs?: number;
  readonly metadata?: Metadata | undefined;
  /** The topic of a broker. */
  readonly topic?: string;
  /** Whether the body is compressed already, with the algorithm's byte in front. */
  readonly compressed?: boolean;
  /** The key that the schema names, where `metadata` has none: goes along to a topic, and tells STATEs of a member apart while they wait. */
  readonly key?: string | undefined;
}

/** How an answer is sent. */
export interface BodyOptions {
  readonly metadata?: Metadata | undefined;
  readonly compressed?: boolean;
}

/**
 * What both sides do. Times are milliseconds of any clock that does not go back.
 *
 * After each call of a method `poll` may have something, and `transmit` too.
 */
export abstract class Session {
  /** @internal */
  readonly s: State;
  readonly protocol: Protocol;

  /** @internal */
  protected constructor(protocol: Protocol, settings: Settings, server: boolean, parts: SessionParts) {
    this.protocol = protocol;
    const s = (this.s = new State(protocol, settings, server, parts));
    s.handle = (frame) => handleFrame(s, frame);
  }

  /** Where the session is: before its first connection, in a handshake, open, without a connection, or ended. */
  get phase(): Phase {
    return this.s.phase;
  }

  /** The number of the connection; each loss begins the next one. */
  get connection(): number {
    return this.s.connection;
  }

  /** How many one-way messages were dropped: under pressure by their kind, or with a lost connection. */
  get dropped(): number {
    return this.s.dropped;
  }

  /** The largest body that the peer accepts, in bytes. */
  get peerMaxBody(): number {
    return this.s.peerMaxBody;
  }

  /** Whether all is done: close the transport once {@link transmit} has nothing left. */
  get isFinished(): boolean {
    return isFinished(this.s);
  }

  /** Whether the driver should not read from its transport now: the peer does not read what it is owed. */
  get isPaused(): boolean {
    const { outgoing, limits, inboundCalls, events } = this.s;
    return outgoing.provoked > this.#mostProvoked || (events.isHolding && (inboundCalls?.bytes ?? 0) > limits.maxCallBytes / 2);
  }

  /** How much of what reading alone leads to may wait: what the peer's open calls lead to. */
  get #mostProvoked(): number {
    return Math.min(Math.max(256 * this.s.limits.maxCalls, 262_144), 8_388_608);
  }

  /** Bytes have come, in any pieces. Never throws: a peer that breaks the protocol leads to the event `closed`. */
  receive(data: Uint8Array, now: number): void {
    const { s } = this;
    s.now = now;
    s.keepalive.received(now);
    if (s.phase === "over") {
      return;
    }
    try {
      s.decoder.push(data, now, s.handle);
      if (s.outgoing.provoked > 4 * this.#mostProvoked) {
        // A driver that cannot pause, such as a page, has no other way.
        throw new Fault("it reads nothing", 0n, "RESOURCE_EXHAUSTED");
      }
    } catch (error) {
      if (!(error instanceof Fault)) {
        throw error;
      }
      handleFault(s, error);
    }
  }

  /** The transport is gone: the session waits for the next one, or ends, and then all that was open has failed. */
  lost(now: number): void {
    this.s.now = now;
    lost(this.s);
  }

  /** When {@link handleTimeout} is to be called next. */
  timeout(): number | undefined {
    const { s } = this;
    let next = Math.min(s.phaseEnds, s.nextDeadline);
    if (s.phase === "open") {
      next = Math.min(next, s.decoder.deadline);
      next = Math.min(next, s.keepalive.timeout);
      for (const window of s.starved) {
        next = Math.min(next, window.usedUpSince! + 100);
        break;
      }
      if (s.drain) {
        const { deadline, streamsAt, lingerUntil } = s.drain;
        next = Math.min(next, lingerUntil === Infinity ? Math.min(deadline, streamsAt) : lingerUntil);
      }
    }
    return next === Infinity ? undefined : next;
  }

  /** Does what is due. */
  handleTimeout(now: number): void {
    const { s } = this;
    s.now = now;
    expire(s);
    if (now >= s.phaseEnds) {
      return s.phase === "handshake"
        ? refused(s, new ConnectError("DEADLINE_EXCEEDED", "no answer to the HELLO in time"))
        : end(s, new ClosedError("UNAVAILABLE", "the session has expired"));
    }
    if (s.phase !== "open") {
      return;
    }
    if (now >= s.decoder.deadline) {
      return handleFault(s, new Fault("a frame is not complete in time", 0n, "DEADLINE_EXCEEDED"));
    }
    if (now >= s.keepalive.deadAt) {
      const silence = now - s.keepalive.lastReceived;
      s.emit({ type: "lost", status: new ClosedError("UNAVAILABLE", `the peer is dead: silent for ${silence} ms`) });
      return lost(s);
    }
    if (s.keepalive.isDue(now)) {
      const id = s.nextId();
      pushOvertaking(s, PING, id, NOTHING);
      s.keepalive.pinged(id, now);
    }
    relieve(s);
    handleDrainTimeout(s);
  }

  /** What happened next. */
  poll(): Event | undefined {
    const { s } = this;
    for (;;) {
      const { owed } = s.outgoing;
      const event = s.events.next(owed > s.limits.outgoingQueue || s.isShort(owed));
      if (event?.type !== "request" || s.inboundCalls?.start(s, event.id)) {
        return event;
      }
    }
  }

  /** What is to be written next: at most 64 KiB, empty where there is nothing. It counts as handed to the transport. */
  transmit(): Uint8Array {
    const { s } = this;
    const bytes = s.outgoing.transmit();
    if (bytes.length > 0) {
      if (s.droppable?.size) {
        flushWaiting(s);
      }
      if (s.hasPlace) {
        wake(s, PLACE);
        if (s.blockedStreams.size > 0) {
          s.parts.streams?.wake(s);
        }
      }
    }
    if (s.drain) {
      linger(s);
    }
    return bytes;
  }

  /** Whether a call, or a message, with a body of this size would be taken now. If not, a `writable` of id 0 follows. */
  canSend(member: Member, size: number): boolean {
    return canSend(this.s, member, size);
  }

  /**
   * Calls. Of a stream of requests the body is the first item, or empty.
   *
   * @throws Status where it cannot be sent: `UNAVAILABLE` without a connection or after CLOSE, `RESOURCE_EXHAUSTED` without
   * capacity or for a body over the peer's limit, `INVALID_ARGUMENT` for metadata that it may not have, and
   * `DEADLINE_EXCEEDED` where no time is left.
   */
  call(member: Member, body: Uint8Array, now: number, options?: SendOptions): MsgId {
    this.s.now = now;
    return call(this.s, member, body, options);
  }

  /** Sends a message that is not answered, or a delivery where the member is acknowledged. Throws as {@link call} does. */
  send(member: Member, body: Uint8Array, now: number, options?: SendOptions): MsgId {
    this.s.now = now;
    return send(this.s, member, body, options);
  }

  /** Nobody waits for this exchange any more: CANCEL, or nothing where it was not sent yet. No event of it follows. */
  cancel(id: MsgId, now: number): void {
    this.s.now = now;
    cancel(this.s, id);
  }

  /** Answers a call of the peer. */
  answer(id: MsgId, body: Uint8Array, options?: BodyOptions): void {
    this.s.inboundCalls?.answer(this.s, id, body, options?.metadata, options?.compressed);
  }

  /** Answers a call or a delivery with an error. */
  fail(id: MsgId, status: Status): void {
    const { s } = this;
    if (!s.deliveries?.answer(s, id, status)) {
      s.inboundCalls?.fail(s, id, status);
    }
  }

  /** The handler of a delivery has returned. */
  acknowledge(id: MsgId): void {
    this.s.deliveries?.answer(this.s, id);
  }

  /** A message or an item is done with: its credit may be granted again. */
  finished(event: Message | RequestItem | AnswerItem, now: number): void {
    const { s } = this;
    s.now = now;
    if (event.connection !== s.connection || s.phase !== "open") {
      return;
    }
    const window = event.type === "message" ? s.receiveWindow : (s.inboundCalls?.open.get(event.id) ?? s.calls.get(event.id))?.receive;
    if (window && event.size > 0) {
      consume(s, window, 1, event.size);
    }
  }

  /** Sends a PING, which a `pong` or a `failed` answers. Throws as {@link call} does. */
  ping(now: number, payload: Uint8Array = NOTHING): MsgId {
    this.s.now = now;
    return ping(this.s, payload);
  }

  /** Says CLOSE: opens and accepts nothing new, and finishes what is open. A session without a connection just ends. */
  close(status: Status, now: number): void {
    this.s.now = now;
    beginClose(this.s, status);
  }

  /** Ends the connection and the session at once, with an ERROR and a CLOSE. */
  abort(status: Status): void {
    handleFault(this.s, new Fault(status.message, 0n, status.code));
  }
}
