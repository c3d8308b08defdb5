/**
 * What a session knows, and the few things that all of its parts do with it.
 *
 * @module
 */

import { Status, type Code } from "../errors.js";
import type { Member, Protocol } from "../protocol.js";
import { Decoder, type Frame } from "../wire/decoder.js";
import { Fault } from "../wire/fault.js";
import { ACCEPTING, CANCEL, CLOSE, CREDIT, ERROR, EVENT, META, PUBLISH, URGENT } from "../wire/header.js";
import { MAX_HELLO } from "../wire/handshake.js";
import { writeCredit } from "../wire/credit.js";
import { BESIDE_BODY, MAX_ERROR_METADATA, NOTHING, prefix } from "../wire/payload.js";
import { MAX_LONG_TEXT, MAX_TEXT, writeText } from "../wire/text.js";
import { TokenBucket } from "./bucket.js";
import type { Droppable } from "./droppable.js";
import { EndedCalls } from "./ended.js";
import type { Event } from "./event.js";
import { ANSWER, CALL, DELIVERING, NONE, type Inbound, type Outbound, type Streams } from "./exchange.js";
import { Keepalive } from "./keepalive.js";
import { OWN, OutFrame, Outgoing, PROVOKED, RESPONSE } from "./outgoing.js";
import { ReceivedDeliveries } from "./received.js";
import { withDefaults, type Limits, type Settings } from "./settings.js";
import type { SessionStreams } from "./streams.js";
import { CONNECTION_WINDOW, RELIEF, ReceiveWindow, SendWindow } from "./window.js";

export type Phase = "idle" | "handshake" | "open" | "suspended" | "over";

/** What a sender may wait for: the queue, credit, or the end of another call. */
export const PLACE = 1;
export const CREDITS = 2;
export const CALLS = 4;
export const ANYTHING = 7;

/** How many frames of a stream may be under way when its exchange ends. */
const LATE_FRAMES = 32;
const UNWANTED = "unwanted frames";
export const UNEARNED = "CREDITs beyond one for each message";
const DEFAULT_MAX_BODY = 4_194_304;

/** What drains: either side has said CLOSE. */
export interface Drain {
  readonly reason: string;
  /** Until when open exchanges may finish. */
  deadline: number;
  /** When calls with streams are ended; `Infinity` where there are none. */
  streamsAt: number;
  /** Until when the peer may close the transport; `Infinity` where something is open. */
  lingerUntil: number;
}

/** The state of a session. */
export class State {
  readonly limits: Limits;
  phase: Phase = "idle";
  /** The latest time that was given. */
  now = 0;
  /** The number of the connection. */
  connection = 0;
  /** How long the session is kept without a connection; 0 is not at all. */
  expiry = 0;
  /** Until when the handshake has to be done, or a connection to be there. */
  phaseEnds = Infinity;
  /** Until when a session that a handshake is to resume is kept. */
  sessionEnds = Infinity;

  readonly decoder = new Decoder(MAX_HELLO);
  readonly outgoing = new Outgoing();
  keepalive: Keepalive;
  #events: Event[] = [];
  #polled = 0;
  /** What handlers get once the peer has read some of what it is owed. */
  #held: Event[] = [];

  /** Calls, pings and subscriptions of this side, by id, and its deliveries, in their order. */
  calls = new Map<bigint, Outbound>();
  deliveries = new Map<bigint, Outbound>();
  /** How many of `calls` are calls, abandoned ones included. */
  openCalls = 0;
  /** How many of those nobody waits for, though the peer has not ended them. */
  abandoned = 0;
  /** No exchange times out before this. */
  nextDeadline = Infinity;
  /** What the kept deliveries cost. */
  keptCost = 0;
  sequence = 0n;
  deliverySequence = 0n;
  /** Calls of the peer, and its deliveries whose handlers have not returned: whether they are urgent. */
  inbound = new Map<bigint, Inbound>();
  inboundBytes = 0;
  inboundDeliveries = new Map<bigint, boolean>();
  /** How many of `inbound` run on for nobody. */
  orphans = 0;
  received = new ReceivedDeliveries();
  ended = new EndedCalls();
  /** What the next connection sends first. */
  waiting: OutFrame[] = [];
  waitingCost = 0;
  /** STATE, LOG and METRIC that wait for capacity; made when the first one does. */
  droppable: Droppable | undefined = undefined;
  /** How many one-way messages were dropped. */
  dropped = 0;

