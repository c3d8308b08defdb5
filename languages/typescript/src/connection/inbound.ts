/** What the peer begins: its messages and calls, from a body to the handler's method and back. */

import type { ClientHandler } from "../client/options.js";
import { unwrap } from "../codec/protobuf.js";
import { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import { Queue } from "../queue.js";
import type { Event, Identity, Message, Metadata, MsgId, Request } from "../session/index.js";
import { NOTHING } from "../wire/payload.js";
import type { Bodies } from "./bodies.js";
import { now, type Driver } from "./driver.js";
import type { CallOptions, ClearedState, Context } from "./options.js";
import type { RequestQueue, Streams } from "./inbound-streams.js";

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

const NO_METADATA: Metadata = {};

/**
 * One-way messages are handled one after the other, and a call begins when the handlers of all messages before it have returned. Calls
 * run side by side. Urgent ones have a queue of their own. What waits is bounded by the credit that the peer has, and by `maxCalls`.
 */
export class Inbound {
  readonly #host: InboundHost;
  readonly #lanes: readonly [Lane, Lane];
  readonly #calls = new Map<MsgId, Call>();
  #nextDeadline = Infinity;

  constructor(host: InboundHost) {
    this.#host = host;
    this.#lanes = [new Lane(), new Lane()];
  }

  /** How many calls of the peer are open. */
  get openCount(): number {
    return this.#calls.size;
  }

  /** Whether messages wait for their handlers. */
  get isIdle(): boolean {
    return this.#calls.size === 0 && this.#lanes.every((lane) => lane.isIdle);
  }

  /** Takes what the peer has sent; false where it is something else. */
  onEvent(event: Event): boolean {
    switch (event.type) {
      case "message":
        this.#lane(event.member).push(() => this.#handle(event));
        break;
      case "request": {
        const call = new Call(this.#host, event);
        this.#calls.set(event.id, call);
        this.#nextDeadline = Math.min(this.#nextDeadline, event.deadline);
        this.#lane(event.member).push(() => this.#begin(call));
        break;
      }
      case "requestItem": {
        const call = this.#calls.get(event.id);
        if (call?.requests === undefined) this.#host.driver.session.finished(event, now());
        else call.requests.push(event);
        return true;
      }
      case "requestEnd":
        this.#calls.get(event.id)?.requests?.end();
        return true;
      case "cancelled":
        this.#calls.get(event.id)?.stop(new Status("CANCELLED", "given up by its caller"));
        return true;
      case "writable": {
        const call = this.#calls.get(event.id);
        call?.pump?.proceed();
        return call !== undefined;
      }
      default:
        return false;
    }
    this.proceed();
    return true;
  }

  /** Handles what waits, unless it is held up. */
  proceed(): void {
    if (this.#host.isHeldUp) return;
    for (const lane of this.#lanes) lane.run();
  }

  /** Does this once the messages that wait were handled. */
  afterMessages(work: () => void): void {
    this.#lanes[1].push(work);
    this.proceed();
  }

  /** Ends handlers whose callers wait no more; returns when the next one's time is over. */
  expire(at: number): number {
    if (at < this.#nextDeadline) return this.#nextDeadline;
    this.#nextDeadline = Infinity;
    for (const call of this.#calls.values()) {
      if (call.request.deadline <= at) call.stop(new Status("DEADLINE_EXCEEDED", "the caller's time is over"));
      else this.#nextDeadline = Math.min(this.#nextDeadline, call.request.deadline);
    }
    return this.#nextDeadline;
  }

  /** The peer is gone for good: handlers are told, and nothing more is handled. */
  stopAll(status: Status): void {
    for (const lane of this.#lanes) lane.clear();
    for (const call of [...this.#calls.values()]) call.stop(status);
    this.#calls.clear();
  }

  #lane(member: Member): Lane {
    return this.#lanes[member.urgent === true ? 0 : 1];
  }

  #begin(call: Call): void {
    call.run(() => {
      this.#calls.delete(call.request.id);
      this.#host.onCallOver?.(call.request.id);
      this.#host.driver.scheduleFlush();
    });
  }

  /** Handles a message. The promise, where there is one, is settled when it is done. */
  #handle(event: Message): void | Promise<void> {
    const { driver } = this.#host;
    const session = driver.session;
    const done = (status?: Status): void => {
      if (driver.session === session) {
        if (event.delivery) {
          if (status === undefined) session.acknowledge(event.id);
          else session.fail(event.id, status);
        }
        this.#host.handled(event);
        driver.scheduleFlush();
      }
    };
    const failed = (error: unknown): void => done(statusOf(this.#host, error, event.member));
    try {
      const context = new HandlerContext(this.#host, event);
      const result = event.cleared ? tellCleared(this.#host, event, context) : invoke(this.#host, event, context);
      if (isPromise(result)) return result.then(() => done(), failed) as Promise<void>;
      done();
    } catch (error) {
      failed(error);
    }
  }
}

/** Handlers hear of values by their members' methods: of a STATE that is cleared there is none. */
function tellCleared({ handler }: InboundHost, { member, metadata }: Message, context: Context<unknown>): unknown {
  const value = metadata?.cleared ? unwrap(member, metadata.cleared, Infinity) : member.message?.decode(NOTHING);
  const state: ClearedState = { member: member.name, value };
  return (handler as ClientHandler<unknown>).onStateCleared?.(state, context);
}

function statusOf(host: InboundHost, error: unknown, member: Member): Status {
  if (error instanceof Status) return error;
  host.onHandlerError(error, member);
  return new Status("INTERNAL", "the handler failed");
}

/** Calls the handler of a message or a call, which is given the message, or the stream of requests. */
function invoke({ handler, bodies }: InboundHost, { member, body, compressed }: Message | Request, context: Context<unknown>, requests?: RequestQueue): unknown {
  const method = (handler as Record<string, unknown>)[member.handler ?? ""];
  if (typeof method !== "function") throw new Status("UNIMPLEMENTED", `there is no handler for ${member.name}`);
  const message = requests ?? bodies.decode(member, body, compressed);
  // That of a member that carries nothing has the context alone.
  return member.message === undefined ? method.call(handler, context) : method.call(handler, message, context);
}

function isPromise(result: unknown): result is Promise<unknown> {
  return typeof (result as { then?: unknown } | undefined)?.then === "function";
}

/** Messages and calls in order. */
class Lane {
  readonly #waiting = new Queue<() => void | Promise<void>>();
  #isBusy = false;
  #isRunning = false;

  get isIdle(): boolean {
    return !this.#isBusy && this.#waiting.length === 0;
  }

  push(work: () => void | Promise<void>): void {
    this.#waiting.push(work);
  }

  clear(): void {
    this.#waiting.takeAll();
  }

  run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (!this.#isBusy && this.#waiting.length > 0) {
      const pending = this.#waiting.shift()?.();
      if (pending !== undefined) {
        this.#isBusy = true;
        void pending.finally(() => {
          this.#isBusy = false;
          this.run();
        });
      }
    }
    this.#isRunning = false;
  }
}

/** A call of the peer. */
class Call {
  readonly request: Request;
  /** Its stream of requests. */
  readonly requests: RequestQueue | undefined;
  /** What sends its stream of answers. */
  pump: { proceed(): void; stop(): void } | undefined;
  readonly #host: InboundHost;
  readonly #session: Driver["session"];
  readonly #context: HandlerContext;
  /** Set when it has been answered. */
  #isOver = false;
  #stopped: Status | undefined;
  #onOver: (() => void) | undefined;

  constructor(host: InboundHost, request: Request) {
    this.#host = host;
    this.request = request;
    this.#session = host.driver.session;
    this.#context = new HandlerContext(host, request);
    this.requests = host.streams?.requestsOf(host, request);
  }

  /** Calls the handler. */
  run(onOver: () => void): void {
    this.#onOver = onOver;
    if (this.#stopped !== undefined) {
      this.#end(() => this.#session.fail(this.request.id, this.#stopped as Status));
      return;
    }
    try {
      const result = invoke(this.#host, this.request, this.#context, this.requests);
      const { streams } = this.#host;
      if (streams !== undefined && this.request.member.responseStream === true) {
        this.pump = streams.answerAll(this.#host, this.request, result, {
          session: this.#session,
          isOver: () => this.#isOver,
          end: (respond) => this.#end(() => respond(this.#session, this.request.id, this.#context.answerMetadata())),
          fail: (error) => this.#fail(error),
        });
      } else if (isPromise(result)) {
        result.then((answer) => this.#answer(answer), (error: unknown) => this.#fail(error)).catch((error: unknown) => this.#fail(error));
      } else this.#answer(result);
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

  #answer(answer: unknown): void {
    if (this.#stopped !== undefined) {
      this.#fail(this.#stopped);
      return;
    }
    const body = this.#host.bodies.encode(this.#host.answerOf(this.request.member), answer);
    this.#end(() => {
      const metadata = this.#context.answerMetadata();
      this.#session.answer(this.request.id, body.bytes, metadata === undefined && !body.compressed ? undefined : { metadata, compressed: body.compressed });
    });
  }

  #fail(error: unknown): void {
    let status = this.#stopped ?? statusOf(this.#host, error, this.request.member);
    const headers = this.#context.answerMetadata()?.headers;
    if (headers !== undefined && status.headers.size === 0) {
      status = new Status(status.code, status.message, { cause: status.cause, headers, details: status.details });
    }
    this.#end(() => this.#session.fail(this.request.id, status));
  }

  #end(respond: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.pump?.stop();
    this.requests?.close();
    // A session that was lost has nobody to answer.
    if (this.#host.driver.session === this.#session) {
      try {
        respond();
      } catch (error) {
        this.#session.fail(this.request.id, error instanceof Status ? error : new Status("INTERNAL", String(error)));
      }
    }
    this.#onOver?.();
  }
}

class HandlerContext implements Context<unknown> {
  readonly #host: InboundHost;
  readonly #event: Message | Request;
  #responseHeaders: Map<string, string> | undefined;
  #abort: AbortController | undefined;
  #aborted: Status | undefined;

  constructor(host: InboundHost, event: Message | Request) {
    this.#host = host;
    this.#event = event;
  }

  get peer(): unknown {
    return this.#host.peer;
  }

  get metadata(): Metadata {
    return this.#event.metadata ?? NO_METADATA;
  }

  get identity(): Identity | undefined {
    return this.#host.identity ?? this.metadata.identity;
  }

  get topic(): string {
    return this.#host.topicOf(this.#event);
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#aborted !== undefined) this.#abort.abort(this.#aborted);
    }
    return this.#abort.signal;
  }

  get remainingMs(): number {
    return Math.max(0, this.#event.deadline - now());
  }

  get responseHeaders(): Map<string, string> {
    this.#responseHeaders ??= new Map();
    return this.#responseHeaders;
  }

  onward(): CallOptions {
    const { correlationId, traceparent, tracestate } = this.metadata;
    const remaining = this.remainingMs;
    return {
      signal: this.signal,
      ...(remaining !== Infinity && { timeoutMs: remaining }),
      metadata: {
        ...(correlationId !== undefined && { correlationId }),
        ...(traceparent !== undefined && { traceparent }),
        ...(tracestate !== undefined && { tracestate }),
      },
    };
  }

  abort(status: Status): void {
    this.#aborted = status;
    this.#abort?.abort(status);
  }

  answerMetadata(): Metadata | undefined {
    const headers = this.#responseHeaders;
    return headers === undefined || headers.size === 0 ? undefined : { headers };
  }
}
