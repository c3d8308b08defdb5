/** Sending a stream: items out of an iterable, one after the other, as there is credit for them. */

/** A stream of requests, or of answers. */
export type Items = AsyncIterable<unknown> | Iterable<unknown>;

/** Where items go. */
export interface ItemTarget {
  /** Encodes an item. What is returned sends it, and is called again while it returns false. */
  send(item: unknown): () => boolean;
  end(): void;
  fail(error: unknown): void;
}

/** Takes items out of an iterable. */
export class ItemPump {
  readonly #items: AsyncIterator<unknown> | Iterator<unknown>;
  readonly #to: ItemTarget;
  #isStopped = false;
  #attempt: (() => boolean) | undefined;
  #wake: (() => void) | undefined;

  constructor(items: Items, to: ItemTarget) {
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
