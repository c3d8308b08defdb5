/** Handlers in order: one that returns a promise holds up those after it. */

import { Queue } from "../queue.js";

type Work = () => void | Promise<void>;

export class Lane {
  readonly #waiting = new Queue<Work>();
  #isBusy = false;
  #isRunning = false;

  push(work: Work): void {
    this.#waiting.push(work);
  }

  clear(): void {
    this.#waiting.takeAll();
  }

  run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (!this.#isBusy && this.#waiting.length > 0) {
      const pending = this.#waiting.shift()?.();
      if (pending !== undefined) {
        this.#isBusy = true;
        void pending.finally(() => {
          this.#isBusy = false;
          this.run();
        });
      }
    }
    this.#isRunning = false;
  }
}
