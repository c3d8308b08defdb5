/**
 * Points in time.
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

/** A point in time, independent of any time zone. */
export interface Timestamp {
  /** Seconds since 1970-01-01T00:00:00Z. */
  seconds: bigint;
  /** Nanoseconds behind them, 0 to 999,999,999. */
  nanos: number;
  /** Fields that the schema does not know, as they came. */
  $unknown?: Uint8Array;
}

const NAME = "google.protobuf.Timestamp";
const MIN_SECONDS = -62_135_596_800n;
const MAX_SECONDS = 253_402_300_799n;

/** A point in time as a `Date`, which has milliseconds: what is finer is cut off. */
export function timestampToDate(timestamp: Init<Timestamp>): Date {
  const millis = Math.floor((timestamp.nanos ?? 0) / 1_000_000);
  return new Date(Number(timestamp.seconds ?? 0n) * 1000 + millis);
}

/**
 * A `Date` as a point in time.
 *
 * @throws EncodeError for an invalid date.
 */
export function timestampFromDate(date: Date): Timestamp {
  const time = date.getTime();
  if (Number.isNaN(time)) throw new EncodeError(NAME, "an invalid date");
  const seconds = Math.floor(time / 1000);
  return { seconds: BigInt(seconds), nanos: (time - seconds * 1000) * 1_000_000 };
}

export function writeTimestamp(message: Init<Timestamp>, writer: Writer): void {
  if (message.seconds !== undefined && message.seconds !== 0n) putInt64(writer, 8, message.seconds, `${NAME}.seconds`);
  if (message.nanos !== undefined && message.nanos !== 0) putInt32(writer, 16, message.nanos, `${NAME}.nanos`);
  if (message.$unknown !== undefined) putRaw(writer, message.$unknown);
}

export function readTimestamp(reader: Reader, message: Timestamp = { seconds: 0n, nanos: 0 }): Timestamp {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 8) message.seconds = takeInt64(reader, "seconds");
    else if (tag === 16) message.nanos = takeInt32(reader, "nanos");
    else message.$unknown = takeUnknown(reader, tag, message.$unknown);
  }
  return message;
}

export function encodeTimestamp(message: Init<Timestamp>): Uint8Array {
  return encode(writeTimestamp, message);
}

export function decodeTimestamp(bytes: Uint8Array, max?: number): Timestamp {
  return decode(readTimestamp, bytes, max);
}

/** RFC 3339, in UTC, with 0, 3, 6 or 9 digits of a second. */
function write(timestamp: Init<Timestamp>): string {
  const { seconds = 0n, nanos = 0 } = timestamp;
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS || !(nanos >= 0 && nanos <= 999_999_999)) {
    throw new EncodeError(NAME, `outside of the years 1 to 9999: ${seconds} s and ${nanos} ns`);
  }
  const time = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${time}${fraction(nanos)}Z`;
}

/** The digits behind the point, in groups of three; nothing if there are none. */
export function fraction(nanos: number): string {
  if (nanos === 0) return "";
  return `.${String(nanos).padStart(9, "0").replace(/(?:000){1,2}$/, "")}`;
}

const PATTERN =
  /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))$/;

function parse(text: string): Timestamp | undefined {
  const parts = PATTERN.exec(text);
  if (parts === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1, 7).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  // A date that does not exist has become another one.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) {
    return undefined;
  }
  const [offsetHours, offsetMinutes] = [Number(parts[9] ?? 0), Number(parts[10] ?? 0)];
  if (offsetHours > 23 || offsetMinutes > 59) return undefined;
  const offset = (parts[8] === "-" ? -60 : 60) * (offsetHours * 60 + offsetMinutes);
  const seconds = BigInt(date.getTime() / 1000 - offset);
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS) return undefined;
  return { seconds, nanos: Number((parts[7] ?? "").padEnd(9, "0")) };
}

export const Timestamp_fields: MessageFields<Timestamp> = {
  name: NAME,
  form: {
    write,
    read(tree) {
      if (typeof tree !== "string") throw expected("text", tree);
      const timestamp = parse(tree);
      if (timestamp !== undefined) return timestamp;
      throw new DecodeError(`${JSON.stringify(tree)} is not a time such as "2024-02-29T12:00:00Z"`);
    },
  },
};
