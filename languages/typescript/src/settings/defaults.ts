/** Settings of connections and clients, and what they are where nothing is said (docs/operations.md, "Settings"). */

import { DEFAULTS as SESSION } from "../session/settings.js";
import { SettingError } from "./values.js";

/** Settings of every connection. Times are in milliseconds, sizes in bytes. */
export interface ConnectionSettings {
  /** The largest body accepted from the peer: 4 MiB; 1 KiB to 1 GiB. */
  readonly maxBody: number;
  /** What one received message may take in memory once it is decoded: 0, which is 16 times `maxBody`, and at least 64 MiB; 0 to 64 GiB. */
  readonly maxDecoded: number;
  /** How long a handshake may take: 5 s; 10 ms to 10 min. */
  readonly handshakeTimeoutMs: number;
  /** How often a ping is sent; after two intervals of silence a connection is lost. 10 s; 10 ms to 1 h. */
  readonly pingIntervalMs: number;
  /** How long a call waits, where neither the schema nor the call says otherwise: 30 s; 1 ms to 24 h. */
  readonly callTimeoutMs: number;
  /** Calls of the peer open at once, until their handlers end: 1,024; 1 to 32,768. */
  readonly maxCalls: number;
  /** Bytes of requests in handlers at once: 64 MiB; 1 KiB to 16 GiB. */
  readonly maxCallBytes: number;
  /** Bytes queued for the peer, each frame counted as its length + 64: 8 MiB; 64 KiB to 1 GiB. */
  readonly outgoingQueue: number;
  /** How long a sender waits without coming closer to its turn, and how long the peer may read nothing: 10 s; 10 ms to 1 h. */
  readonly writeTimeoutMs: number;
  /** How long open calls may take to finish when a connection is closed: 30 s; 0 to 24 h. */
  readonly drainTimeoutMs: number;
  /** How long calls with streams may take to end by themselves then: 250 ms; 0 to 24 h. */
  readonly streamDrainMs: number;
  /** Bytes kept for the peer to survive the loss of a connection: 16 MiB; 4 KiB to 16 GiB. */
  readonly sessionBuffer: number;
  /** Deliveries kept for the peer: 10,000; 1 to 1,000,000. */
  readonly sessionDeliveries: number;
  /** How large a body must be to be compressed, where a compression was agreed on: 1 KiB; 1 B to 1 GiB. */
  readonly compressThreshold: number;
  /** Whether connections that others can read may do: for a server to listen, for a client to send its credential. */
  readonly insecure: boolean;
}

/** Settings of clients beside those of every connection. */
export interface ClientSettings extends ConnectionSettings {
  /** How long one attempt to reach the server may take, before its handshake: 10 s; 10 ms to 10 min. */
  readonly connectTimeoutMs: number;
  /** How long the handler's `onConnected` may take after each connect: 30 s; 10 ms to 1 h. */
  readonly loginTimeoutMs: number;
  /** In which order the addresses of a service are tried. */
  readonly addressOrder: "listed" | "random";
  /** The longest wait before the first attempt to connect again; it doubles with each: 50 ms; 1 ms to 1 h. */
  readonly reconnectMinMs: number;
  /** What the longest wait grows to: 10 s; 1 ms to 24 h. */
  readonly reconnectMaxMs: number;
  /** Bytes accepted to be sent later while there is no connection: 0, with which such sends fail at once; 0 to 16 GiB. */
  readonly bufferDisconnected: number;
  /** The topic at which the client speaks, through a broker; empty for a direct connection. */
  readonly topic: string;
}

/** What is usual. */
export const DEFAULTS = {
  ...SESSION,
  maxDecoded: 0,
  callTimeoutMs: 30_000,
  writeTimeoutMs: 10_000,
  compressThreshold: 1024,
  insecure: false,
  connectTimeoutMs: 10_000,
  loginTimeoutMs: 30_000,
  addressOrder: "listed",
  reconnectMinMs: 50,
  reconnectMaxMs: 10_000,
  topic: "",
} as const satisfies ClientSettings & typeof SESSION;

/**
 * The settings of a client that reads none in URLs: what its options say, else what is usual.
 *
 * @throws {@link SettingError} for a value of another type.
 */
export function plainSettings(options: Partial<ClientSettings>): ClientSettings {
  const settings: Record<string, unknown> = { ...DEFAULTS };
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const given = options[name as keyof ClientSettings] ?? usual;
    // Not a number, and a time before now, are no limits.
    if (typeof given !== typeof usual || !((given as number) >= 0 || typeof given === "string")) throw new SettingError(`setting \`${name}\`: ${given} cannot be`);
    settings[name] = given;
  }
  return settings as unknown as ClientSettings;
}
