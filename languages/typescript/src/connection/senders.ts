/** Who waits until the session takes a message or a call: in order, each within its time. */

import { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import { Queue } from "../queue.js";

/** So many may wait; further ones fail at once. */
const MAX_WAITING = 16_384;

/** Somebody who wants to send. */
export interface Waiter {
  readonly member: Member;
  /** Who came before has a lower one. {@link Senders.add} gives it. */
  ticket?: number;
  readonly size: number;
  /** When its time is over. */
  readonly deadline: number;
  /** Sends. It handles its own errors. */
  start(): void;
  fail(status: Status): void;
  /** Set where nobody waits any more. */
  isDone: boolean;
}

/** Two queues, first come, first served: messages wait for credit, and calls, which need none, overtake those that do. */
export class Senders {
  readonly #messages = new Queue<Waiter>();
  readonly #calls = new Queue<Waiter>();
  #lastTicket = 0;
  #nextDeadline = Infinity;

  /** Whether others wait who have to send before this member. */
  isWaitedFor(member: Member): boolean {
    return this.#queueOf(member).length > 0;
  }

  add(waiter: Waiter): void {
    if (this.#messages.length + this.#calls.length >= MAX_WAITING) {
      waiter.isDone = true;
      waiter.fail(new Status("RESOURCE_EXHAUSTED", `not sent: ${MAX_WAITING} messages wait`));
      return;
    }
    waiter.ticket = ++this.#lastTicket;
    this.#queueOf(waiter.member).push(waiter);
    this.#nextDeadline = Math.min(this.#nextDeadline, waiter.deadline);
  }

  /** Lets those send for whom there is capacity. */
  proceed(hasCapacity: (waiter: Waiter) => boolean): void {
    let queues = [this.#messages, this.#calls];
    for (;;) {
      let next: Queue<Waiter> | undefined;
      for (const queue of queues) {
        if ((queue.first?.ticket ?? Infinity) < (next?.first?.ticket ?? Infinity)) next = queue;
      }
      const waiter = next?.first;
      if (next === undefined || waiter === undefined) return;
      if (!waiter.isDone && !hasCapacity(waiter)) {
        queues = queues.filter((queue) => queue !== next);
        continue;
      }
      next.shift();
      if (waiter.isDone) continue;
      waiter.isDone = true;
      waiter.start();
    }
  }

  /** Fails those whose time is over; returns when the next one's is. */
  expire(now: number): number {
    if (now < this.#nextDeadline) return this.#nextDeadline;
    this.#nextDeadline = Infinity;
    this.#failThose(({ deadline }) => {
      if (deadline <= now) return true;
      this.#nextDeadline = Math.min(this.#nextDeadline, deadline);
      return false;
    }, new Status("DEADLINE_EXCEEDED", "not sent: no capacity in time"));
    return this.#nextDeadline;
  }

  /** Fails all. */
  failAll(status: Status): void {
    this.#nextDeadline = Infinity;
    this.#failThose(() => true, status);
  }

  #failThose(isFailing: (waiter: Waiter) => boolean, status: Status): void {
    const failing: Waiter[] = [];
    for (const queue of [this.#messages, this.#calls]) {
      for (const waiter of queue.takeAll()) {
        if (waiter.isDone) continue;
        if (isFailing(waiter)) failing.push(waiter);
        else queue.push(waiter);
      }
    }
    for (const waiter of failing) {
      waiter.isDone = true;
      waiter.fail(status);
    }
  }

  #queueOf(member: Member): Queue<Waiter> {
    return member.shape === 3 ? this.#calls : this.#messages;
  }
}
