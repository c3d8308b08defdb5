/** What a client sends before it is known whether its schema is compatible: it waits, or is refused. */

import type { InboundEvents } from "../connection/connection.js";
import { now, type Driver } from "../connection/driver.js";
import type { Inbound } from "../connection/inbound.js";
import type { Status } from "../errors.js";
import type { Event } from "../session/index.js";

/** Events that the handlers are for. What comes of them is bounded by the credit that the client has, and by `maxCalls`. */
const HELD: readonly Event["type"][] = ["message", "request", "requestItem", "requestEnd", "cancelled"];

/** Holds back what a client sends until it is admitted, or refused. */
export class Admission implements InboundEvents {
  readonly #inbound: Inbound;
  readonly #driver: Driver;
  /** Nothing where it is known: the client is admitted, or refused. */
  #held: Event[] | undefined = [];
  #refused: Status | undefined;

  constructor(inbound: Inbound, driver: Driver) {
    this.#inbound = inbound;
    this.#driver = driver;
  }

  /** What waits is handled, and all that comes. */
  admit(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.#inbound.onEvent(event);
  }

  /** What waits fails with this, and all that comes. */
  refuse(status: Status): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#refused = status;
    for (const event of held) this.#fail(event, status);
  }

  get openCount(): number {
    return this.#inbound.openCount;
  }

  onEvent(event: Event): boolean {
    if (!HELD.includes(event.type)) return this.#inbound.onEvent(event);
    if (this.#refused !== undefined) this.#fail(event, this.#refused);
    else if (this.#held !== undefined) this.#held.push(event);
    else return this.#inbound.onEvent(event);
    return true;
  }

  proceed(): void {
    this.#inbound.proceed();
  }

  expire(at: number): number {
    return this.#inbound.expire(at);
  }

  stopAll(status: Status): void {
    if (this.#held !== undefined) this.#held = [];
    this.#inbound.stopAll(status);
  }

  #fail(event: Event, status: Status): void {
    const { session } = this.#driver;
    if (event.type === "request" || (event.type === "message" && event.delivery)) session.fail(event.id, status);
    if (event.type === "message" || event.type === "requestItem") session.finished(event, now());
  }
}
