/** The exchanges of this side: calls, streams, messages and deliveries, from a typed message to its outcome. */

import { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import type { AnswerItem, Event, Metadata, MsgId, SendOptions } from "../session/index.js";
import type { Bodies, Body } from "./bodies.js";
import { now, type Driver } from "./driver.js";
import type { CallOptions } from "./options.js";
import { ResponseStream } from "./response-stream.js";
import { Senders, type Waiter } from "./senders.js";

/** A stream of requests. */
export type Requests = AsyncIterable<unknown> | Iterable<unknown>;

/** What an exchange does with what comes for it. */
interface Exchange {
  /** With the one answer, or the end of a stream of them, or an acknowledgment. */
  complete(event: Extract<Event, { type: "answer" | "answerEnd" | "acknowledged" | "subscribed" | "pong" }>): void;
  item?(event: AnswerItem): void;
  fail(error: unknown): void;
  /** Goes on with items that had no credit. */
  proceed?(): void;
}

/** What is asked of the connection. */
export interface OutboundHost {
  readonly driver: Driver;
  readonly bodies: Bodies;
  /** The members that answer. */
  answerOf(member: Member): Member;
  /** Whether the sender may go ahead, or waits until the login is over. */
  isOpenFor(isLogin: boolean): boolean;
  readonly writeTimeoutMs: number;
  readonly callTimeoutMs: number;
  /** Where messages go that name no topic. */
  readonly topic: string;
}

export class Outbound {
  readonly #host: OutboundHost;
  readonly #open = new Map<MsgId, Exchange>();
  readonly #senders = new Senders();

  constructor(host: OutboundHost) {
    this.#host = host;
  }

  /** How many exchanges are open. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Sends a message that is not answered, or one that is acknowledged. */
  send(member: Member, message: unknown, options: CallOptions, isLogin: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const body = this.#host.bodies.encode(member, message);
      const isDelivery = member.shape === 2;
      const limit = isDelivery ? this.#timeLimit(member, options) : (options.timeoutMs ?? this.#host.writeTimeoutMs);
      const exchange = new OneAnswer(options, () => resolve(), reject);
      this.#begin(member, body, options, limit, isLogin, exchange, (sendOptions) => {
        const id = this.#host.driver.session.send(member, body.bytes, now(), sendOptions);
        if (isDelivery) return id;
        exchange.settle();
        resolve();
        return undefined;
      });
    });
  }

  /** Makes a call that has one answer. */
  call(member: Member, request: unknown, options: CallOptions, isLogin: boolean): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const body = this.#host.bodies.encode(member, request);
      const exchange = new OneAnswer(options, (event) => resolve(this.#decode(member, event)), reject);
      this.#begin(member, body, options, this.#timeLimit(member, options), isLogin, exchange, (sendOptions) =>
        this.#host.driver.session.call(member, body.bytes, now(), sendOptions),
      );
    });
  }

  /** Makes a call that has a stream of requests. */
  sendStream(member: Member, requests: Requests, options: CallOptions, isLogin: boolean): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const exchange = new OneAnswer(options, (event) => resolve(this.#decode(member, event)), reject);
      this.#beginStream(member, requests, options, isLogin, exchange);
    });
  }

  /** Makes a call that has a stream of answers. */
  callStream(member: Member, request: unknown, options: CallOptions, isLogin: boolean): ResponseStream<unknown> {
    const exchange = this.#answers(member, options);
    try {
      const body = this.#host.bodies.encode(member, request);
      this.#begin(member, body, options, this.#timeLimit(member, options), isLogin, exchange, (sendOptions) =>
        this.#host.driver.session.call(member, body.bytes, now(), sendOptions),
      );
    } catch (error) {
      exchange.fail(error);
    }
    return exchange.stream;
  }

  /** Makes a call that has streams both ways. */
  callBoth(member: Member, requests: Requests, options: CallOptions, isLogin: boolean): ResponseStream<unknown> {
    const exchange = this.#answers(member, options);
    this.#beginStream(member, requests, options, isLogin, exchange);
    return exchange.stream;
  }

  /** Waits for the answer to what the session has sent already: a subscription, or a ping. */
  awaitAnswer(id: MsgId, options: CallOptions = {}): Promise<Event> {
    return new Promise((resolve, reject) => {
      const exchange = new OneAnswer(options, resolve, reject);
      this.#track(id, exchange, options);
      this.#host.driver.scheduleFlush();
    });
  }

  /** Passes on what has happened to an exchange of this side; false where it is about something else. */
  onEvent(event: Event): boolean {
    switch (event.type) {
      case "answer":
      case "answerEnd":
      case "acknowledged":
      case "subscribed":
      case "pong": {
        const exchange = this.#open.get(event.id);
        this.#open.delete(event.id);
        exchange?.complete(event);
        return true;
      }
      case "answerItem": {
        const exchange = this.#open.get(event.id);
        if (exchange?.item === undefined) this.#host.driver.session.finished(event, now());
        else exchange.item(event);
        return true;
      }
      case "failed": {
        const exchange = this.#open.get(event.id);
        if (exchange === undefined) return false;
        this.#open.delete(event.id);
        exchange.fail(event.status);
        return true;
      }
      case "writable":
        if (event.id === 0n) this.proceed();
        else {
          const exchange = this.#open.get(event.id);
          if (exchange?.proceed === undefined) return false;
          exchange.proceed();
        }
        return true;
      default:
        return false;
    }
  }

  /** Lets those send who wait for capacity, or for the end of the login. */
  proceed(): void {
    const { driver } = this.#host;
    this.#senders.proceed((waiter) => {
      return this.#host.isOpenFor(false) && (driver.session.phase !== "open" || driver.session.canSend(waiter.member, waiter.size));
    });
    driver.scheduleFlush();
  }

  /** Fails senders whose time is over. */
  expire(at: number): number {
    return this.#senders.expire(at);
  }

  /** Fails all that is open. */
  failAll(status: Status): void {
    this.#senders.failAll(status);
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const exchange of open) exchange.fail(status);
  }

  #timeLimit(member: Member, options: CallOptions): number {
    if (options.timeoutMs !== undefined) return options.timeoutMs;
    if (member.timeoutMs !== undefined) return member.timeoutMs;
    return member.requestStream === true || member.responseStream === true ? Infinity : this.#host.callTimeoutMs;
  }

  #decode(member: Member, event: Event): unknown {
    if (event.type !== "answer") throw new Status("INTERNAL", `${member.name} was answered without an answer`);
    return this.#read(this.#host.answerOf(member), event);
  }

  /** The fault is the peer's, whatever is wrong: what a caller hears of as INVALID_ARGUMENT is said of its own request. */
  #read(answer: Member, { body, compressed }: { readonly body: Uint8Array; readonly compressed: boolean }): unknown {
    try {
      return this.#host.bodies.decode(answer, body, compressed);
    } catch (error) {
      throw new Status("INTERNAL", `the answer cannot be read: ${(error as Error).message}`, { cause: error });
    }
  }

  #answers(member: Member, options: CallOptions): Answers {
    const { driver } = this.#host;
    const answer = this.#host.answerOf(member);
    return new Answers(options, {
      decode: (item) => this.#read(answer, item),
      finished: (item) => {
        driver.session.finished(item, now());
        driver.scheduleFlush();
      },
    });
  }

  /** Sends now, or once there is capacity. `start` gives the id of what is awaited. */
  #begin(
    member: Member,
    body: Body,
    options: CallOptions,
    limitMs: number,
    isLogin: boolean,
    exchange: OneAnswer | Answers,
    start: (options: SendOptions) => MsgId | undefined,
  ): void {
    const { signal } = options;
    if (signal?.aborted === true) {
      exchange.fail(cancelled(signal));
      return;
    }
    const { driver } = this.#host;
    const deadline = limitMs === Infinity ? Infinity : now() + limitMs;
    const begin = (): void => {
      try {
        const id = start({
          timeoutMs: deadline === Infinity ? Infinity : Math.max(0, deadline - now()),
          metadata: options.metadata,
          topic: options.topic ?? this.#host.topic,
          compressed: body.compressed,
        });
        if (id !== undefined) this.#track(id, exchange, options);
        driver.scheduleFlush();
      } catch (error) {
        exchange.fail(error);
      }
    };
    const { session } = driver;
    const isOpen = this.#host.isOpenFor(isLogin);
    if (isOpen && (isLogin || !this.#senders.isWaitedFor(member)) && (session.phase !== "open" || session.canSend(member, body.bytes.length))) {
      begin();
      return;
    }
    const waiter: Waiter = {
      member,
      size: body.bytes.length,
      deadline,
      isDone: false,
      start: begin,
      fail: (status) => exchange.fail(status),
    };
    exchange.onCancel = () => {
      waiter.isDone = true;
    };
    exchange.listen(signal);
    this.#senders.add(waiter);
    driver.schedule();
  }

  #track(id: MsgId, exchange: OneAnswer | Answers, options: CallOptions): void {
    this.#open.set(id, exchange);
    exchange.onCancel = () => {
      if (!this.#open.delete(id)) return;
      this.#host.driver.session.cancel(id, now());
      this.#host.driver.scheduleFlush();
    };
    exchange.listen(options.signal);
  }

  #beginStream(member: Member, requests: Requests, options: CallOptions, isLogin: boolean, exchange: OneAnswer | Answers): void {
    const opener: Body = { bytes: new Uint8Array(0), compressed: false };
    this.#begin(member, opener, options, this.#timeLimit(member, options), isLogin, exchange, (sendOptions) => {
      const id = this.#host.driver.session.call(member, opener.bytes, now(), sendOptions);
      const pump = new ItemPump(requests, {
        send: (item) => this.#sendItem(id, member, item),
        end: () => {
          this.#host.driver.session.item(id, opener.bytes, true);
          this.#host.driver.scheduleFlush();
        },
        fail: (error) => {
          exchange.cancel(error);
        },
      });
      exchange.pump = pump;
      pump.run();
      return id;
    });
  }

  #sendItem(id: MsgId, member: Member, item: unknown): (() => boolean) {
    const { driver, bodies } = this.#host;
    const body = bodies.encode(member, item);
    return () => {
      if (!driver.session.canSendItem(id, body.bytes.length)) return false;
      driver.session.item(id, body.bytes, false, body.compressed);
      driver.scheduleFlush();
      return true;
    };
  }
}

