/** The exchanges of this side: calls, messages and deliveries, from a typed message to its outcome. */

import { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import type { Event, MsgId, SendOptions } from "../session/index.js";
import type { Bodies } from "./bodies.js";
import { now, type Driver } from "./driver.js";
import { OneAnswer, cancelled, type Completion, type Exchange } from "./exchange.js";
import { encodeKeyed, type KeyedBody } from "./keyed-body.js";
import type { CallOptions, SendOptions as MessageOptions } from "./options.js";
import { Senders, type Waiter } from "./senders.js";

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
  readonly host: OutboundHost;
  readonly #open = new Map<MsgId, Exchange>();
  readonly #senders = new Senders();

  constructor(host: OutboundHost) {
    this.host = host;
  }

  /** How many exchanges are open. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Sends a message that is not answered, or one that is acknowledged. */
  send(member: Member, message: unknown, options: MessageOptions, isLogin: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const body = options.clears?.(member, message) ?? this.encode(member, message, options);
      const isDelivery = member.shape === 2;
      const limit = isDelivery ? this.#timeLimit(member, options) : (options.timeoutMs ?? this.host.writeTimeoutMs);
      const exchange = new OneAnswer(options, () => resolve(), reject);
      this.#begin(member, body, options, limit, isLogin, exchange, (sendOptions) => {
        const id = this.host.driver.session.send(member, body.bytes, now(), sendOptions);
        if (isDelivery) return id;
        exchange.settle();
        resolve();
        return undefined;
      });
    });
  }

  /** What a message is sent with. */
  encode(member: Member, message: unknown, { topic = this.host.topic }: CallOptions): KeyedBody {
    return encodeKeyed(this.host.bodies, member, message, topic);
  }

  /** Makes a call that has one answer. */
  call(member: Member, request: unknown, options: CallOptions, isLogin: boolean): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const body = this.encode(member, request, options);
      const exchange = new OneAnswer(options, (event) => resolve(this.decode(member, event)), reject);
      this.beginCall(member, body, options, isLogin, exchange);
    });
  }

  /** Begins a call, now or once there is capacity; `begun` is told its id. */
  beginCall(member: Member, body: KeyedBody, options: CallOptions, isLogin: boolean, exchange: Exchange, begun?: (id: MsgId) => void): void {
    this.#begin(member, body, options, this.#timeLimit(member, options), isLogin, exchange, (sendOptions) => {
      const id = this.host.driver.session.call(member, body.bytes, now(), sendOptions);
      begun?.(id);
      return id;
    });
  }

  /** Waits for the answer to what the session has sent already: a subscription, or a ping. */
  awaitAnswer(id: MsgId, options: CallOptions = {}): Promise<Event> {
    return new Promise((resolve, reject) => {
      this.#track(id, new OneAnswer(options, resolve, reject));
      this.host.driver.scheduleFlush();
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
        if (exchange?.item === undefined) this.host.driver.session.finished(event, now());
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
          if (exchange === undefined) return false;
          exchange.pump?.proceed();
        }
        return true;
      default:
        return false;
    }
  }

  /** Lets those send who wait for capacity, or for the end of the login. */
  proceed(): void {
    this.#senders.proceed((waiter) => this.host.isOpenFor(false) && this.#hasCapacity(waiter.member, waiter.size));
    this.host.driver.scheduleFlush();
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

  /** The answer to a call. */
  decode(member: Member, event: Completion): unknown {
    if (event.type !== "answer") throw new Status("INTERNAL", `${member.name} has no answer`);
    return this.read(this.host.answerOf(member), event);
  }

  /** The fault is the peer's, whatever is wrong: what a caller hears of as INVALID_ARGUMENT is said of its own request. */
  read(answer: Member, { body, compressed }: { readonly body: Uint8Array; readonly compressed: boolean }): unknown {
    try {
      return this.host.bodies.decode(answer, body, compressed);
    } catch (error) {
      throw new Status("INTERNAL", `the answer cannot be read: ${(error as Error).message}`, { cause: error });
    }
  }

  #timeLimit(member: Member, options: CallOptions): number {
    return options.timeoutMs ?? member.timeoutMs ?? (member.requestStream || member.responseStream ? Infinity : this.host.callTimeoutMs);
  }

  #hasCapacity(member: Member, size: number): boolean {
    const { session } = this.host.driver;
    return session.phase !== "open" || session.canSend(member, size);
  }

  /** Sends now, or once there is capacity. `start` gives the id of what is awaited. */
  #begin(
    member: Member,
    body: KeyedBody,
    options: CallOptions,
    limitMs: number,
    isLogin: boolean,
    exchange: Exchange,
    start: (options: SendOptions) => MsgId | undefined,
  ): void {
    const { signal } = options;
    if (signal?.aborted === true) {
      exchange.fail(cancelled(signal));
      return;
    }
    const { driver } = this.host;
    const deadline = now() + limitMs;
    const begin = (): void => {
      try {
        const id = start({
          timeoutMs: Math.max(0, deadline - now()),
          metadata: body.metadata ? { ...options.metadata, ...body.metadata } : options.metadata,
          topic: options.topic ?? this.host.topic,
          compressed: body.compressed,
          key: body.key,
        });
        if (id !== undefined) this.#track(id, exchange);
        driver.scheduleFlush();
      } catch (error) {
        exchange.fail(error);
      }
    };
    const size = body.bytes.length;
    if (this.host.isOpenFor(isLogin) && (isLogin || !this.#senders.isWaitedFor(member)) && this.#hasCapacity(member, size)) {
      begin();
      return;
    }
    const waiter: Waiter = { member, size, deadline, isDone: false, start: begin, fail: (status) => exchange.fail(status) };
    exchange.onCancel = () => {
      waiter.isDone = true;
    };
    exchange.listen();
    this.#senders.add(waiter);
    driver.schedule();
  }

  #track(id: MsgId, exchange: Exchange): void {
    const { driver } = this.host;
    this.#open.set(id, exchange);
    exchange.onCancel = () => {
      if (!this.#open.delete(id)) return;
      driver.session.cancel(id, now());
      driver.scheduleFlush();
    };
    exchange.listen();
  }
}
