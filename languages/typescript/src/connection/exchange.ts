/** Exchanges of this side: they end once, and an `AbortSignal` may end them. */

import { Status } from "../errors.js";
import type { AnswerItem, Event, Metadata } from "../session/index.js";
import type { CallOptions } from "./options.js";

/** What completes an exchange: its one answer, the end of a stream of them, or an acknowledgment. */
export type Completion = Extract<Event, { type: "answer" | "answerEnd" | "acknowledged" | "subscribed" | "pong" }>;

/** What ends an exchange whose signal was aborted. */
export function cancelled(signal: AbortSignal): Status {
  return new Status("CANCELLED", "aborted by its caller", { cause: signal.reason });
}

/** What exchanges with one answer and with many have in common. */
export abstract class Exchange {
  readonly #options: CallOptions;
  #signal: AbortSignal | undefined;
  #hasEnded = false;
  /** Gives the exchange up. */
  onCancel: (() => void) | undefined;
  /** What sends a stream of requests. */
  pump: { proceed(): void; stop(): void } | undefined;

  constructor(options: CallOptions) {
    this.#options = options;
  }

  abstract complete(event: Completion): void;
  protected abstract failed(error: unknown): void;
  /** Of a stream of answers. */
  item?(event: AnswerItem): void;

  listen(): void {
    const { signal } = this.#options;
    if (signal === undefined || this.#signal !== undefined) return;
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => {
    if (this.#signal !== undefined) this.cancel(cancelled(this.#signal));
  };

  /** Ends it here, and tells the peer. */
  cancel(error: unknown): void {
    if (this.#hasEnded) return;
    this.onCancel?.();
    this.fail(error);
  }

  fail(error: unknown): void {
    if (!this.settle()) return;
    if (error instanceof Status && error.headers.size > 0) this.#options.onHeaders?.(error.headers);
    this.failed(error);
  }

  protected tellHeaders(metadata: Metadata | undefined): ReadonlyMap<string, string> | undefined {
    const headers = metadata?.headers;
    if (headers !== undefined) this.#options.onHeaders?.(headers);
    return headers;
  }

  /** It is over; false where it was before. */
  settle(): boolean {
    if (this.#hasEnded) return false;
    this.#hasEnded = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.pump?.stop();
    return true;
  }
}

/** An exchange that settles a promise. */
export class OneAnswer extends Exchange {
  readonly #resolve: (event: Completion) => void;
  readonly #reject: (error: unknown) => void;

  constructor(options: CallOptions, resolve: (event: Completion) => void, reject: (error: unknown) => void) {
    super(options);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override complete(event: Completion): void {
    if (!this.settle()) return;
    if ("metadata" in event) this.tellHeaders(event.metadata);
    try {
      this.#resolve(event);
    } catch (error) {
      // An answer that cannot be read.
      this.#reject(error);
    }
  }

  protected override failed(error: unknown): void {
    this.#reject(error);
  }
}
