import { MAX_DEPTH } from "./depth.js";
import { DecodeError, within } from "./errors.js";

const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** What puts a 64-bit number together. */
const word = /* @__PURE__ */ new DataView(/* @__PURE__ */ new ArrayBuffer(8));

/** Reads protobuf. Generated code calls it, with the name of each field for errors. */
export class Reader {
  /** Where it reads. */
  position = 0;
  /** Where the message that it reads ends. */
  end: number;
  private readonly buffer: Uint8Array;
  /** Made when it is needed: most messages have no number of a fixed length. */
  private lazyView: DataView | undefined = undefined;
  private depth = 1;
  /** Where the field began that is being read. */
  private start = 0;
  /** The upper half of the varint that was read last. */
  private high = 0;

  constructor(bytes: Uint8Array) {
    this.buffer = bytes;
    this.end = bytes.length;
  }

  /** The tag of the next field. */
  tag(): number {
    this.start = this.position;
    const tag = this.varint("");
    if (this.high !== 0 || tag < 8) throw new DecodeError(`invalid tag at byte ${this.start}`);
    return tag;
  }

  int32(field: string): number {
    return this.varint(field) | 0;
  }

  uint32(field: string): number {
    return this.varint(field);
  }

  sint32(field: string): number {
    const value = this.varint(field);
    return (value >>> 1) ^ -(value & 1);
  }

  fixed32(field: string): number {
    return this.view().getUint32(this.advance(4, field), true);
  }

  sfixed32(field: string): number {
    return this.view().getInt32(this.advance(4, field), true);
  }

  int64(field: string): bigint {
    this.varint64(field);
    return word.getBigInt64(0, true);
  }

  uint64(field: string): bigint {
    this.varint64(field);
    return word.getBigUint64(0, true);
  }

  sint64(field: string): bigint {
    this.varint64(field);
    const value = word.getBigUint64(0, true);
    return (value >> 1n) ^ -(value & 1n);
  }

  fixed64(field: string): bigint {
    return this.view().getBigUint64(this.advance(8, field), true);
  }

  sfixed64(field: string): bigint {
    return this.view().getBigInt64(this.advance(8, field), true);
  }

  float(field: string): number {
    return this.view().getFloat32(this.advance(4, field), true);
  }

  double(field: string): number {
    return this.view().getFloat64(this.advance(8, field), true);
  }

  bool(field: string): boolean {
    return this.varint(field) !== 0 || this.high !== 0;
  }

  /** A copy: the message does not keep what it was read from. */
  bytes(field: string): Uint8Array {
    const length = this.length(field);
    const start = this.advance(length, field);
    // `slice` of a Buffer would be a view.
    return new Uint8Array(this.buffer.subarray(start, start + length));
  }

  string(field: string): string {
    const length = this.length(field);
    const start = this.advance(length, field);
    const { position: end, buffer } = this;
    if (length > 12) return this.text(start, field);
    // Calling the decoder costs more than it saves for short text, which mostly is ASCII.
    let text = "";
    let at = start;
    for (; at + 4 <= end; at += 4) {
      const a = buffer[at] as number;
      const b = buffer[at + 1] as number;
      const c = buffer[at + 2] as number;
      const d = buffer[at + 3] as number;
      if ((a | b | c | d) > 0x7f) return this.text(start, field);
      text += String.fromCharCode(a, b, c, d);
    }
    for (; at < end; at++) {
      const a = buffer[at] as number;
      if (a > 0x7f) return this.text(start, field);
      text += String.fromCharCode(a);
    }
    return text;
  }

  /**
   * A sub-message: a new one, or `into` with what this one adds to it.
   */
  message<T>(field: string, read: (reader: Reader, into?: T) => T, into?: T): T {
    const end = this.open(field);
    try {
      const message = read(this, into);
      this.close(end);
      return message;
    } catch (error) {
      throw within(error, field);
    }
  }

