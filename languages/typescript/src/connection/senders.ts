/** Who waits until the session takes a message or a call: in order, each within its time. */

import { Status } from "../errors.js";
import type { Member } from "../protocol.js";

/** So many may wait; further ones fail at once. */
const MAX_WAITING = 16_384;

/** Somebody who wants to send. */
export interface Waiter {
  readonly member: Member;
  readonly size: number;
  /** When its time is over. */
  readonly deadline: number;
  /** Sends. It handles its own errors. */
  start(): void;
  fail(status: Status): void;
  /** Set where nobody waits any more. */
  isDone: boolean;
}

/** A queue, first come, first served. */
export class Senders {
  #waiting: Waiter[] = [];
  #head = 0;
  #nextDeadline = Infinity;

  get isEmpty(): boolean {
    return this.#head === this.#waiting.length;
  }

  add(waiter: Waiter): void {
    if (this.#waiting.length - this.#head >= MAX_WAITING) {
      waiter.isDone = true;
      waiter.fail(new Status("RESOURCE_EXHAUSTED", `not sent: ${MAX_WAITING} messages wait to be sent`));
      return;
    }
    this.#waiting.push(waiter);
    this.#nextDeadline = Math.min(this.#nextDeadline, waiter.deadline);
  }

  /** Lets those send for whom there is capacity. */
  proceed(hasCapacity: (waiter: Waiter) => boolean): void {
    for (let waiter = this.#waiting[this.#head]; waiter !== undefined; waiter = this.#waiting[this.#head]) {
      if (!waiter.isDone && !hasCapacity(waiter)) break;
      this.#head += 1;
      if (waiter.isDone) continue;
      waiter.isDone = true;
      waiter.start();
    }
    if (this.#head > 1024 || this.isEmpty) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Fails those whose time is over; returns when the next one's is. */
  expire(now: number): number {
    if (now < this.#nextDeadline) return this.#nextDeadline;
    this.#nextDeadline = Infinity;
    const waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
    this.#waiting = waiting.filter((waiter) => {
      if (waiter.isDone) return false;
      if (waiter.deadline > now) {
        this.#nextDeadline = Math.min(this.#nextDeadline, waiter.deadline);
        return true;
      }
      waiter.isDone = true;
      waiter.fail(new Status("DEADLINE_EXCEEDED", "not sent: the time was over before there was capacity to send"));
      return false;
    });
    return this.#nextDeadline;
  }

  /** Fails all. */
  failAll(status: Status): void {
    const waiting = this.#waiting.slice(this.#head);
    this.#waiting = [];
    this.#head = 0;
    this.#nextDeadline = Infinity;
    for (const waiter of waiting) {
      if (waiter.isDone) continue;
      waiter.isDone = true;
      waiter.fail(status);
    }
  }
}
