import { MAX_DEPTH } from "./depth.js";
import { DecodeError, within } from "./errors.js";
import { BIGINT, BYTES, ELEMENT, OBJECT, spend, textSize } from "./memory.js";

const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** What puts a 64-bit number together. */
const word = /* @__PURE__ */ new DataView(/* @__PURE__ */ new ArrayBuffer(8));

/** What protobuf is read from. Generated code calls the functions below with it, and with the name of each field for errors. */
export class Reader {
  /** Where it reads. */
  position = 0;
  /** Where the message that it reads ends. */
  end: number;
  /** @internal */
  readonly buffer: Uint8Array;
  /** Made when it is needed: most messages have no number of a fixed length. @internal */
  lazyView: DataView | undefined = undefined;
  /** @internal */
  depth = 1;
  /** Where the field began that is being read. @internal */
  start = 0;
  /** The upper half of the varint that was read last. @internal */
  high = 0;
  /** What has been taken in memory, in bytes. @internal */
  used = 0;
  /** @internal */
  readonly max: number;

  /** @param max What all that is read may take in memory, in bytes; without limit unless it is given. */
  constructor(bytes: Uint8Array, max = Infinity) {
    this.buffer = bytes;
    this.end = bytes.length;
    this.max = max;
  }
}

/** The tag of the next field. */
export function takeTag(reader: Reader): number {
  reader.start = reader.position;
  // Most fields are a place in their message, which was counted; all could be elements.
  spend(reader, ELEMENT);
  const tag = varint(reader, "");
  if (reader.high !== 0 || tag < 8) throw new DecodeError(`invalid tag at byte ${reader.start}`);
  return tag;
}

export function takeInt32(reader: Reader, field: string): number {
  return varint(reader, field) | 0;
}

export function takeUint32(reader: Reader, field: string): number {
  return varint(reader, field);
}

/** A number of up to 64 bits, exact to 53. @internal */
export function takeNumber(reader: Reader, field: string): number {
  return varint(reader, field) + reader.high * 2 ** 32;
}

export function takeSint32(reader: Reader, field: string): number {
  const value = varint(reader, field);
  return (value >>> 1) ^ -(value & 1);
}

export function takeFixed32(reader: Reader, field: string): number {
  return view(reader).getUint32(advance(reader, 4, field), true);
}

export function takeSfixed32(reader: Reader, field: string): number {
  return view(reader).getInt32(advance(reader, 4, field), true);
}

export function takeInt64(reader: Reader, field: string): bigint {
  varint64(reader, field);
  return word.getBigInt64(0, true);
}

export function takeUint64(reader: Reader, field: string): bigint {
  varint64(reader, field);
  return word.getBigUint64(0, true);
}

export function takeSint64(reader: Reader, field: string): bigint {
  varint64(reader, field);
  const value = word.getBigUint64(0, true);
  return (value >> 1n) ^ -(value & 1n);
}

export function takeFixed64(reader: Reader, field: string): bigint {
  spend(reader, BIGINT);
  return view(reader).getBigUint64(advance(reader, 8, field), true);
}

export function takeSfixed64(reader: Reader, field: string): bigint {
  spend(reader, BIGINT);
  return view(reader).getBigInt64(advance(reader, 8, field), true);
}

export function takeFloat(reader: Reader, field: string): number {
  return view(reader).getFloat32(advance(reader, 4, field), true);
}

export function takeDouble(reader: Reader, field: string): number {
  return view(reader).getFloat64(advance(reader, 8, field), true);
}

export function takeBool(reader: Reader, field: string): boolean {
  return varint(reader, field) !== 0 || reader.high !== 0;
}

/** A copy: the message does not keep what it was read from. */
export function takeBytes(reader: Reader, field: string): Uint8Array {
  const bytes = takeView(reader, field);
  spend(reader, BYTES + bytes.length);
  // `slice` of a Buffer would be a view.
  return new Uint8Array(bytes);
}

/** Bytes where they are: the field's, and no copy. */
export function takeView(reader: Reader, field: string): Uint8Array {
  const length = lengthOf(reader, field);
  const start = advance(reader, length, field);
  return reader.buffer.subarray(start, start + length);
}

export function takeString(reader: Reader, field: string): string {
  const length = lengthOf(reader, field);
  const start = advance(reader, length, field);
  spend(reader, textSize(length));
  const { position: end, buffer } = reader;
  if (length > 12) return utf8(reader, start, field);
  // Calling the decoder costs more than it saves for short text, which mostly is ASCII.
  let text = "";
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const a = buffer[at] as number;
    const b = buffer[at + 1] as number;
    const c = buffer[at + 2] as number;
    const d = buffer[at + 3] as number;
    if ((a | b | c | d) > 0x7f) return utf8(reader, start, field);
    text += String.fromCharCode(a, b, c, d);
  }
  for (; at < end; at++) {
    const a = buffer[at] as number;
    if (a > 0x7f) return utf8(reader, start, field);
    text += String.fromCharCode(a);
  }
  return text;
}

