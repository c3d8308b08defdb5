/**
 * Keeps the order of work of which some takes a while: what is behind it waits, and where nothing waits nothing is delayed.
 */
export class InOrder {
  /** What was given last, while that is not done. */
  #last: Promise<void> | undefined;

  /** Whether something waits. */
  get isBusy(): boolean {
    return this.#last !== undefined;
  }

  /** Passes the result of `work` on, after the results of all work before; at once where none of it waits. */
  run<T>(work: () => T | Promise<T>, done: (result: T) => void, failed: (error: unknown) => void): void {
    let result: T | Promise<T>;
    try {
      result = work();
    } catch (error) {
      this.#after(undefined, () => failed(error));
      return;
    }
    if (result instanceof Promise) {
      // It may fail before its turn has come.
      result.catch(() => undefined);
      const promise = result;
      this.#after(promise, () => promise.then(done, failed));
    } else {
      const value = result;
      this.#after(undefined, () => done(value));
    }
  }

  #after(waits: Promise<unknown> | undefined, next: () => void | Promise<void>): void {
    if (!this.#last && !waits) {
      void next();
      return;
    }
    const last: Promise<void> = (this.#last ?? Promise.resolve()).then(next).finally(() => {
      if (this.#last === last) {
        this.#last = undefined;
      }
    });
    this.#last = last;
    last.catch(() => undefined);
  }
}
