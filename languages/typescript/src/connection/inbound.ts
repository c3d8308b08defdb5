/** What the peer begins: its messages and calls, from a body to the handler's method and back. */

import type { ClientHandler } from "../client/options.js";
import { unwrap } from "../codec/protobuf.js";
import { Status } from "../errors.js";
import { EncodeError } from "../message/errors.js";
import type { Member } from "../protocol.js";
import type { Event, Identity, Message, MsgId, Request } from "../session/index.js";
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

/**
 * One-way messages are handled one after the other, and a call begins when the handlers of all messages before it have returned. Calls
 * run side by side. Urgent ones have a queue of their own. What waits is bounded by the credit that the peer has, and by `maxCalls`.
 */
export class Inbound {
  readonly #host: InboundHost;
  readonly #urgent = new Lane();
  readonly #normal = new Lane();
  readonly #calls = new Map<MsgId, Handling>();
  #nextDeadline = Infinity;

  constructor(host: InboundHost) {
    this.#host = host;
  }

  /** How many calls of the peer are open. */
  get openCount(): number {
    return this.#calls.size;
  }

  /** Whether messages wait for their handlers. */
  get isIdle(): boolean {
    return this.#calls.size === 0 && this.#urgent.isIdle && this.#normal.isIdle;
  }

  /** Takes what the peer has sent; false where it is something else. */
  onEvent(event: Event): boolean {
    switch (event.type) {
      case "request":
        this.#nextDeadline = Math.min(this.#nextDeadline, event.deadline);
        this.#calls.set(event.id, this.#take(event));
        this.proceed();
        return true;
      case "message":
        this.#take(event);
        this.proceed();
        return true;
      case "cancelled":
        this.#calls.get(event.id)?.stop(new Status("CANCELLED", "given up by its caller"));
        return true;
      case "writable": {
        const call = this.#calls.get(event.id);
        call?.pump?.proceed();
        return call !== undefined;
      }
      case "requestItem":
      case "requestEnd":
        this.#host.streams?.onRequests(this.#host, event, this.#calls.get(event.id)?.requests);
        return true;
      default:
        return false;
    }
  }

