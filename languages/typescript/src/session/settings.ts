/**
 * The limits and times of a session, by the names that they have as options of clients and servers.
 *
 * @module
 */

import type { Budget } from "./budget.js";

/** Limits in bytes or counts, times in milliseconds. What is left out has its default. */
export interface Settings {
  /** The program that speaks, for logs of the peer. */
  readonly name?: string;
  readonly version?: string;
  /** A client's codecs, the best first: numbers of `CodecId`. Default protobuf. */
  readonly codecs?: readonly number[];
  /** A client's compressions, the best first: numbers of `CompressionId`. Default none. */
  readonly compressions?: readonly number[];
  /** How often a PING is sent; after two intervals without a byte the connection is dead. Default 10 s. 0 is never. */
  readonly pingIntervalMs?: number;
  /** How long a handshake may take. Default 5 s. */
  readonly handshakeTimeoutMs?: number;
  /** How long open exchanges may take after CLOSE. Default 30 s. */
  readonly drainTimeoutMs?: number;
  /** How long calls with streams may take after CLOSE. Default 250 ms. */
  readonly streamDrainMs?: number;
  /** The largest body that is accepted. Default 4 MiB. */
  readonly maxBody?: number;
  /** How many calls of the peer may be open. Default 1,024. */
  readonly maxCalls?: number;
  /** How many bytes the requests of the peer's open calls may have together. Default 64 MiB. */
  readonly maxCallBytes?: number;
  /** How many bytes may be queued for writing. Default 8 MiB. */
  readonly outgoingQueue?: number;
  /** How many bytes of deliveries and answers are kept across connections. Default 16 MiB. */
  readonly sessionBuffer?: number;
  /** How many deliveries are kept across connections. Default 10,000. */
  readonly sessionDeliveries?: number;
  /** How many bytes of new messages and calls are kept while there is no connection. Default 0. */
  readonly bufferDisconnected?: number;
  /** How long a server keeps a session without a connection. Default 5 min. */
  readonly sessionExpiryMs?: number;
  /** What it may hold in memory, with others. Default without limit. */
  readonly budget?: Budget | undefined;
  /** So many random bytes. Default: those of `crypto.getRandomValues`. */
  readonly random?: (length: number) => Uint8Array;
  /** Milliseconds since 1970, for the times in metadata. Default `Date.now`. */
  readonly unixTime?: () => number;
}

/** The settings of a session, all of them. */
export type Limits = Required<Settings>;

const MIB = 2 ** 20;

/** The defaults of limits and times, which are those of clients and servers too. */
export const DEFAULTS = {
  pingIntervalMs: 10_000,
  handshakeTimeoutMs: 5000,
  drainTimeoutMs: 30_000,
  streamDrainMs: 250,
  maxBody: 4 * MIB,
  maxCalls: 1024,
  maxCallBytes: 64 * MIB,
  outgoingQueue: 8 * MIB,
  sessionBuffer: 16 * MIB,
  sessionDeliveries: 10_000,
  bufferDisconnected: 0,
  sessionExpiryMs: 300_000,
};

/** Adds the defaults. */
export function withDefaults(settings: Settings): Limits {
  return {
    name: "",
    version: "",
    codecs: [1],
    compressions: [],
    ...DEFAULTS,
    budget: undefined,
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    unixTime: () => Date.now(),
    ...settings,
  };
}
