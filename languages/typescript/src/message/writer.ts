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
 * Writes protobuf into one growing buffer.
 *
 * Generated code calls it, with the tag of each field (number and wire type, as one number; 0 for packed values, which have none) and
 * the field's full name for errors. A sub-message is written in place behind one byte for its length, and moved in the rare case that
 * its length needs more.
 */
export class Writer {
  private buffer = new Uint8Array(256);
  private view = new DataView(this.buffer.buffer);
  private length = 0;
  private depth = 0;

  /** What has been written so far, as bytes of its own. */
  finish(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }

  /** Forgets what has been written, and memory beyond the usual. */
  reset(): void {
    this.length = 0;
    this.depth = 0;
    if (this.buffer.length > MAX_KEPT) {
      this.buffer = new Uint8Array(256);
      this.view = new DataView(this.buffer.buffer);
    }
  }

  int32(tag: number, value: number, field: string): void {
    checkInt32(value, field);
    this.reserve(15);
    if (tag !== 0) this.put(tag);
    if (value < 0) this.putWords(value >>> 0, 0xffff_ffff);
    else this.put(value);
  }

  uint32(tag: number, value: number, field: string): void {
    checkUint32(value, field);
    this.reserve(10);
    if (tag !== 0) this.put(tag);
    this.put(value);
  }

  sint32(tag: number, value: number, field: string): void {
    checkInt32(value, field);
    this.reserve(10);
    if (tag !== 0) this.put(tag);
    this.put(((value << 1) ^ (value >> 31)) >>> 0);
  }

  fixed32(tag: number, value: number, field: string): void {
    checkUint32(value, field);
    this.reserve(9);
    if (tag !== 0) this.put(tag);
    this.view.setUint32(this.length, value, true);
    this.length += 4;
  }

  sfixed32(tag: number, value: number, field: string): void {
    checkInt32(value, field);
    this.reserve(9);
    if (tag !== 0) this.put(tag);
    this.view.setInt32(this.length, value, true);
    this.length += 4;
  }

  int64(tag: number, value: bigint, field: string): void {
    checkInt64(value, field);
    word.setBigInt64(0, value, true);
    this.reserve(15);
    if (tag !== 0) this.put(tag);
    this.putWords(word.getUint32(0, true), word.getUint32(4, true));
  }

  uint64(tag: number, value: bigint, field: string): void {
    checkUint64(value, field);
    word.setBigUint64(0, value, true);
    this.reserve(15);
    if (tag !== 0) this.put(tag);
    this.putWords(word.getUint32(0, true), word.getUint32(4, true));
  }

  sint64(tag: number, value: bigint, field: string): void {
    checkInt64(value, field);
    word.setBigInt64(0, (value << 1n) ^ (value >> 63n), true);
    this.reserve(15);
    if (tag !== 0) this.put(tag);
    this.putWords(word.getUint32(0, true), word.getUint32(4, true));
  }

  fixed64(tag: number, value: bigint, field: string): void {
    checkUint64(value, field);
    this.reserve(13);
    if (tag !== 0) this.put(tag);
    this.view.setBigUint64(this.length, value, true);
    this.length += 8;
  }

  sfixed64(tag: number, value: bigint, field: string): void {
    checkInt64(value, field);
    this.reserve(13);
    if (tag !== 0) this.put(tag);
    this.view.setBigInt64(this.length, value, true);
    this.length += 8;
  }

  float(tag: number, value: number, field: string): void {
    checkFloat(value, field);
    this.reserve(9);
    if (tag !== 0) this.put(tag);
    this.view.setFloat32(this.length, value, true);
    this.length += 4;
  }