/** Takes items out of an iterable, one after the other, as there is credit for them. */
export class ItemPump {
  readonly #items: AsyncIterator<unknown> | Iterator<unknown>;
  readonly #to: { send(item: unknown): () => boolean; end(): void; fail(error: unknown): void };
  #isStopped = false;
  #attempt: (() => boolean) | undefined;
  #wake: (() => void) | undefined;

  constructor(items: Requests, to: { send(item: unknown): () => boolean; end(): void; fail(error: unknown): void }) {
    this.#items = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
    this.#to = to;
  }

  /** Runs until the items are over, or it is stopped. */
  run(): void {
    this.#pump().catch((error: unknown) => {
      if (this.#isStopped) return;
      this.#isStopped = true;
      this.#to.fail(error);
    });
  }

  /** There may be credit again. */
  proceed(): void {
    this.#wake?.();
  }

  /** Nobody wants more items: the iterable is told. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#wake?.();
    // What it throws now, nobody waits for.
    Promise.resolve(this.#items.return?.()).catch(() => {});
  }

  async #pump(): Promise<void> {
    for (;;) {
      const next = await this.#items.next();
      if (this.#isStopped) return;
      if (next.done === true) {
        this.#isStopped = true;
        this.#to.end();
        return;
      }
      this.#attempt = this.#to.send(next.value);
      while (!this.#attempt()) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        if (this.#isStopped) return;
      }
    }
  }
}

/** What ends an exchange whose signal was aborted. */
function cancelled(signal: AbortSignal): Status {
  return new Status("CANCELLED", "aborted by its caller", { cause: signal.reason });
}

