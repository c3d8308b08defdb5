/** Settings of connections, clients and servers: names, defaults and ranges (docs/operations.md, "Settings"). */

import { DEFAULTS } from "../session/settings.js";
import { SettingError, checkValue, parseValue, type SettingForm, type SettingForms } from "./values.js";

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

/** A form, and the value where nothing is set. */
export type Setting = SettingForm & { readonly standard: number | boolean | string };

/** Settings by name, as they are in a URL. */
export type Settings = Readonly<Record<string, Setting>>;

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const HOUR = 3_600_000;

function number(kind: "duration" | "size" | "count", standard: number, min: number, max: number): Setting {
  return { kind, standard, min, max };
}

function choice(...of: readonly [string, ...string[]]): Setting {
  return { kind: "choice", of, standard: of[0] };
}

/** How many milliseconds, sizes and counts are written. */
export const duration = number.bind(null, "duration");
export const size = number.bind(null, "size");
export const count = number.bind(null, "count");

const CONNECTION: Settings = {
  max_body: size(DEFAULTS.maxBody, KIB, GIB),
  max_decoded: size(0, 0, 64 * GIB),
  handshake_timeout: duration(DEFAULTS.handshakeTimeout, 10, 600_000),
  ping_interval: duration(DEFAULTS.pingInterval, 10, HOUR),
  call_timeout: duration(30_000, 1, 24 * HOUR),
  max_calls: count(DEFAULTS.maxCalls, 1, 32_768),
  max_call_bytes: size(DEFAULTS.maxCallBytes, KIB, 16 * GIB),
  outgoing_queue: size(DEFAULTS.outgoingQueue, 64 * KIB, GIB),
  write_timeout: duration(DEFAULTS.writeTimeout, 10, HOUR),
  drain_timeout: duration(DEFAULTS.drainTimeout, 0, 24 * HOUR),
  stream_drain: duration(DEFAULTS.streamDrain, 0, 24 * HOUR),
  session_buffer: size(DEFAULTS.sessionBuffer, 4 * KIB, 16 * GIB),
  session_deliveries: count(DEFAULTS.sessionDeliveries, 1, 1_000_000),
  compress_threshold: size(KIB, 1, GIB),
  insecure: { kind: "flag", standard: false },
};

/** Settings of clients, as in a URL. */
export const CLIENT: Settings = {
  ...CONNECTION,
  codec: choice("protobuf", "json", "msgpack"),
  compress: choice("none", "gzip", "zstd"),
  connect_timeout: duration(10_000, 10, 600_000),
  login_timeout: duration(30_000, 10, HOUR),
  address_order: choice("listed", "random"),
  reconnect_min: duration(50, 1, HOUR),
  reconnect_max: duration(10_000, 1, 24 * HOUR),
  buffer_disconnected: size(DEFAULTS.bufferDisconnected, 0, 16 * GIB),
  topic: { kind: "text", standard: "" },
};

/** Settings of servers, as in a URL. */
export const SERVER: Settings = {
  ...CONNECTION,
  max_connections: count(16_384, 1, 10_000_000),
  max_handshakes: count(1024, 1, 10_000_000),
  session_expiry: duration(DEFAULTS.sessionExpiry, 0, 24 * HOUR),
  max_detached_sessions: count(10_000, 0, 10_000_000),
  max_memory: size(GIB, MIB, 1024 * GIB),
  schema: choice("any", "strict"),
};

/** In code these are objects, and no settings. */
const OBJECTS: readonly string[] = ["codec", "compress"];

/** What Rust's clients and servers have, and this package has not. */
const ELSEWHERE =
  "correlation_ids channel max_auth_failures drain_spread codecs compressions compressions_for proxy_from";

/** `max_body` is the option `maxBody`, and `ping_interval`, a time, `pingIntervalMs`. */
function optionName(name: string, setting: Setting): string {
  const camel = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  return setting.kind === "duration" ? `${camel}Ms` : camel;
}

/**
 * The settings in force: what the URL says, else what the options say, else what is usual.
 *
 * @param also Names that somebody else reads, such as a transport.
 * @throws {@link SettingError} for a name that is unknown, or a value that is not accepted.
 */
export function resolveSettings(
  table: Settings,
  url: ReadonlyMap<string, string>,
  options: Readonly<Record<string, unknown>>,
  also: readonly string[] = [],
): Record<string, number | boolean | string> {
  const settings: Record<string, number | boolean | string> = {};
  for (const [name, setting] of Object.entries(table)) {
    const option = optionName(name, setting);
    const text = url.get(name);
    const given = options[option];
    if (text !== undefined) settings[option] = parseValue(name, text, setting);
    else if (given === undefined || OBJECTS.includes(name)) settings[option] = setting.standard;
    else settings[option] = checkValue(option, given as number, setting);
  }
  refuseUnknown(url, { ...table }, also);
  return settings;
}

/**
 * Refuses settings of a URL that nobody reads.
 *
 * @throws {@link SettingError} which names the first of them.
 */
export function refuseUnknown(url: ReadonlyMap<string, string>, known: SettingForms, also: readonly string[] = []): void {
  for (const name of url.keys()) {
    if (Object.hasOwn(known, name) || also.includes(name)) continue;
    if (name === "token" || name === "credential") {
      throw new SettingError(`setting \`${name}\`: a URL must not hold a secret: use the option \`credential\``);
    }
    if (ELSEWHERE.split(" ").includes(name)) {
      throw new SettingError(`setting \`${name}\`: TypeScript's clients and servers do not have it`);
    }
    throw new SettingError(`unknown setting \`${name}\`: expected one of ${[...Object.keys(known), ...also].sort().join(", ")}`);
  }
}