  /** Begins a sub-message or an entry of a map: returns what {@link close} needs. */
  open(field: string): number {
    if (++this.depth > MAX_DEPTH) throw new DecodeError(`more than ${MAX_DEPTH} messages within each other`, field);
    return this.openPacked(field);
  }

  /** Ends what {@link open} began. */
  close(end: number): void {
    this.depth--;
    this.end = end;
  }

  /** Begins packed values: returns the end of what is around them. */
  openPacked(field: string): number {
    const length = this.length(field);
    const { end, position } = this;
    if (length > end - position) throw truncated(field);
    this.end = position + length;
    return end;
  }

  /** Adds the field of this tag, which nobody knows, to others. */
  unknown(tag: number, others: Uint8Array | undefined): Uint8Array {
    const { start } = this;
    this.skip(tag, 0);
    return append(others, this.buffer.subarray(start, this.position));
  }

  private view(): DataView {
    const { buffer } = this;
    return (this.lazyView ??= new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength));
  }

  private skip(tag: number, depth: number): void {
    const where = `field ${tag >>> 3}`;
    switch (tag & 7) {
      case 0:
        this.varint(where);
        break;
      case 1:
        this.advance(8, where);
        break;
      case 2:
        this.advance(this.length(where), where);
        break;
      case 3:
        this.skipGroup(tag, depth + 1, where);
        break;
      case 5:
        this.advance(4, where);
        break;
      default:
        throw new DecodeError(`unknown wire type ${tag & 7}`, where);
    }
  }

  private skipGroup(tag: number, depth: number, where: string): void {
    if (this.depth + depth > MAX_DEPTH) throw new DecodeError(`more than ${MAX_DEPTH} messages within each other`, where);
    for (;;) {
      if (this.position >= this.end) throw truncated(where);
      const inner = this.tag();
      if ((inner & 7) === 4) {
        if (inner !== tag + 1) throw new DecodeError("the end of another group", where);
        return;
      }
      this.skip(inner, depth);
    }
  }

  private text(start: number, field: string): string {
    try {
      return decoder.decode(this.buffer.subarray(start, this.position));
    } catch {
      throw new DecodeError("text that is not UTF-8", field);
    }
  }

  /** The length of what follows. */
  private length(field: string): number {
    const length = this.varint(field);
    if (this.high !== 0) throw truncated(field);
    return length;
  }

  /** Goes on by so many bytes, and returns where they begin. */
  private advance(count: number, field: string): number {
    const { position } = this;
    if (count > this.end - position) throw truncated(field);
    this.position = position + count;
    return position;
  }

  private varint64(field: string): void {
    word.setUint32(0, this.varint(field), true);
    word.setUint32(4, this.high, true);
  }

  /** The lower half of a varint; the upper half is in `high`. */
  private varint(field: string): number {
    const { buffer, position, end } = this;
    if (position < end) {
      const byte = buffer[position] as number;
      if (byte < 0x80) {
        this.position = position + 1;
        this.high = 0;
        return byte;
      }
    }
    return this.longVarint(field);
  }

  private longVarint(field: string): number {
    const { buffer, end } = this;
    let at = this.position;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= end) throw truncated(field);
      const byte = buffer[at++] as number;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else if (byte > 1) break;
      else high |= byte << 31;
      if (byte < 0x80) {
        this.position = at;
        this.high = high >>> 0;
        return low >>> 0;
      }
    }
    throw new DecodeError("a number of more than 64 bits", field);
  }
}

function truncated(field: string): DecodeError {
  return new DecodeError("ends too early", field);
}

/** Adds bytes behind others, in place where that was made for it, so that many additions cost no more than their bytes. */
function append(others: Uint8Array | undefined, bytes: Uint8Array): Uint8Array {
  if (others === undefined) return new Uint8Array(bytes);
  const length = others.length + bytes.length;
  let whole = new Uint8Array(others.buffer, 0, Math.min(length, others.buffer.byteLength));
  if (whole.length < length) {
    whole = new Uint8Array(new ArrayBuffer(2 * length), 0, length);
    whole.set(others);
  }
  whole.set(bytes, others.length);
  return whole;
}