/** What exchanges with one answer and with many have in common: they end once, and an `AbortSignal` may end them. */
abstract class Abortable implements Exchange {
  readonly #options: CallOptions;
  #signal: AbortSignal | undefined;
  #hasEnded = false;
  /** Gives the exchange up. */
  onCancel: (() => void) | undefined;
  /** What sends a stream of requests. */
  pump: ItemPump | undefined;

  constructor(options: CallOptions) {
    this.#options = options;
  }

  abstract complete(event: Parameters<Exchange["complete"]>[0]): void;
  protected abstract failed(error: unknown): void;

  listen(signal: AbortSignal | undefined): void {
    if (signal === undefined || this.#signal !== undefined) return;
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => {
    if (this.#signal !== undefined) this.cancel(cancelled(this.#signal));
  };

  proceed(): void {
    this.pump?.proceed();
  }

  /** Ends it here, and tells the peer. */
  cancel(error: unknown): void {
    if (this.#hasEnded) return;
    this.onCancel?.();
    this.fail(error);
  }

  fail(error: unknown): void {
    if (!this.settle()) return;
    if (error instanceof Status && error.headers.size > 0) this.#options.onHeaders?.(error.headers);
    this.failed(error);
  }

  protected tellHeaders(metadata: Metadata | undefined): ReadonlyMap<string, string> | undefined {
    const headers = metadata?.headers;
    if (headers !== undefined) this.#options.onHeaders?.(headers);
    return headers;
  }

  /** It is over; false where it was before. */
  settle(): boolean {
    if (this.#hasEnded) return false;
    this.#hasEnded = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.pump?.stop();
    return true;
  }
}

class OneAnswer extends Abortable {
  readonly #resolve: (event: Event) => void;
  readonly #reject: (error: unknown) => void;

  constructor(options: CallOptions, resolve: (event: Event) => void, reject: (error: unknown) => void) {
    super(options);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override complete(event: Parameters<Exchange["complete"]>[0]): void {
    if (!this.settle()) return;
    if ("metadata" in event) this.tellHeaders(event.metadata);
    try {
      this.#resolve(event);
    } catch (error) {
      // An answer that cannot be read.
      this.#reject(error);
    }
  }

  protected override failed(error: unknown): void {
    this.#reject(error);
  }
}

class Answers extends Abortable {
  readonly stream: ResponseStream<unknown>;

  constructor(options: CallOptions, source: { decode(item: AnswerItem): unknown; finished(item: AnswerItem): void }) {
    super(options);
    this.stream = new ResponseStream<unknown>({
      ...source,
      cancel: () => this.cancel(undefined),
    });
  }

  override complete(event: Parameters<Exchange["complete"]>[0]): void {
    if (!this.settle()) return;
    this.stream.end(undefined, "metadata" in event ? this.tellHeaders(event.metadata) : undefined);
  }

  item(event: AnswerItem): void {
    this.stream.push(event);
  }

  protected override failed(error: unknown): void {
    this.stream.end(error);
  }
}
