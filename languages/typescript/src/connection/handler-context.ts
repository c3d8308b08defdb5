/** What a handler is given besides the message. */

import type { Status } from "../errors.js";
import type { Identity, Message, Metadata, Request } from "../session/index.js";
import { now } from "./driver.js";
import type { InboundHost } from "./inbound.js";
import type { CallOptions, Context } from "./options.js";

const NO_METADATA: Metadata = {};

export class HandlerContext implements Context<unknown> {
  readonly #host: InboundHost;
  readonly #event: Message | Request;
  #headers: Map<string, string> | undefined;
  #abort: AbortController | undefined;
  #aborted: Status | undefined;

  constructor(host: InboundHost, event: Message | Request) {
    this.#host = host;
    this.#event = event;
  }

  get peer(): unknown {
    return this.#host.peer;
  }

  get metadata(): Metadata {
    return this.#event.metadata ?? NO_METADATA;
  }

  get identity(): Identity | undefined {
    return this.#host.identity ?? this.metadata.identity;
  }

  get topic(): string {
    return this.#host.topicOf(this.#event);
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#aborted !== undefined) this.#abort.abort(this.#aborted);
    }
    return this.#abort.signal;
  }

  get remainingMs(): number {
    return Math.max(0, this.#event.deadline - now());
  }

  get responseHeaders(): Map<string, string> {
    return (this.#headers ??= new Map());
  }

  onward(): CallOptions {
    const metadata: Record<string, unknown> = {};
    for (const name of ["correlationId", "traceparent", "tracestate"] as const) {
      const value = this.metadata[name];
      if (value !== undefined) metadata[name] = value;
    }
    const { remainingMs, signal } = this;
    return { signal, metadata, ...(remainingMs !== Infinity && { timeoutMs: remainingMs }) };
  }

  abort(status: Status): void {
    this.#aborted = status;
    this.#abort?.abort(status);
  }

  answerMetadata(): { headers: Map<string, string> } | undefined {
    return this.#headers?.size ? { headers: this.#headers } : undefined;
  }
}
