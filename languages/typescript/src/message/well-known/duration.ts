/**
 * Spans of time.
 *
 * @module
 */

import { decode, encode } from "../codec.js";
import { DecodeError, EncodeError } from "../errors.js";
import { expected } from "../json/read.js";
import type { MessageFields } from "../json/tables.js";
import { takeInt32, takeInt64, takeTag, takeUnknown, type Reader } from "../reader.js";
import type { Init } from "../types.js";
import { putInt32, putInt64, putRaw, type Writer } from "../writer.js";
import { fraction } from "./timestamp.js";

/** A span of time. */
export interface Duration {
  seconds: bigint;
  /** Nanoseconds, of the same sign as the seconds. */
  nanos: number;
  /** Fields that the schema does not know, as they came. */
  $unknown?: Uint8Array;
}

const NAME = "google.protobuf.Duration";
/** About 10,000 years. */
const MAX_SECONDS = 315_576_000_000n;

/** A span of time in milliseconds. */
export function durationToMs(duration: Init<Duration>): number {
  return Number(duration.seconds ?? 0n) * 1000 + (duration.nanos ?? 0) / 1_000_000;
}

/**
 * Milliseconds as a span of time, to the nanosecond.
 *
 * @throws EncodeError for a number that is not finite.
 */
export function durationFromMs(ms: number): Duration {
  if (!Number.isFinite(ms)) throw new EncodeError(NAME, `${ms} ms`);
  const seconds = Math.trunc(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1_000_000);
  const carry = Math.trunc(nanos / 1_000_000_000);
  return { seconds: BigInt(seconds + carry), nanos: (nanos - carry * 1_000_000_000) | 0 };
}

export function writeDuration(message: Init<Duration>, writer: Writer): void {
  if (message.seconds !== undefined && message.seconds !== 0n) putInt64(writer, 8, message.seconds, `${NAME}.seconds`);
  if (message.nanos !== undefined && message.nanos !== 0) putInt32(writer, 16, message.nanos, `${NAME}.nanos`);
  if (message.$unknown !== undefined) putRaw(writer, message.$unknown);
}

export function readDuration(reader: Reader, message: Duration = { seconds: 0n, nanos: 0 }): Duration {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 8) message.seconds = takeInt64(reader, "seconds");
    else if (tag === 16) message.nanos = takeInt32(reader, "nanos");
    else message.$unknown = takeUnknown(reader, tag, message.$unknown);
  }
  return message;
}

export function encodeDuration(message: Init<Duration>): Uint8Array {
  return encode(writeDuration, message);
}

export function decodeDuration(bytes: Uint8Array, max?: number): Duration {
  return decode(readDuration, bytes, max);
}

/** Seconds with 0, 3, 6 or 9 decimals, and an `s`. */
function write(duration: Init<Duration>): string {
  const { seconds = 0n, nanos = 0 } = duration;
  const isNegative = seconds < 0n || nanos < 0;
  const [whole, rest] = isNegative ? [-seconds, -nanos] : [seconds, nanos];
  if (whole < 0n || whole > MAX_SECONDS || !(rest >= 0 && rest <= 999_999_999)) {
    throw new EncodeError(NAME, `of two signs, or more than 10,000 years: ${seconds} s and ${nanos} ns`);
  }
  return `${isNegative ? "-" : ""}${whole}${fraction(rest)}s`;
}

function parse(text: string): Duration | undefined {
  const parts = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(text);
  if (parts === null) return undefined;
  const sign = parts[1] === "-" ? -1 : 1;
  const seconds = BigInt(parts[2] ?? "");
  if (seconds > MAX_SECONDS) return undefined;
  const nanos = Number((parts[3] ?? "").padEnd(9, "0"));
  return { seconds: BigInt(sign) * seconds, nanos: (sign * nanos) | 0 };
}

export const Duration_fields: MessageFields<Duration> = {
  name: NAME,
  form: {
    write,
    read(tree) {
      if (typeof tree !== "string") throw expected("text", tree);
      const duration = parse(tree);
      if (duration !== undefined) return duration;
      throw new DecodeError(`${JSON.stringify(tree)} is not a duration such as "1.5s"`);
    },
  },
};
