/** A stream of requests, as a handler reads it. */

import type { Status } from "../errors.js";
import type { RequestItem } from "../session/index.js";

/** What a stream of requests asks of its call. */
export interface RequestSource {
  decode(body: Uint8Array, compressed: boolean): unknown;
  /** The handler is done with an item: the client may send as much again. */
  finished(item: RequestItem): void;
}

/** An item, or the body that came with the call, which needs no credit. */
type Held = { body: Uint8Array; compressed: boolean; item: RequestItem | undefined };

/** The requests of a call, one after the other: `for await (const request of requests)`. It throws where the caller gives up. */
export class IncomingRequests<T> implements AsyncIterableIterator<T> {
  readonly #source: RequestSource;
  readonly #items: Held[] = [];
  #held: Held | undefined;
  #end: { error: Status | undefined } | undefined;
  #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] = [];

  /** @internal */
  constructor(source: RequestSource) {
    this.#source = source;
  }

  next(): Promise<IteratorResult<T>> {
    this.#release();
    const held = this.#items.shift();
    if (held !== undefined) {
      this.#held = held;
      try {
        return Promise.resolve({ done: false, value: this.#source.decode(held.body, held.compressed) as T });
      } catch (error) {
        return Promise.reject(error as Error);
      }
    }
    if (this.#end === undefined) return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    const { error } = this.#end;
    return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
  }

  return(): Promise<IteratorResult<T>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @internal */
  push(item: RequestItem): void {
    this.#push({ body: item.body, compressed: item.compressed, item });
  }

  /** @internal */
  pushBody(body: Uint8Array, compressed: boolean): void {
    this.#push({ body, compressed, item: undefined });
  }

  /** All have come. @internal */
  end(): void {
    this.#end ??= { error: undefined };
    this.#wake();
  }

  /** Its caller has given up: what was not read yet is dropped. @internal */
  fail(error: Status): void {
    this.#end = { error };
    this.#drop();
    this.#wake();
  }

  /** Nobody reads on. @internal */
  close(): void {
    this.#end ??= { error: undefined };
    this.#release();
    this.#drop();
    this.#wake();
  }

  #push(held: Held): void {
    if (this.#end !== undefined) {
      if (held.item !== undefined) this.#source.finished(held.item);
      return;
    }
    this.#items.push(held);
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) this.next().then(waiting.resolve, waiting.reject);
  }

  #wake(): void {
    for (const waiting of this.#waiting.splice(0)) this.next().then(waiting.resolve, waiting.reject);
  }

  #drop(): void {
    for (const { item } of this.#items.splice(0)) {
      if (item !== undefined) this.#source.finished(item);
    }
  }

  #release(): void {
    if (this.#held?.item !== undefined) this.#source.finished(this.#held.item);
    this.#held = undefined;
  }
}
