import { MAX_DEPTH } from "./depth.js";
import { EncodeError } from "./errors.js";
import {
  checkBool,
  checkBytes,
  checkDouble,
  checkFloat,
  checkInt32,
  checkInt64,
  checkText,
  checkUint32,
  checkUint64,
  refused,
} from "./scalars.js";

/** How much memory is kept for the next message. */
const MAX_KEPT = 65_536;
const encoder = /* @__PURE__ */ new TextEncoder();
/** What takes a 64-bit number apart. */
const word = /* @__PURE__ */ new DataView(/* @__PURE__ */ new ArrayBuffer(8));

/**
 * What protobuf is written into: one growing buffer.
 *
 * Generated code calls the functions below with it, with the tag of each field (number and wire type, as one number; 0 for packed values,
 * which have none) and the field's full name for errors. A sub-message is written in place behind one byte for its length, and moved in
 * the rare case that its length needs more.
 */
export class Writer {
  /** @internal */
  buffer = new Uint8Array(256);
  /** @internal */
  view = new DataView(this.buffer.buffer);
  /** @internal */
  length = 0;
  /** @internal */
  depth = 0;
}

/** What has been written so far, as bytes of its own. */
export function finish(writer: Writer): Uint8Array {
  return writer.buffer.slice(0, writer.length);
}

/** Forgets what has been written, and memory beyond the usual. */
export function reset(writer: Writer): void {
  writer.length = 0;
  writer.depth = 0;
  if (writer.buffer.length > MAX_KEPT) {
    writer.buffer = new Uint8Array(256);
    writer.view = new DataView(writer.buffer.buffer);
  }
}

export function putInt32(writer: Writer, tag: number, value: number, field: string): void {
  checkInt32(value, field);
  reserve(writer, 15);
  if (tag !== 0) put(writer, tag);
  if (value < 0) putWords(writer, value >>> 0, 0xffff_ffff);
  else put(writer, value);
}

export function putUint32(writer: Writer, tag: number, value: number, field: string): void {
  checkUint32(value, field);
  reserve(writer, 10);
  if (tag !== 0) put(writer, tag);
  put(writer, value);
}

/** A whole number of up to 53 bits. @internal */
export function putNumber(writer: Writer, tag: number, value: number): void {
  reserve(writer, 15);
  if (tag !== 0) put(writer, tag);
  putWords(writer, value >>> 0, Math.floor(value / 2 ** 32));
}

export function putSint32(writer: Writer, tag: number, value: number, field: string): void {
  checkInt32(value, field);
  reserve(writer, 10);
  if (tag !== 0) put(writer, tag);
  put(writer, ((value << 1) ^ (value >> 31)) >>> 0);
}

export function putFixed32(writer: Writer, tag: number, value: number, field: string): void {
  checkUint32(value, field);
  reserve(writer, 9);
  if (tag !== 0) put(writer, tag);
  writer.view.setUint32(writer.length, value, true);
  writer.length += 4;
}

export function putSfixed32(writer: Writer, tag: number, value: number, field: string): void {
  checkInt32(value, field);
  reserve(writer, 9);
  if (tag !== 0) put(writer, tag);
  writer.view.setInt32(writer.length, value, true);
  writer.length += 4;
}

export function putInt64(writer: Writer, tag: number, value: bigint, field: string): void {
  checkInt64(value, field);
  word.setBigInt64(0, value, true);
  reserve(writer, 15);
  if (tag !== 0) put(writer, tag);
  putWords(writer, word.getUint32(0, true), word.getUint32(4, true));
}

export function putUint64(writer: Writer, tag: number, value: bigint, field: string): void {
  checkUint64(value, field);
  word.setBigUint64(0, value, true);
  reserve(writer, 15);
  if (tag !== 0) put(writer, tag);
  putWords(writer, word.getUint32(0, true), word.getUint32(4, true));
}

export function putSint64(writer: Writer, tag: number, value: bigint, field: string): void {
  checkInt64(value, field);
  word.setBigInt64(0, (value << 1n) ^ (value >> 63n), true);
  reserve(writer, 15);
  if (tag !== 0) put(writer, tag);
  putWords(writer, word.getUint32(0, true), word.getUint32(4, true));
}

export function putFixed64(writer: Writer, tag: number, value: bigint, field: string): void {
  checkUint64(value, field);
  putWord(writer, tag, value);
}

/** A number of 64 bits that is one. @internal */
export function putWord(writer: Writer, tag: number, value: bigint): void {
  reserve(writer, 13);
  if (tag !== 0) put(writer, tag);
  writer.view.setBigUint64(writer.length, value, true);
  writer.length += 8;
}

export function putSfixed64(writer: Writer, tag: number, value: bigint, field: string): void {
  checkInt64(value, field);
  reserve(writer, 13);
  if (tag !== 0) put(writer, tag);
  writer.view.setBigInt64(writer.length, value, true);
  writer.length += 8;
}

export function putFloat(writer: Writer, tag: number, value: number, field: string): void {
  checkFloat(value, field);
  reserve(writer, 9);
  if (tag !== 0) put(writer, tag);
  writer.view.setFloat32(writer.length, value, true);
  writer.length += 4;
}