  sendWindow = new SendWindow(CONNECTION_WINDOW);
  receiveWindow = new ReceiveWindow(CONNECTION_WINDOW, 0n, true);
  /** Windows that are used up, the first one for longest. */
  starved = new Set<ReceiveWindow>();
  /** Senders of calls or messages were refused, for want of these: bits of {@link PLACE}, {@link CREDITS}, {@link CALLS}. */
  blocked = 0;
  /** It was one of an EVENT or a COMMAND, which LOG and METRIC must not hold up. */
  blockedMessage = false;
  /** Senders of items that were refused. */
  blockedStreams = new Set<bigint>();

  /** What the peer accepts. */
  peerMaxBody = DEFAULT_MAX_BODY;
  peerMaxCalls = 1024;
  peerEndsCancelled = false;
  errorMetadata = false;
  compresses = false;
  topics = false;
  /** Both have the same schema, so that what cannot be read is a fault. */
  sameSchema = true;

  drain: Drain | undefined = undefined;
  /** This side has said CLOSE, or is about to. */
  closing = false;
  closeReceived = false;
  /** A CLOSE that goes out behind what waits. */
  pendingClose: Status | undefined = undefined;

  readonly unwanted = new TokenBucket(2000, 200);
  readonly cancels = new TokenBucket(10_000, 1000);
  lateOut = 0;
  lateIn = 0;

  /** What this side's schema is, where the peer is told, and how often it was. */
  readonly description: string | undefined;
  described = 0;

  /** What the peer may send, by number. */
  readonly members = new Map<number, Member>();
  /** What streams need; nothing where no call of the protocol has one. */
  streams: SessionStreams | undefined = undefined;
  /** Handles a frame. */
  handle: (frame: Frame) => boolean = () => false;
  /** What a role does in a handshake, and with a SUBSCRIBE. */
  onHandshake: (frame: Frame) => void = () => undefined;
  onSubscribe: ((frame: Frame) => void) | undefined = undefined;

  constructor(
    protocol: Protocol,
    settings: Settings,
    /** Whether this is the accepting side. */
    readonly server: boolean,
  ) {
    this.limits = withDefaults(settings);
    this.description = protocol.description;
    this.keepalive = new Keepalive(this.limits.pingInterval, 0);
    for (const member of server ? protocol.clientToServer : protocol.serverToClient) {
      this.members.set(member.number, member);
    }
  }

  /** The type of frames by which this side begins an exchange. */
  get opening(): number {
    return this.server ? EVENT : PUBLISH;
  }

  nextId(): bigint {
    this.sequence++;
    return this.server ? this.sequence | ACCEPTING : this.sequence;
  }

  /** Whether there is no connection yet, and may be one. */
  get isOffline(): boolean {
    return this.phase === "suspended" || this.phase === "handshake";
  }

  get isClosing(): boolean {
    return this.closing || this.closeReceived;
  }

  /** Whether the queue has place. */
  get hasPlace(): boolean {
    return this.outgoing.cost < this.limits.outgoingQueue;
  }

  /** Notes what happened. */
  emit(event: Event): void {
    this.#events.push(event);
  }

