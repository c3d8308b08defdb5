/** What goes with a call besides its request, and what a handler is given besides the message. */

import type { Init } from "../message/index.js";
import type { Member } from "../protocol.js";
import type { Identity, Metadata } from "../session/index.js";
import type { KeyedBody } from "./keyed-body.js";

/** How a message is sent, or a call made. */
export interface CallOptions {
  /** Aborting it ends the call: its promise is rejected with a `Status` of code `CANCELLED`, and the peer is told (CANCEL). */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait, in milliseconds, instead of what the schema says. `Infinity` is without limit. */
  readonly timeoutMs?: number | undefined;
  /** Headers, a correlation id and so on (docs/protocol.md, "Metadata"). */
  readonly metadata?: Metadata | undefined;
  /** Is given the headers of the answer, before the answer is. */
  readonly onHeaders?: ((headers: ReadonlyMap<string, string>) => void) | undefined;
  /** Through a broker: another topic than the one that the client speaks at, as it is. */
  readonly topic?: string | undefined;
}

/** How a message is sent that nobody answers. */
export interface SendOptions extends Omit<CallOptions, "onHeaders"> {
  /** Of a STATE: `clears`, a function of the package, clears it instead of setting it. Of the message only the key counts then. */
  readonly clears?: ((member: Member, message: unknown) => KeyedBody) | undefined;
}

/** A STATE that is set no longer, of a member with this name and message. */
export interface ClearedState<M extends string = string, V = unknown> {
  /** As in the schema: `position_state`. */
  readonly member: M;
  /** A message with nothing but its key; nothing where the member carries nothing. */
  readonly value: V;
}

/** A stream of requests, as it is sent: taken item by item, as the peer has given credit for them. */
export type RequestStream<T> = AsyncIterable<Init<T>> | Iterable<Init<T>>;

/** What a handler is given besides the message. */
export interface Context<P> {
  /** Who sent it: to a client, the client; to a server, the peer. It sends and calls. */
  readonly peer: P;
  /** What came with the message. */
  readonly metadata: Metadata;
  /** Who sent it, where a server or a broker has authenticated that. */
  readonly identity: Identity | undefined;
  /** The topic of a broker; empty on a direct connection. */
  readonly topic: string;
  /** Aborted when nobody waits for the answer any more: the caller has given up, its time is over, or it has gone. */
  readonly signal: AbortSignal;
  /** What remains of the caller's time, in milliseconds; `Infinity` where there is no limit. */
  readonly remainingMs: number;
  /** Headers of the answer, to be filled in before the handler returns. */
  readonly responseHeaders: Map<string, string>;
  /** Options for calls that are made on behalf of this one: its correlation id, trace context, what remains of its time, and its signal. */
  onward(): CallOptions;
}