export function putDouble(writer: Writer, tag: number, value: number, field: string): void {
  checkDouble(value, field);
  reserve(writer, 13);
  if (tag !== 0) put(writer, tag);
  writer.view.setFloat64(writer.length, value, true);
  writer.length += 8;
}

export function putBool(writer: Writer, tag: number, value: boolean, field: string): void {
  checkBool(value, field);
  reserve(writer, 6);
  if (tag !== 0) put(writer, tag);
  writer.buffer[writer.length++] = value ? 1 : 0;
}

export function putBytes(writer: Writer, tag: number, value: Uint8Array, field: string): void {
  checkBytes(value, field);
  reserve(writer, 10 + value.length);
  if (tag !== 0) put(writer, tag);
  put(writer, value.length);
  writer.buffer.set(value, writer.length);
  writer.length += value.length;
}

export function putString(writer: Writer, tag: number, value: string, field: string): void {
  if (typeof value !== "string") checkText(value, field);
  const count = value.length;
  // A unit of UTF-16 becomes at most three bytes.
  reserve(writer, 10 + 3 * count);
  if (tag !== 0) put(writer, tag);
  if (count > 32) {
    putLongText(writer, value, field);
    return;
  }
  // Calling the encoder costs more than it saves for short text, which mostly is ASCII.
  const bytes = writer.buffer;
  const start = writer.length;
  let at = start + 1;
  for (let index = 0; index < count; index++) {
    const unit = value.charCodeAt(index);
    if (unit > 0x7f) {
      putLongText(writer, value, field);
      return;
    }
    bytes[at++] = unit;
  }
  bytes[start] = count;
  writer.length = at;
}

/** Writes a sub-message that is no object, such as a `StringValue`. */
export function putValue<T>(writer: Writer, tag: number, value: T, write: (value: T, writer: Writer) => void, field: string): void {
  const start = putOpen(writer, tag, field);
  write(value, writer);
  putClose(writer, start);
}

/** Writes a sub-message. */
export function putMessage<T>(writer: Writer, tag: number, value: T, write: (message: T, writer: Writer) => void, field: string): void {
  if (typeof value !== "object" || value === null) throw refused(field, value, "a message");
  const start = putOpen(writer, tag, field);
  write(value, writer);
  putClose(writer, start);
}

/** Begins a sub-message or an entry of a map: returns what {@link putClose} needs. */
export function putOpen(writer: Writer, tag: number, field: string): number {
  if (++writer.depth === MAX_DEPTH) throw new EncodeError(field, `more than ${MAX_DEPTH} messages within each other`);
  return putOpenPacked(writer, tag);
}

/** Ends what {@link putOpen} began. */
export function putClose(writer: Writer, start: number): void {
  writer.depth--;
  putClosePacked(writer, start);
}

/** Begins packed values: returns what {@link putClosePacked} needs. */
export function putOpenPacked(writer: Writer, tag: number): number {
  reserve(writer, 6);
  put(writer, tag);
  return ++writer.length;
}

/** Ends what {@link putOpenPacked} began. */
export function putClosePacked(writer: Writer, start: number): void {
  const length = writer.length - start;
  if (length < 0x80) {
    writer.buffer[start - 1] = length;
    return;
  }
  const more = varintLength(length) - 1;
  reserve(writer, more);
  writer.buffer.copyWithin(start + more, start, writer.length);
  writer.length = start - 1;
  put(writer, length);
  writer.length += length;
}

/** Appends bytes as they are, such as fields that nobody knows. */
export function putRaw(writer: Writer, bytes: Uint8Array): void {
  reserve(writer, bytes.length);
  writer.buffer.set(bytes, writer.length);
  writer.length += bytes.length;
}

function putLongText(writer: Writer, value: string, field: string): void {
  checkText(value, field);
  const count = value.length;
  // Right for text in ASCII; other text moves when its length is known to need more.
  const guess = varintLength(count);
  const start = writer.length + guess;
  const { written } = encoder.encodeInto(value, writer.buffer.subarray(start));
  const more = varintLength(written) - guess;
  if (more > 0) writer.buffer.copyWithin(start + more, start, start + written);
  put(writer, written);
  writer.length += written;
}

function put(writer: Writer, value: number): void {
  while (value > 0x7f) {
    writer.buffer[writer.length++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  writer.buffer[writer.length++] = value;
}

function putWords(writer: Writer, low: number, high: number): void {
  while (high > 0) {
    writer.buffer[writer.length++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  put(writer, low);
}

function reserve(writer: Writer, count: number): void {
  if (writer.length + count > writer.buffer.length) grow(writer, count);
}

function grow(writer: Writer, count: number): void {
  const old = writer.buffer;
  writer.buffer = new Uint8Array(Math.max(2 * old.length, writer.length + count));
  writer.buffer.set(old.subarray(0, writer.length));
  writer.view = new DataView(writer.buffer.buffer);
}

/** How many bytes a length, or a tag, takes. */
export function varintLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}