  /** Handles what waits, unless it is held up. */
  proceed(): void {
    if (this.#host.isHeldUp) return;
    this.#urgent.run();
    this.#normal.run();
  }

  /** Does this once the messages that wait were handled. */
  afterMessages(work: () => void): void {
    this.#normal.push(work);
    this.proceed();
  }

  /** Ends handlers whose callers wait no more; returns when the next one's time is over. */
  expire(at: number): number {
    if (at < this.#nextDeadline) return this.#nextDeadline;
    this.#nextDeadline = Infinity;
    for (const call of this.#calls.values()) {
      const { deadline } = call.event;
      if (deadline <= at) call.stop(new Status("DEADLINE_EXCEEDED", "the caller's time is over"));
      else this.#nextDeadline = Math.min(this.#nextDeadline, deadline);
    }
    return this.#nextDeadline;
  }

  /** The peer is gone for good: handlers are told, and nothing more is handled. */
  stopAll(status: Status): void {
    this.#urgent.clear();
    this.#normal.clear();
    for (const call of [...this.#calls.values()]) call.stop(status);
    this.#calls.clear();
  }

  /** What waits for its handler from now on. */
  #take(event: Message | Request): Handling {
    const host = this.#host;
    const handling = new Handling(host, event, () => {
      if (event.type === "request") {
        this.#calls.delete(event.id);
        host.onCallOver?.(event.id);
      } else if (handling.isCurrent) host.handled(event);
      host.driver.scheduleFlush();
    });
    (event.member.urgent === true ? this.#urgent : this.#normal).push(() => handling.run());
    return handling;
  }
}

/** A message or a call of the peer, from its body to the handler's method and back. */
class Handling {
  readonly event: Message | Request;
  /** Of a call: its stream of requests. */
  readonly requests: RequestQueue | undefined;
  /** Of a call: what sends its stream of answers. */
  pump: { proceed(): void; stop(): void } | undefined;
  readonly #host: InboundHost;
  readonly #session: Driver["session"];
  readonly #context: HandlerContext;
  readonly #onOver: () => void;
  /** Set when it has been answered. */
  #isOver = false;
  #stopped: Status | undefined;

  constructor(host: InboundHost, event: Message | Request, onOver: () => void) {
    this.#host = host;
    this.event = event;
    this.#session = host.driver.session;
    this.#onOver = onOver;
    this.#context = new HandlerContext(host, event);
    this.requests = event.type === "request" ? host.streams?.requestsOf(host, event) : undefined;
  }

  /** A session that was lost has nobody to answer. */
  get isCurrent(): boolean {
    return this.#host.driver.session === this.#session;
  }

  /** Calls the handler. Of a message the promise, where there is one, is settled when it is done; calls run side by side. */
  run(): void | Promise<void> {
    const { event } = this;
    try {
      if (this.#stopped !== undefined) throw this.#stopped;
      const result = this.#invoke();
      const { streams } = this.#host;
      if (streams !== undefined && event.type === "request" && event.member.responseStream === true) {
        this.pump = streams.answerAll(this.#host, event, result, {
          session: this.#session,
          isOver: () => this.#isOver,
          end: (respond) => this.#end(() => respond(this.#session, event.id, this.#context.answerMetadata())),
          fail: (error) => this.#fail(error),
        });
      } else if (isPromise(result)) {
        const done = result.then((answer) => this.#done(answer)).catch((error: unknown) => this.#fail(error));
        return event.type === "message" ? done : undefined;
      } else this.#done(result);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Nobody waits for it any more. It counts until its handler has ended. */
  stop(status: Status): void {
    if (this.#isOver || this.#stopped !== undefined) return;
    this.#stopped = status;
    this.#context.abort(status);
    this.requests?.fail(status);
    if (this.pump !== undefined) {
      this.pump.stop();
      this.#fail(status);
    }
  }

  /** Calls the handler's method, which is given the message, or the stream of requests. */
  #invoke(): unknown {
    const { event } = this;
    const { handler, bodies } = this.#host;
    const { member, body, compressed } = event;
    if ("cleared" in event && event.cleared) {
      // Handlers hear of values by their members' methods: of a STATE that is cleared there is none.
      const cleared = event.metadata?.cleared;
      const value = cleared ? unwrap(member, cleared, Infinity) : member.message?.decode(NOTHING);
      const state: ClearedState = { member: member.name, value };
      return (handler as ClientHandler<unknown>).onStateCleared?.(state, this.#context);
    }
    const method = (handler as Record<string, unknown>)[member.handler ?? ""];
    if (typeof method !== "function") throw new Status("UNIMPLEMENTED", `there is no handler for ${member.name}`);
    const message = this.requests ?? bodies.decode(member, body, compressed);
    // That of a member that carries nothing has the context alone.
    return member.message === undefined ? method.call(handler, this.#context) : method.call(handler, message, this.#context);
  }

  /** The handler has returned. */
  #done(answer: unknown): void {
    const { event } = this;
    const session = this.#session;
    if (event.type === "message") return this.#end(() => session.acknowledge(event.id));
    if (this.#stopped !== undefined) throw this.#stopped;
    const { bytes, compressed } = this.#host.bodies.encode(this.#host.answerOf(event.member), answer);
    this.#end(() => session.answer(event.id, bytes, { metadata: this.#context.answerMetadata(), compressed }));
  }

  #fail(error: unknown): void {
    const { event } = this;
    let status = this.#stopped ?? error;
    // An answer that cannot be written is a fault of the handler, too.
    if (!(status instanceof Status) || status.cause instanceof EncodeError) this.#host.onHandlerError(error, event.member);
    if (!(status instanceof Status)) status = new Status("INTERNAL", "the handler failed");
    const { code, message, cause, details, headers } = status as Status;
    const answered = this.#context.answerMetadata();
    const told = answered !== undefined && headers.size === 0 ? new Status(code, message, { cause, details, ...answered }) : (status as Status);
    this.#end(() => {
      if (event.type === "request" || event.delivery) this.#session.fail(event.id, told);
    });
  }

  #end(respond: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.pump?.stop();
    this.requests?.close();
    if (this.isCurrent) {
      try {
        respond();
      } catch (error) {
        this.#session.fail(this.event.id, error instanceof Status ? error : new Status("INTERNAL", String(error)));
      }
    }
    this.#onOver();
  }
}

function isPromise(result: unknown): result is Promise<unknown> {
  return typeof (result as { then?: unknown } | undefined)?.then === "function";
}
