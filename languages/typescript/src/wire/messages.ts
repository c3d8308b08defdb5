/**
 * The payloads of MSIP's own frames: the messages of `msip-session/proto/hello.proto`.
 *
 * @module
 */

import type { Detail } from "../errors.js";
import { BOOL, BYTES, BYTES_MAP, FIXED64, FIXED64S, MESSAGE, MESSAGES, OPTIONAL, TEXT, TEXTS, TEXT_MAP, VARINT, VARINTS, type Fields } from "./proto.js";

/** How bodies are encoded. */
export const CodecId = { PROTOBUF: 1, JSON: 2, MESSAGE_PACK: 3 } as const;

/** How bodies are compressed: also the first byte of a compressed body. */
export const CompressionId = { NONE: 0, GZIP: 1, ZSTD: 2, LZ4: 3 } as const;

/** Who sent a message, as the accepting side has authenticated it. */
export interface Identity {
  readonly user?: string;
  readonly service?: string;
  /** The peer id of the client; 0 is none. */
  readonly peer?: bigint;
  readonly roles?: readonly string[];
}

/** What goes with a message besides its body (docs/protocol.md, "Metadata"). */
export interface Metadata {
  /** What remains of the deadline, in milliseconds. The session writes it. */
  readonly deadlineMs?: number;
  readonly correlationId?: string;
  readonly traceparent?: string;
  readonly tracestate?: string;
  /** Microseconds since 1970, by the sender's clock. */
  readonly requestTimeUs?: number;
  readonly responseTimeUs?: number;
  readonly idempotent?: boolean;
  readonly key?: string;
  readonly headers?: ReadonlyMap<string, string>;
  /** Written by the accepting side. */
  readonly identity?: Identity;
  readonly details?: readonly Detail[];
  readonly cleared?: Uint8Array;
}

/** How a client opens or resumes a session. */
export interface Hello {
  readonly protocol?: string;
  readonly fingerprint?: bigint;
  /** {@link CodecId}s, the best first. */
  readonly codecs?: readonly number[];
  /** {@link CompressionId}s, the best first. */
  readonly compressions?: readonly number[];
  readonly keepaliveMs?: number;
  readonly maxBody?: number;
  readonly credential?: Uint8Array;
  readonly clientName?: string;
  readonly clientVersion?: string;
  readonly sessionSecret?: Uint8Array;
  readonly awaited?: readonly bigint[];
  readonly extensions?: ReadonlyMap<string, Uint8Array>;
}

/** How a server answers a {@link Hello}. */
export interface Welcome {
  readonly fingerprint?: bigint;
  readonly codec?: number;
  readonly compression?: number;
  readonly resumed?: boolean;
  readonly keepaliveMs?: number;
  readonly maxBody?: number;
  readonly maxOpenCalls?: number;
  readonly sessionExpiryMs?: number;
  readonly peerId?: bigint;
  readonly broker?: boolean;
  readonly serverName?: string;
  readonly serverVersion?: string;
  readonly awaited?: readonly bigint[];
  readonly extensions?: ReadonlyMap<string, Uint8Array>;
}

/** What a SUBSCRIBE says besides its topic. */
export interface Subscribe {
  readonly group?: string;
  readonly protocol?: string;
  readonly fingerprint?: bigint;
  readonly grant?: Uint8Array;
  readonly byPeer?: boolean;
  readonly schemaRule?: number;
  readonly ownWindow?: boolean;
}

/** What the first service of a topic speaks: the answer to a SUBSCRIBE with `byPeer`. */
export interface Subscribed {
  readonly protocol?: string;
  readonly fingerprint?: bigint;
}

const IDENTITY: Fields = [
  ["user", TEXT],
  ["service", TEXT],
  ["peer", FIXED64],
  ["roles", TEXTS],
];

const DETAIL: Fields = [
  ["typeName", TEXT],
  ["value", BYTES],
];

/** The fields of {@link Metadata}. */
export const METADATA: Fields = [
  ["deadlineMs", OPTIONAL],
  ["correlationId", TEXT],
  ["traceparent", TEXT],
  ["tracestate", TEXT],
  ["requestTimeUs", OPTIONAL],
  ["responseTimeUs", OPTIONAL],
  ["idempotent", BOOL],
  ["key", TEXT],
  ["headers", TEXT_MAP],
  ["identity", MESSAGE, IDENTITY],
  ["details", MESSAGES, DETAIL],
  ["cleared", BYTES],
];

/** The fields of {@link Hello}. */
export const HELLO_FIELDS: Fields = [
  ["protocol", TEXT],
  ["fingerprint", FIXED64],
  ["codecs", VARINTS],
  ["compressions", VARINTS],
  ["keepaliveMs", VARINT],
  ["maxBody", VARINT],
  ["credential", BYTES],
  ["clientName", TEXT],
  ["clientVersion", TEXT],
  ["sessionSecret", BYTES],
  ["awaited", FIXED64S],
  ["extensions", BYTES_MAP],
];

/** The fields of {@link Welcome}. */
export const WELCOME_FIELDS: Fields = [
  ["fingerprint", FIXED64],
  ["codec", VARINT],
  ["compression", VARINT],
  ["resumed", BOOL],
  ["keepaliveMs", VARINT],
  ["maxBody", VARINT],
  ["maxOpenCalls", VARINT],
  ["sessionExpiryMs", VARINT],
  ["peerId", FIXED64],
  ["broker", BOOL],
  ["serverName", TEXT],
  ["serverVersion", TEXT],
  ["awaited", FIXED64S],
  ["extensions", BYTES_MAP],
];

/** The fields of {@link Subscribe}. */
export const SUBSCRIBE_FIELDS: Fields = [
  ["group", TEXT],
  ["protocol", TEXT],
  ["fingerprint", FIXED64],
  ["grant", BYTES],
  ["byPeer", BOOL],
  ["schemaRule", VARINT],
  ["ownWindow", BOOL],
];

/** The fields of {@link Subscribed}. */
export const SUBSCRIBED_FIELDS: Fields = [
  ["protocol", TEXT],
  ["fingerprint", FIXED64],
];