  double(tag: number, value: number, field: string): void {
    checkDouble(value, field);
    this.reserve(13);
    if (tag !== 0) this.put(tag);
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  bool(tag: number, value: boolean, field: string): void {
    checkBool(value, field);
    this.reserve(6);
    if (tag !== 0) this.put(tag);
    this.buffer[this.length++] = value ? 1 : 0;
  }

  bytes(tag: number, value: Uint8Array, field: string): void {
    checkBytes(value, field);
    this.reserve(10 + value.length);
    if (tag !== 0) this.put(tag);
    this.put(value.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
  }

  string(tag: number, value: string, field: string): void {
    if (typeof value !== "string") checkText(value, field);
    const count = value.length;
    // A unit of UTF-16 becomes at most three bytes.
    this.reserve(10 + 3 * count);
    if (tag !== 0) this.put(tag);
    if (count > 32) {
      this.putLongText(value, field);
      return;
    }
    const bytes = this.buffer;
    const start = this.length;
    let at = start + 1;
    for (let index = 0; index < count; index++) {
      let unit = value.charCodeAt(index);
      if (unit < 0x80) {
        bytes[at++] = unit;
      } else if (unit < 0x800) {
        bytes[at++] = 0xc0 | (unit >> 6);
        bytes[at++] = 0x80 | (unit & 0x3f);
      } else {
        if (unit >= 0xd800 && unit < 0xe000) {
          const low = index + 1 < count ? value.charCodeAt(index + 1) : 0;
          if (unit >= 0xdc00 || low < 0xdc00 || low >= 0xe000) checkText(value, field);
          index++;
          unit = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
          bytes[at++] = 0xf0 | (unit >> 18);
          bytes[at++] = 0x80 | ((unit >> 12) & 0x3f);
        } else {
          bytes[at++] = 0xe0 | (unit >> 12);
        }
        bytes[at++] = 0x80 | ((unit >> 6) & 0x3f);
        bytes[at++] = 0x80 | (unit & 0x3f);
      }
    }
    bytes[start] = at - start - 1;
    this.length = at;
  }

  /** Writes a sub-message that is no object, such as a `StringValue`. */
  value<T>(tag: number, value: T, write: (value: T, writer: Writer) => void, field: string): void {
    const start = this.open(tag, field);
    write(value, this);
    this.close(start);
  }

  /** Writes a sub-message. */
  message<T>(tag: number, value: T, write: (message: T, writer: Writer) => void, field: string): void {
    if (typeof value !== "object" || value === null) throw refused(field, value, "a message");
    const start = this.open(tag, field);
    write(value, this);
    this.close(start);
  }

  /** Begins a sub-message or an entry of a map: returns what {@link close} needs. */
  open(tag: number, field: string): number {
    if (++this.depth === MAX_DEPTH) throw new EncodeError(field, `more than ${MAX_DEPTH} messages within each other`);
    return this.openPacked(tag);
  }

  /** Ends what {@link open} began. */
  close(start: number): void {
    this.depth--;
    this.closePacked(start);
  }

  /** Begins packed values: returns what {@link closePacked} needs. */
  openPacked(tag: number): number {
    this.reserve(6);
    this.put(tag);
    return ++this.length;
  }

  /** Ends what {@link openPacked} began. */
  closePacked(start: number): void {
    const length = this.length - start;
    if (length < 0x80) {
      this.buffer[start - 1] = length;
      return;
    }
    const more = varintLength(length) - 1;
    this.reserve(more);
    this.buffer.copyWithin(start + more, start, this.length);
    this.length = start - 1;
    this.put(length);
    this.length += length;
  }

  /** Appends bytes as they are, such as fields that nobody knows. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  private putLongText(value: string, field: string): void {
    checkText(value, field);
    const count = value.length;
    // Right for text in ASCII; other text moves when its length is known to need more.
    const guess = varintLength(count);
    const start = this.length + guess;
    const { written } = encoder.encodeInto(value, this.buffer.subarray(start));
    const more = varintLength(written) - guess;
    if (more > 0) this.buffer.copyWithin(start + more, start, start + written);
    this.put(written);
    this.length += written;
  }

  private put(value: number): void {
    while (value > 0x7f) {
      this.buffer[this.length++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    this.buffer[this.length++] = value;
  }

  private putWords(low: number, high: number): void {
    while (high > 0) {
      this.buffer[this.length++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.put(low);
  }

  private reserve(count: number): void {
    if (this.length + count > this.buffer.length) this.grow(count);
  }

  private grow(count: number): void {
    const old = this.buffer;
    this.buffer = new Uint8Array(Math.max(2 * old.length, this.length + count));
    this.buffer.set(old.subarray(0, this.length));
    this.view = new DataView(this.buffer.buffer);
  }
}

function varintLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}
