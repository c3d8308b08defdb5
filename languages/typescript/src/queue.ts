/**
 * First in, first out.
 *
 * @module
 */

/** A queue that takes its first item in constant time, and soon frees what was taken. */
export class Queue<T> {
  readonly #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const items = this.#items;
    const item = items[this.#head];
    if (this.length > 0) {
      items[this.#head++] = undefined;
    }
    if (this.#head === items.length) {
      items.length = this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= items.length) {
      items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** All that is in it, which stays. */
  all(): T[] {
    return this.#items.slice(this.#head) as T[];
  }

  /** Takes all. */
  takeAll(): T[] {
    const all = this.all();
    this.#items.length = this.#head = 0;
    return all;
  }
}
