/** A connection to a peer, over as many streams as its session lives: the driver, and the exchanges of both sides. */

import { Status } from "../errors.js";
import type { Member, Protocol } from "../protocol.js";
import type { ConnectionSettings } from "../settings/defaults.js";
import type { Event, Identity, Message, Request, Session } from "../session/index.js";
import type { Bodies } from "./bodies.js";
import { Driver, now, type DriverSink } from "./driver.js";
import type { InboundHost } from "./inbound.js";
import type { Streams } from "./inbound-streams.js";
import { Outbound, type OutboundHost } from "./outbound.js";

/** What the owner of a connection hears of it. */
export interface ConnectionOwner {
  /** An event that is no exchange's: `connected`, `draining`, `closed`. */
  onSessionEvent(event: Event): void;
  /** The stream has ended. */
  onStreamEnd(error: Error | undefined): void;
  /** Time has passed; returns when it wants to hear again. */
  onTick(now: number): number;
}

/** What takes what the peer begins. */
export interface InboundEvents {
  /** How many calls of the peer are open. */
  readonly openCount: number;
  /** Takes what has come; false where it is something else. */
  onEvent(event: Event): boolean;
  /** Handles what waits. */
  proceed(): void;
  /** Ends handlers whose callers wait no more; returns when the next one's time is over. */
  expire(at: number): number;
  /** The peer is gone for good. */
  stopAll(status: Status): void;
}

/** What a connection is made of. */
export interface ConnectionParts {
  readonly session: Session;
  readonly protocol: Protocol;
  readonly settings: ConnectionSettings;
  readonly handler: object;
  readonly topic: string;
  /** What calls with streams need, where the protocol has any. */
  readonly streams: Streams | undefined;
  readonly onError: (error: unknown, what: string) => void;
  readonly owner: ConnectionOwner;
  /** What takes what the peer begins, where the protocol has any of that. */
  readonly inbound?: ((connection: Connection) => InboundEvents) | undefined;
}

export class Connection implements DriverSink, InboundHost, OutboundHost {
  readonly driver: Driver;
  readonly inbound: InboundEvents | undefined;
  readonly outbound: Outbound;
  readonly writeTimeoutMs: number;
  readonly callTimeoutMs: number;
  readonly topic: string;
  readonly handler: object;
  readonly streams: Streams | undefined;
  /** Set before anything is handled. */
  peer: unknown;
  identity: Identity | undefined;
  bodies: Bodies;
  /** Whether the client logs in: others wait, and nothing is handled. */
  isLoggingIn = false;
  readonly #owner: ConnectionOwner;
  readonly #onError: (error: unknown, what: string) => void;
  readonly #answers: ReadonlyMap<Member, Member>;

  constructor(parts: ConnectionParts, bodies: Bodies) {
    const { protocol, settings } = parts;
    this.writeTimeoutMs = settings.writeTimeoutMs;
    this.callTimeoutMs = settings.callTimeoutMs;
    this.topic = parts.topic;
    this.handler = parts.handler;
    this.streams = parts.streams;
    this.bodies = bodies;
    this.#owner = parts.owner;
    this.#onError = parts.onError;
    this.#answers = answersOf(protocol);
    this.driver = new Driver(parts.session, this, settings.writeTimeoutMs);
    this.outbound = new Outbound(this);
    this.inbound = parts.inbound?.(this);
  }

  get isHeldUp(): boolean {
    return this.isLoggingIn;
  }

  isOpenFor(isLogin: boolean): boolean {
    return isLogin || !this.isLoggingIn;
  }

  answerOf(member: Member): Member {
    const answer = this.#answers.get(member);
    if (answer === undefined) throw new Status("INTERNAL", `${member.name} has no answer`);
    return answer;
  }

  onHandlerError(error: unknown, member: Member): void {
    this.#onError(error, `the handler of ${member.name} failed`);
  }

  topicOf(event: Message | Request): string {
    return event.topic;
  }

  handled(event: Message): void {
    this.driver.session.finished(event, now());
  }

  /** The login is over: what has waited goes on. */
  loggedIn(): void {
    this.isLoggingIn = false;
    this.outbound.proceed();
    this.inbound?.proceed();
  }

  onEvent(event: Event): void {
    if (this.outbound.onEvent(event) || this.inbound?.onEvent(event)) return;
    this.#owner.onSessionEvent(event);
  }

  onStreamEnd(error: Error | undefined): void {
    this.#owner.onStreamEnd(error);
  }

  onTick(at: number): number {
    return Math.min(this.outbound.expire(at), this.inbound?.expire(at) ?? Infinity, this.#owner.onTick(at));
  }

  /** Ends: what is open fails, and nothing is left. */
  stop(status: Status): void {
    this.driver.stop();
    this.outbound.failAll(status);
    this.inbound?.stopAll(status);
  }
}

/** The member that answers each call, in either direction. */
export function answersOf(protocol: Protocol): ReadonlyMap<Member, Member> {
  const answers = new Map<Member, Member>();
  const { clientToServer, serverToClient } = protocol;
  for (const [calls, others] of [[clientToServer, serverToClient], [serverToClient, clientToServer]] as const) {
    for (const member of calls) {
      const answer = others.find(({ number }) => number === member.answer);
      if (answer !== undefined) answers.set(member, answer);
    }
  }
  return answers;
}
