/** Calls of the peer, from a request to the handler's method and back. */

import { Status } from "../errors.js";
import { inboundCalls as sessionInboundCalls, type Event, type MsgId, type Request } from "../session/index.js";
import { Handling, Inbound, type InboundHost, type InboundPart } from "./inbound.js";

/** Calls of the peer, and its messages, for a connection whose protocol has calls of the peer. */
export const inboundCalls: InboundPart<"inboundCalls"> = { session: sessionInboundCalls, inbound: (host) => new InboundWithCalls(host) };

/**
 * Messages and calls: a call begins when the handlers of all messages before it have returned, and calls run side by side. How many are open is
 * bounded by `maxCalls`.
 */
export class InboundWithCalls extends Inbound {
  readonly #calls = new Map<MsgId, HandledCall>();
  #nextDeadline = Infinity;

  override get openCount(): number {
    return this.#calls.size;
  }

  override onEvent(event: Event): boolean {
    switch (event.type) {
      case "request": {
        const call = new HandledCall(this.host, event, () => this.#calls.delete(event.id));
        this.#nextDeadline = Math.min(this.#nextDeadline, event.deadline);
        this.#calls.set(event.id, call);
        this.take(call);
        return true;
      }
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
        this.host.streams?.onRequests(this.host, event, this.#calls.get(event.id)?.requests);
        return true;
      default:
        return super.onEvent(event);
    }
  }

  override expire(at: number): number {
    if (at < this.#nextDeadline) return this.#nextDeadline;
    this.#nextDeadline = Infinity;
    for (const call of this.#calls.values()) {
      const { deadline } = call.event;
      if (deadline <= at) call.stop(new Status("DEADLINE_EXCEEDED", "the caller's time is over"));
      else this.#nextDeadline = Math.min(this.#nextDeadline, deadline);
    }
    return this.#nextDeadline;
  }

  override stopAll(status: Status): void {
    super.stopAll(status);
    for (const call of [...this.#calls.values()]) call.stop(status);
    this.#calls.clear();
  }
}

/** A call of the peer. */
class HandledCall extends Handling<Request> {
  /** What sends its stream of answers. */
  pump: { proceed(): void; stop(): void } | undefined = undefined;
  readonly #onOver: () => void;

  constructor(host: InboundHost, event: Request, onOver: () => void) {
    super(host, event);
    this.#onOver = onOver;
    this.requests = host.streams?.requestsOf(host, event);
  }

  /** Nobody waits for its handler before others begin. */
  override run(): void {
    if (this.stopped === undefined) void super.run();
    else this.fail(this.stopped);
  }

  /** Nobody waits for it any more. It counts until its handler has ended. */
  stop(status: Status): void {
    if (this.isOver || this.stopped !== undefined) return;
    this.stopped = status;
    this.context.abort(status);
    this.requests?.fail(status);
    if (this.pump !== undefined) {
      this.pump.stop();
      this.fail(status);
    }
  }

  protected override done(answer: unknown): void {
    if (this.stopped !== undefined) throw this.stopped;
    const { event, host, session, context } = this;
    const { streams } = host;
    if (streams !== undefined && event.member.responseStream === true) {
      this.pump = streams.answerAll(host, event, answer, {
        session,
        isOver: () => this.isOver,
        end: (respond) => this.end(() => respond(session, event.id, context.answerMetadata())),
        fail: (error) => this.fail(error),
      });
      return;
    }
    const { bytes, compressed } = host.bodies.encode(host.answerOf(event.member), answer);
    this.end(() => session.answer(event.id, bytes, { metadata: context.answerMetadata(), compressed }));
  }

  protected override over(): void {
    this.pump?.stop();
    this.requests?.close();
    this.#onOver();
    this.host.onCallOver?.(this.event.id);
  }
}
