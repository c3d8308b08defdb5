/**
 * What a session knows. What its parts do with it is in the modules of these parts.
 *
 * @module
 */

import type { Status } from "../errors.js";
import type { Member, Protocol } from "../protocol.js";
import { Decoder, type Frame } from "../wire/decoder.js";
import { MAX_HELLO } from "../wire/handshake.js";
import { ACCEPTING, EVENT, PUBLISH } from "../wire/header.js";
import type { Allowances } from "./allowances.js";
import type { Deliveries } from "./deliveries.js";
import type { Droppable } from "./droppable.js";
import type { Event } from "./event.js";
import { EventQueue } from "./event-queue.js";
import type { Outbound } from "./exchange.js";
import type { InboundCalls } from "./inbound-calls.js";
import { Keepalive } from "./keepalive.js";
import { Outgoing } from "./outgoing.js";
import type { SessionParts } from "./parts.js";
import type { Resumption } from "./resume.js";
import { withDefaults, type Limits, type Settings } from "./settings.js";
import { CONNECTION_WINDOW, ReceiveWindow, SendWindow } from "./window.js";

export type Phase = "idle" | "handshake" | "open" | "suspended" | "over";

/** What a sender may wait for: the queue, credit, or the end of another call. */
export const PLACE = 1;
export const CREDITS = 2;
export const CALLS = 4;
export const ANYTHING = 7;

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

/** A protocol that is spoken: what the peer may send, by number, and the schema that it is told. */
export type Spoken = Pick<State, "members" | "description">;

/** The state of a session. */
export class State {
  limits: Limits;
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
  readonly events = new EventQueue();

  /** The exchanges of this side, by id: calls, deliveries, pings and subscriptions. */
  calls = new Map<bigint, Outbound>();
  /** How many of `calls` are calls, abandoned ones included. */
  openCalls = 0;
  /** How many of those nobody waits for, though the peer has not ended them. */
  abandoned = 0;
  /** No exchange times out before this. */
  nextDeadline = Infinity;
  sequence = 0n;
  /** Calls of the peer. */
  readonly inboundCalls: InboundCalls | undefined;
  /** Messages that are acknowledged. */
  readonly deliveries: Deliveries | undefined;
  /** What outlives a connection. */
  readonly resumption: Resumption | undefined;
  /** STATE, LOG and METRIC that wait for capacity. */
  readonly droppable: Droppable | undefined;
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

  /** What the peer may not do too often. */
  readonly allowances: Allowances | undefined;

  /** What this side's schema is, where the peer is told, and how often it was. */
  readonly description: string | undefined;
  described = 0;

  /** What the peer may send, by number. */
  readonly members = new Map<number, Member>();
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
    readonly parts: SessionParts,
  ) {
    this.limits = withDefaults(settings);
    this.droppable = parts.droppable?.(this.limits.outgoingQueue / 8);
    this.resumption = parts.resumption?.();
    this.deliveries = parts.deliveries?.();
    this.inboundCalls = parts.inboundCalls?.();
    this.allowances = parts.allowances?.();
    this.description = protocol.description;
    this.keepalive = new Keepalive(this.limits.pingIntervalMs, 0);
    for (const member of server ? protocol.clientToServer : protocol.serverToClient) {
      this.members.set(member.number, member);
    }
  }

  /** What is spoken at a topic. One session may speak several protocols through a broker. */
  at(_topic: string): Spoken {
    return this;
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

  /** Whether something waits that has to be sent before all else. */
  get isWaiting(): boolean {
    return this.resumption?.isWaiting ?? false;
  }

  /** Whether the queue has place. */
  get hasPlace(): boolean {
    const { cost } = this.outgoing;
    return cost < this.limits.outgoingQueue && !this.isShort(cost);
  }

  /** Whether memory is short, and so much is more than the connection may hold then. */
  isShort(held: number): boolean {
    return this.limits.budget?.isShortFor(held) ?? false;
  }

  /** Notes what happened. */
  emit(event: Event): void {
    this.events.push(event);
  }
}
