/// <reference lib="esnext.disposable" preserve="true" />
/** A stream of answers. */

import type { AnswerItem } from "../session/index.js";

/** What a stream of answers asks of its call. */
export interface StreamSource {
  /** Decodes an item. */
  decode(item: AnswerItem): unknown;
  /** The program is done with an item: the server may send as much again. */
  finished(item: AnswerItem): void;
  /** Nobody reads on. */
  cancel(): void;
}

/**
 * The answers of a call, one after the other: `for await (const answer of stream)`. Leaving the loop cancels the call.
 *
 * An item is done with when the next one is asked for: a server is never more than a window (16 items at first) ahead of the loop.
 * A stream that is never read holds its call open: read it, or {@link cancel} it.
 */
export class ResponseStream<T> implements AsyncIterableIterator<T> {
  readonly #source: StreamSource;
  readonly #items: AnswerItem[] = [];
  #held: AnswerItem | undefined;
  #end: { error: unknown } | undefined;
  #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] = [];
  #headers: ReadonlyMap<string, string> = new Map<string, string>();

  /** @internal */
  constructor(source: StreamSource) {
    this.#source = source;
  }

  /** The headers of the answer, which come with its end. */
  get headers(): ReadonlyMap<string, string> {
    return this.#headers;
  }

  /**
   * The next answer.
   *
   * @throws Status where the call has failed.
   */
  next(): Promise<IteratorResult<T>> {
    this.#release();
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#held = item;
      try {
        return Promise.resolve({ done: false, value: this.#source.decode(item) as T });
      } catch (error) {
        this.#finish(error, true);
      }
    }
    if (this.#end !== undefined) {
      const { error } = this.#end;
      // It is told once; who asks again hears that the stream is over.
      this.#end = { error: undefined };
      return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error as Error);
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Ends the call: the server is told that nobody wants more. */
  cancel(): void {
    this.#finish(undefined, true);
  }

  /** As `break` in a loop does. */
  return(): Promise<IteratorResult<T>> {
    this.cancel();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
    return Promise.resolve();
  }

  /** @internal */
  push(item: AnswerItem): void {
    if (this.#end !== undefined) {
      this.#source.finished(item);
      return;
    }
    this.#items.push(item);
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) this.next().then(waiting.resolve, waiting.reject);
  }

  /** The call is over. @internal */
  end(error: unknown, headers?: ReadonlyMap<string, string>): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    if (headers !== undefined) this.#headers = headers;
    // Whoever waits has read all items.
    for (const waiting of this.#waiting.splice(0)) this.next().then(waiting.resolve, waiting.reject);
  }

  #finish(error: unknown, isCancelled: boolean): void {
    this.#release();
    for (const item of this.#items.splice(0)) this.#source.finished(item);
    if (this.#end === undefined && isCancelled) this.#source.cancel();
    this.#end = { error };
    for (const waiting of this.#waiting.splice(0)) this.next().then(waiting.resolve, waiting.reject);
  }

  #release(): void {
    if (this.#held === undefined) return;
    this.#source.finished(this.#held);
    this.#held = undefined;
  }
}
