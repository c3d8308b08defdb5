/** Messages of the peer, from a body to the handler's method and back. */

import type { ClientHandler } from "../client/options.js";
import { unwrap } from "../codec/protobuf.js";
import { Status } from "../errors.js";
import { EncodeError } from "../message/errors.js";
import type { Member } from "../protocol.js";
import { inboundMessages as sessionInboundMessages, type Event, type Identity, type Message, type MsgId, type Request, type SessionParts } from "../session/index.js";
import { NOTHING } from "../wire/payload.js";
import type { Bodies } from "./bodies.js";
import type { Driver } from "./driver.js";
import { HandlerContext } from "./handler-context.js";
import type { RequestQueue, Streams } from "./inbound-streams.js";
import { Lane } from "./lane.js";
import type { ClearedState } from "./options.js";

/** What is asked of the connection. */
export interface InboundHost {
  readonly driver: Driver;
  readonly bodies: Bodies;
  answerOf(member: Member): Member;
  /** The user's handler: methods by the names of {@link Member.handler}. */
  readonly handler: object;
  /** What handlers are given to send and call with. */
  readonly peer: unknown;
  /** Where no handler may be called yet. */
  readonly isHeldUp: boolean;
  /** Who the peer is, as the server has authenticated it. */
  readonly identity: Identity | undefined;
  /** What calls with streams need; nothing where no call of the peer has one. */
  readonly streams: Streams | undefined;
  /** A handler has thrown something that is no `Status`. */
  onHandlerError(error: unknown, member: Member): void;
  /** The topic that handlers are told for this one. */
  topicOf(event: Message | Request): string;
  /** A message was handled: as much may be sent again. */
  handled(event: Message): void;
  /** A call has ended. */
  onCallOver?(id: MsgId): void;
}

/** What a connection needs for what the peer begins: values, so that a client whose schema has nothing of that is made without them. */
export interface InboundPart<P extends keyof SessionParts> {
  readonly session: SessionParts[P];
  readonly inbound: (host: InboundHost) => Inbound;
}

/** Messages of the peer, for a connection whose protocol has some. */
export const inboundMessages: InboundPart<"inboundMessages"> = { session: sessionInboundMessages, inbound: (host) => new Inbound(host) };

/**
 * Messages are handled one after the other. Urgent ones have a queue of their own. What waits is bounded by the credit that the peer has.
 */
export class Inbound {
  protected readonly host: InboundHost;
  readonly #urgent = new Lane();
  readonly #normal = new Lane();

  constructor(host: InboundHost) {
    this.host = host;
  }

  /** How many calls of the peer are open. */
  get openCount(): number {
    return 0;
  }

  /** Takes what the peer has sent; false where it is something else. */
  onEvent(event: Event): boolean {
    const isMessage = event.type === "message";
    if (isMessage) this.take(new Handling(this.host, event));
    return isMessage;
  }

  /** Handles what waits, unless it is held up. */
  proceed(): void {
    if (this.host.isHeldUp) return;
    this.#urgent.run();
    this.#normal.run();
  }

  /** Does this once the messages that wait were handled. */
  afterMessages(work: () => void): void {
    this.#normal.push(work);
    this.proceed();
  }

  /** Ends handlers whose callers wait no more; returns when the next one's time is over. */
  expire(_at: number): number {
    return Infinity;
  }

  /** The peer is gone for good: handlers are told, and nothing more is handled. */
  stopAll(_status: Status): void {
    this.#urgent.clear();
    this.#normal.clear();
  }

  /** What waits for its handler from now on. */
  protected take(handling: Handling<Message | Request>): void {
    (handling.event.member.urgent === true ? this.#urgent : this.#normal).push(() => handling.run());
    this.proceed();
  }
}

/** A message of the peer, or a call, from its body to the handler's method and back. */
export class Handling<E extends Message | Request = Message> {
  readonly event: E;
  protected readonly host: InboundHost;
  protected readonly session: Driver["session"];
  protected readonly context: HandlerContext;
  /** Of a call: its stream of requests. */
  requests: RequestQueue | undefined;
  /** Of a call: why nobody waits for it any more. */
  protected stopped: Status | undefined;
  /** Set when it has been answered. */
  protected isOver = false;

  constructor(host: InboundHost, event: E) {
    this.host = host;
    this.event = event;
    this.session = host.driver.session;
    this.context = new HandlerContext(host, event);
  }

  /** A session that was lost has nobody to answer. */
  get #isCurrent(): boolean {
    return this.host.driver.session === this.session;
  }

  /** Calls the handler. The promise, where there is one, is settled when it is done. */
  run(): void | Promise<void> {
    try {
      const result = this.#invoke();
      if (isPromise(result)) return result.then((answer) => this.done(answer)).catch((error: unknown) => this.fail(error));
      this.done(result);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Calls the handler's method, which is given the message, or the stream of requests. */
  #invoke(): unknown {
    const { event, context } = this;
    const { handler, bodies } = this.host;
    const { member } = event;
    if ("cleared" in event && event.cleared) {
      // Handlers hear of values by their members' methods: of a STATE that is cleared there is none.
      const cleared = event.metadata?.cleared;
      const value = cleared ? unwrap(member, cleared, Infinity) : member.message?.decode(NOTHING);
      const state: ClearedState = { member: member.name, value };
      return (handler as ClientHandler<unknown>).onStateCleared?.(state, context);
    }
    const method = (handler as Record<string, unknown>)[member.handler ?? ""];
    if (typeof method !== "function") throw new Status("UNIMPLEMENTED", `there is no handler for ${member.name}`);
    const message = this.requests ?? bodies.decode(member, event.body, event.compressed);
    // That of a member that carries nothing has the context alone.
    return member.message === undefined ? method.call(handler, context) : method.call(handler, message, context);
  }

  /** The handler has returned. */
  protected done(_answer: unknown): void {
    this.end(() => this.session.acknowledge(this.event.id));
  }

  protected fail(error: unknown): void {
    const { event, context } = this;
    let status = this.stopped ?? error;
    // An answer that cannot be written is a fault of the handler, too.
    if (!(status instanceof Status) || status.cause instanceof EncodeError) this.host.onHandlerError(error, event.member);
    if (!(status instanceof Status)) status = new Status("INTERNAL", "the handler failed");
    const { code, message, cause, details, headers } = status as Status;
    const answered = context.answerMetadata();
    const told = answered !== undefined && headers.size === 0 ? new Status(code, message, { cause, details, ...answered }) : (status as Status);
    this.end(() => {
      if (event.type === "request" || event.delivery) this.session.fail(event.id, told);
    });
  }

  protected end(respond: () => void): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.#isCurrent) {
      try {
        respond();
      } catch (error) {
        this.session.fail(this.event.id, error instanceof Status ? error : new Status("INTERNAL", String(error)));
      }
    }
    this.over();
    this.host.driver.scheduleFlush();
  }

  /** It is over. */
  protected over(): void {
    if (this.#isCurrent) this.host.handled(this.event as Message);
  }
}

function isPromise(result: unknown): result is Promise<unknown> {
  return typeof (result as { then?: unknown } | undefined)?.then === "function";
}