/**
 * A sub-message: a new one, or `into` with what this one adds to it. `size` is what an empty one takes in memory, in bytes.
 */
export function takeMessage<T>(reader: Reader, field: string, read: (reader: Reader, into?: T) => T, into?: T, size?: number): T {
  const end = takeOpen(reader, field, size);
  try {
    const message = read(reader, into);
    takeClose(reader, end);
    return message;
  } catch (error) {
    throw within(error, field);
  }
}

/** Begins a sub-message or an entry of a map, which takes so much in memory: returns what {@link takeClose} needs. */
export function takeOpen(reader: Reader, field: string, size = OBJECT): number {
  if (++reader.depth > MAX_DEPTH) throw tooDeep(field);
  spend(reader, size);
  return takeLength(reader, field);
}

/** Ends what {@link takeOpen} began. */
export function takeClose(reader: Reader, end: number): void {
  reader.depth--;
  reader.end = end;
}

/** Begins packed values of at least `width` bytes each: returns the end of what is around them. */
export function takeOpenPacked(reader: Reader, field: string, width = 1): number {
  const end = takeLength(reader, field);
  spend(reader, (ELEMENT / width) * (reader.end - reader.position));
  return end;
}

/** Adds the field of this tag, which nobody knows, to others. */
export function takeUnknown(reader: Reader, tag: number, others: Uint8Array | undefined): Uint8Array {
  const { start } = reader;
  skip(reader, tag, 0);
  const field = reader.buffer.subarray(start, reader.position);
  // What they are kept in grows by doubling, and is copied meanwhile.
  spend(reader, (others === undefined ? BYTES : 0) + 3 * field.length);
  return append(others, field);
}

/** Goes on behind the field of this tag. */
export function skipField(reader: Reader, tag: number): void {
  skip(reader, tag, 0);
}

function view(reader: Reader): DataView {
  const { buffer } = reader;
  return (reader.lazyView ??= new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength));
}

function skip(reader: Reader, tag: number, depth: number): void {
  const where = `field ${tag >>> 3}`;
  const wire = tag & 7;
  if (wire === 3) skipGroup(reader, tag, depth + 1, where);
  else if (wire === 0) varint(reader, where);
  else if (wire === 4 || wire > 5) throw new DecodeError(`unknown wire type ${wire}`, where);
  else advance(reader, wire === 1 ? 8 : wire === 5 ? 4 : lengthOf(reader, where), where);
}

function skipGroup(reader: Reader, tag: number, depth: number, where: string): void {
  if (reader.depth + depth > MAX_DEPTH) throw tooDeep(where);
  for (;;) {
    if (reader.position >= reader.end) throw truncated(where);
    const inner = takeTag(reader);
    if ((inner & 7) === 4) {
      if (inner !== tag + 1) throw new DecodeError("the end of another group", where);
      return;
    }
    skip(reader, inner, depth);
  }
}

function tooDeep(field: string): DecodeError {
  return new DecodeError(`more than ${MAX_DEPTH} messages within each other`, field);
}

function utf8(reader: Reader, start: number, field: string): string {
  try {
    return decoder.decode(reader.buffer.subarray(start, reader.position));
  } catch {
    throw new DecodeError("text that is not UTF-8", field);
  }
}

/** Ends the reader where what follows its length ends: returns the end of what is around it. */
function takeLength(reader: Reader, field: string): number {
  const length = lengthOf(reader, field);
  const { end, position } = reader;
  if (length > end - position) throw truncated(field);
  reader.end = position + length;
  return end;
}

/** The length of what follows. */
function lengthOf(reader: Reader, field: string): number {
  const length = varint(reader, field);
  if (reader.high !== 0) throw truncated(field);
  return length;
}

/** Goes on by so many bytes, and returns where they begin. */
function advance(reader: Reader, count: number, field: string): number {
  const { position } = reader;
  if (count > reader.end - position) throw truncated(field);
  reader.position = position + count;
  return position;
}

function varint64(reader: Reader, field: string): void {
  spend(reader, BIGINT);
  word.setUint32(0, varint(reader, field), true);
  word.setUint32(4, reader.high, true);
}

/** The lower half of a varint; the upper half is in `high`. */
function varint(reader: Reader, field: string): number {
  const { buffer, position, end } = reader;
  if (position < end) {
    const byte = buffer[position] as number;
    if (byte < 0x80) {
      reader.position = position + 1;
      reader.high = 0;
      return byte;
    }
  }
  return longVarint(reader, field);
}

function longVarint(reader: Reader, field: string): number {
  const { buffer, end } = reader;
  let at = reader.position;
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
      reader.position = at;
      reader.high = high >>> 0;
      return low >>> 0;
    }
  }
  throw new DecodeError("a number of more than 64 bits", field);
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