  /** What happened next. What begins a handler waits while the peer is owed more than it reads. */
  poll(): Event | undefined {
    for (;;) {
      const isOwed = this.outgoing.owed > this.limits.outgoingQueue;
      let event = isOwed ? undefined : this.#held.shift();
      if (!event) {
        event = this.#events[this.#polled];
        if (!event) {
          this.#events.length = this.#polled = 0;
          return undefined;
        }
        this.#events[this.#polled++] = undefined as unknown as Event;
        const { type } = event;
        if ((isOwed || this.#held.length > 0) && (type === "request" || type === "message" || type === "requestItem" || type === "requestEnd" || type === "notice")) {
          this.#held.push(event);
          continue;
        }
      }
      if (event.type === "request") {
        const call = this.inbound.get(event.id);
        if (call?.interest !== ANSWER) {
          // Nobody waits for it any more: its handler does not begin.
          this.endInbound(event.id);
          continue;
        }
        call.started = true;
      }
      return event;
    }
  }

  /** Whether handlers wait for the peer to read. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  // Frames of this side.

  control(type: number, id: bigint, body: Uint8Array, urgent: boolean, role: number = OWN): void {
    this.outgoing.push(new OutFrame(type, urgent && id !== 0n ? URGENT : 0, id, body, NOTHING, 0, undefined, role), urgent);
  }

  /** A frame of no exchange, which has no flags, and goes before what waits. */
  overtaking(type: number, id: bigint, body: Uint8Array, role: number = OWN): void {
    this.outgoing.push(new OutFrame(type, 0, id, body, NOTHING, 0, undefined, role), true);
  }

  /** Answers an exchange with an error of the session. */
  pushError(id: bigint, urgent: boolean, code: Code, text: string, role: number = PROVOKED): void {
    this.control(ERROR, id, writeText(code, text), urgent, role);
  }

  /** Answers an exchange with an error of what is above the session, and with what goes with it. */
  statusFrame(id: bigint, urgent: boolean, status: Status): OutFrame {
    let { message } = status;
    if (status.code === "UNAVAILABLE" && (message === "not received" || message === "not accepted")) {
      // Those two texts are the session's own statements.
      message += ", says the handler";
    }
    let flags = urgent ? URGENT : 0;
    let before = NOTHING;
    const { headers, details } = status;
    if (this.errorMetadata && (headers.size > 0 || details.length > 0)) {
      try {
        before = prefix({ headers, details }, undefined, MAX_ERROR_METADATA);
        flags |= META;
      } catch {
        // What cannot be sent is left out: the text says enough.
      }
    }
    const text = writeText(status.code, message, this.errorMetadata ? MAX_LONG_TEXT : MAX_TEXT);
    if (before.length + text.length > this.peerMaxBody + BESIDE_BODY) {
      before = NOTHING;
      flags &= ~META;
    }
    return new OutFrame(ERROR, flags, id, text, before, 0, undefined, RESPONSE);
  }

  cancelFrame(exchange: Outbound): void {
    this.control(CANCEL, exchange.id, NOTHING, exchange.urgent);
  }

  /** Sends CLOSE once nothing waits that is to go before it. */
  sendClose(): void {
    const close = this.pendingClose;
    if (close && this.waiting.length === 0 && !this.droppable?.size) {
      this.pendingClose = undefined;
      this.control(CLOSE, 0n, writeText(close.code, close.message), false);
    }
  }

  // Credit.

  /** Something of a window was handled. */
  consume(window: ReceiveWindow, items: number, bytes: number): void {
    if (window.consume(items, bytes)) {
      this.grant(window);
    } else {
      this.watch(window);
    }
  }

  grant(window: ReceiveWindow): void {
    this.starved.delete(window);
    const [items, bytes] = window.grant();
    if (this.phase === "open") {
      this.control(CREDIT, window.id, writeCredit(items, bytes), window.urgent, PROVOKED);
    }
  }

  /** A window that is used up is granted after a while what was handled. */
  watch(window: ReceiveWindow): void {
    if (window.isUsedUp && window.usedUpSince === undefined) {
      window.usedUpSince = this.now;
      this.starved.add(window);
    }
  }

  relieve(): void {
    for (const window of this.starved) {
      if (this.now < window.usedUpSince! + RELIEF) {
        break;
      }
      this.starved.delete(window);
      if (window.hasPending) {
        this.grant(window);
      } else {
        window.isOverdue = true;
      }
    }
  }

  // The end of exchanges.

  /** Whoever was refused for want of this may try again. */
  wake(what: number): void {
    if (this.blocked & what) {
      this.blocked = 0;
      this.emit({ type: "writable", id: 0n });
    }
  }

  /** Closes an exchange of this side. */
  endOutbound(exchange: Outbound): void {
    if (exchange.type === DELIVERING) {
      this.deliveries.delete(exchange.id);
      this.keptCost -= exchange.cost;
    } else {
      this.calls.delete(exchange.id);
      if (exchange.type === CALL) {
        this.openCalls--;
        this.abandoned -= exchange.abandoned ? 1 : 0;
      }
    }
    if (exchange.streaming) {
      this.endStreams(exchange);
      this.lateOut += LATE_FRAMES;
    }
    this.wake(exchange.type === CALL ? CALLS : CREDITS);
  }

  endStreams(streams: Streams): void {
    if (streams.receive) {
      this.starved.delete(streams.receive);
    }
    streams.send = streams.receive = undefined;
    if (this.blockedStreams.delete(streams.id)) {
      this.emit({ type: "writable", id: streams.id });
    }
  }

  /** The handler of a call of the peer has ended. Returns it where its answer is awaited. */
  endInbound(id: bigint): Inbound | undefined {
    const call = this.inbound.get(id);
    if (!call) {
      return undefined;
    }
    this.inbound.delete(id);
    this.inboundBytes -= call.size;
    this.lateIn += 1;
    if (call.streaming) {
      this.endStreams(call);
      this.lateIn += LATE_FRAMES;
    }
    if (call.interest === ANSWER) {
      return call;
    }
    if (call.interest === NONE) {
      this.orphans--;
    } else if (this.phase === "open") {
      this.pushError(id, call.urgent, "CANCELLED", "given up by its caller", RESPONSE);
    }
    return undefined;
  }

  /** Nobody waits for a call of the peer any more. */
  disown(call: Inbound): void {
    if (call.interest === NONE) {
      return;
    }
    if (call.interest === ANSWER && call.started) {
      this.emit({ type: "cancelled", id: call.id });
    }
    call.interest = NONE;
    this.orphans++;
  }

  /** An exchange of this side has failed. */
  fail(exchange: Outbound, code: Code, text: string, repeatable = false): void {
    this.emit({ type: "failed", id: exchange.id, status: new Status(code, text), repeatable });
  }

  // What a peer may not do too often.

  /** A frame that only costs us: too many of them are a fault. */
  limit(id: bigint, what = UNWANTED): void {
    if (!this.unwanted.take(this.now)) {
      throw new Fault(`more than 200 ${what} a second`, { code: "RESOURCE_EXHAUSTED", id });
    }
  }

  /** What others have sent, and a broker passes on, is not its fault. */
  limitSent(id: bigint): void {
    if (!this.topics) {
      this.limit(id);
    }
  }

  /** A frame for an exchange that is not open: it may have been under way when that ended. */
  ignoreLate(frame: Frame): void {
    const isOwn = frame.accepting === this.server;
    if (isOwn ? frame.id !== 0n && this.lateOut > 0 : this.lateIn > 0) {
      if (isOwn) {
        this.lateOut--;
      } else {
        this.lateIn--;
      }
    } else {
      this.limit(frame.id);
    }
  }

  /** A call was refused: its caller may cancel it, and send items of it, before it has the answer. */
  refused(streaming: boolean): void {
    this.lateIn += streaming ? 1 + LATE_FRAMES : 1;
  }

  allowLate(frames: number): void {
    this.lateOut += frames;
  }
}
