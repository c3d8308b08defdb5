/**
 * Reads and writes protobuf by tables of fields: for MSIP's own few, small messages.
 *
 * @module
 */

/** What a field holds. */
export const TEXT = 0;
export const BYTES = 1;
export const VARINT = 2;
export const BOOL = 3;
export const FIXED64 = 4;
/** A map of text to text, or of text to bytes. */
export const TEXT_MAP = 5;
export const BYTES_MAP = 6;
/** A number of 32 bits that is written also where it is 0. */
export const OPTIONAL = 7;
export const MESSAGE = 8;
/** Of the type above: many of them. */
export const REPEATED = 16;

/** A field: its number, its name, what it holds, and of a message its fields. */
export type Field = readonly [number: number, name: string, type: number, fields?: Fields];
export type Fields = readonly Field[];

type Values = Record<string, unknown>;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const ENTRY_TEXT: Fields = [
  [1, "k", TEXT],
  [2, "v", TEXT],
];
const ENTRY_BYTES: Fields = [
  [1, "k", TEXT],
  [2, "v", BYTES],
];

/** UTF-8. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The text of UTF-8; throws a TypeError for what is not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Encodes what is not zero, empty or absent. */
export function encode(fields: Fields, message: object): Uint8Array {
  const out: number[] = [];
  write(out, fields, message as Values);
  return Uint8Array.from(out);
}

/**
 * Decodes a message; fields that are absent are absent, and unknown ones are skipped.
 *
 * @throws RangeError or TypeError for bytes that are none.
 */
export function decode<T>(fields: Fields, bytes: Uint8Array): T {
  const message: Values = {};
  const read = new Reader(bytes);
  while (read.at < bytes.length) {
    const tag = read.varint();
    if (tag < 8) {
      throw new RangeError("a field without a number");
    }
    const field = fields.find((field) => field[0] === tag >>> 3);
    readField(message, field, read, tag & 7);
  }
  return message as T;
}

function write(out: number[], fields: Fields, message: Values): void {
  for (const [number, name, type, inner] of fields) {
    const value = message[name];
    if (value === undefined) {
      continue;
    }
    if (type === REPEATED + VARINT || type === REPEATED + FIXED64) {
      const packed: number[] = [];
      for (const item of value as readonly (number | bigint)[]) {
        writeScalar(packed, type - REPEATED, item);
      }
      writeBytes(out, number, packed);
    } else if (type >= REPEATED) {
      for (const item of value as readonly unknown[]) {
        writeBytes(out, number, part(type - REPEATED, item, inner), true);
      }
    } else if (type === TEXT_MAP || type === BYTES_MAP) {
      for (const [k, v] of value as ReadonlyMap<string, unknown>) {
        const entry: number[] = [];
        write(entry, type === TEXT_MAP ? ENTRY_TEXT : ENTRY_BYTES, { k, v });
        writeBytes(out, number, entry, true);
      }
    } else if (type === TEXT || type === BYTES || type === MESSAGE) {
      writeBytes(out, number, part(type, value, inner), type === MESSAGE);
    } else if (value || type === OPTIONAL) {
      varint(out, (number << 3) | (type === FIXED64 ? 1 : 0));
      writeScalar(out, type, value as number | bigint);
    }
  }
}

function part(type: number, value: unknown, inner?: Fields): ArrayLike<number> {
  if (type === MESSAGE) {
    const out: number[] = [];
    write(out, inner ?? [], value as Values);
    return out;
  }
  return type === TEXT ? utf8(value as string) : (value as Uint8Array);
}

function writeBytes(out: number[], number: number, bytes: ArrayLike<number>, always = false): void {
  if (!always && bytes.length === 0) {
    return;
  }
  varint(out, (number << 3) | 2);
  varint(out, bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    out.push(bytes[i]!);
  }
}

function writeScalar(out: number[], type: number, value: number | bigint): void {
  if (type === FIXED64) {
    for (let i = 0n; i < 64n; i += 8n) {
      out.push(Number((BigInt(value) >> i) & 255n));
    }
  } else {
    varint(out, Number(value));
  }
}

function varint(out: number[], value: number): void {
  let rest = value;
  while (rest > 127) {
    out.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  varint(): number {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined || shift > 2 ** 63) {
        throw new RangeError("a truncated or too long number");
      }
      value += (byte & 127) * shift;
      if (byte < 128) {
        return value;
      }
    }
  }

  take(len: number): Uint8Array {
    const start = this.at;
    this.at += len;
    if (this.at > this.#bytes.length) {
      throw new RangeError("a truncated field");
    }
    return this.#bytes.subarray(start, this.at);
  }

  fixed64(): bigint {
    const bytes = this.take(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  }
}

/** Reads the value behind a tag; without a field it is skipped. */
function readField(message: Values, field: Field | undefined, read: Reader, wire: number): void {
  const type = field?.[2] ?? -1;
  let value: unknown;
  let packed: Uint8Array | undefined;
  if (wire === 0) {
    value = read.varint();
  } else if (wire === 1) {
    value = read.fixed64();
  } else if (wire === 2) {
    const bytes = read.take(read.varint());
    if (type === REPEATED + VARINT || type === REPEATED + FIXED64) {
      packed = bytes;
    }
    value = bytes;
  } else if (wire === 5) {
    read.take(4);
  } else {
    throw new RangeError(`wire type ${wire}`);
  }
  if (!field) {
    return;
  }
  const name = field[1];
  const scalar = type & 15;
  const expected = scalar === FIXED64 ? 1 : scalar === VARINT || scalar === BOOL || scalar === OPTIONAL ? 0 : 2;
  if (wire !== expected && !packed) {
    return;
  }
  if (packed) {
    const items = (message[name] ??= []) as unknown[];
    const inner = new Reader(packed);
    while (inner.at < packed.length) {
      items.push(scalar === FIXED64 ? inner.fixed64() : inner.varint());
    }
  } else if (type === TEXT_MAP || type === BYTES_MAP) {
    const map = (message[name] ??= new Map<string, unknown>()) as Map<string, unknown>;
    const text = type === TEXT_MAP;
    const entry = decode<{ k?: string; v?: unknown }>(text ? ENTRY_TEXT : ENTRY_BYTES, value as Uint8Array);
    map.set(entry.k ?? "", entry.v ?? (text ? "" : new Uint8Array()));
  } else {
    value = converted(scalar, value, field[3]);
    if (type >= REPEATED) {
      ((message[name] ??= []) as unknown[]).push(value);
    } else {
      message[name] = value;
    }
  }
}

function converted(type: number, value: unknown, inner?: Fields): unknown {
  switch (type) {
    case TEXT:
      return fromUtf8(value as Uint8Array);
    case BYTES:
      return (value as Uint8Array).slice();
    case BOOL:
      return value !== 0;
    case MESSAGE:
      return decode(inner ?? [], value as Uint8Array);
    default:
      return value;
  }
}
