/** What carries the bytes of a connection: a stream, and what opens it. */

import type { ClientClass } from "../client/client.js";
import type { ClientOptions } from "../client/options.js";
import type { ClientParts } from "../client/parts.js";
import type { Protocol } from "../protocol.js";

/** Who hears of a stream. */
export interface StreamSink {
  /** Bytes have come. They are the sink's from then on. */
  onData(bytes: Uint8Array): void;
  /** What {@link ByteStream.write} refused to take on at once has gone out. */
  onDrain(): void;
  /** The stream has ended, by either side; `error` where something went wrong. Called once, and last. */
  onEnd(error?: Error): void;
}

/** A stream of bytes, both ways. Nothing is heard of it before it is started. */
export interface ByteStream {
  /** Whether only the two ends can read or change what is sent: it is encrypted, or stays on this machine. */
  readonly isConfidential: boolean;
  /** Where the other end is, for logs. */
  readonly peerAddress: string;
  /** How many bytes were written and have not gone out yet. */
  readonly buffered: number;
  /** Begins to hear, or tells another sink from now on. */
  start(sink: StreamSink): void;
  /** Sends bytes, which are not changed afterwards. Where it returns false, the sink waits for its `onDrain`. */
  write(bytes: Uint8Array): boolean;
  /** Reads nothing until it is resumed, where the stream can do that. */
  pause(): void;
  /** Reads on. */
  resume(): void;
  /** Ends the stream once all that was written has gone out. */
  end(): void;
  /** Ends the stream at once. */
  destroy(): void;
}

/**
 * Opens streams to the addresses of a service. `WebSocket`s need none but a URL; `transport()` of `msip/node` makes others, and a
 * program may bring its own.
 */
export interface Transport {
  /** Where the service is: at least one address, in the order in which they are tried. */
  readonly addresses: readonly string[];
  /** What the URL says beside them, for the client. */
  readonly settings: ReadonlyMap<string, string>;
  /**
   * Opens a stream to one of the addresses.
   *
   * @param signal Aborted where nobody waits any more: what is open is closed then.
   */
  connect(address: string, signal: AbortSignal): Promise<ByteStream>;
  /** Makes a client that has no connection of its own. @internal */
  readonly join?: Join;
}

/** Makes a client of a connection that is there. */
type Join = <C>(type: ClientClass<C>, protocol: Protocol, options: ClientOptions, parts: ClientParts) => Promise<C>;
