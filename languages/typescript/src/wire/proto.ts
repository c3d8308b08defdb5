/**
 * Reads and writes protobuf by tables of fields: for MSIP's own few, small messages.
 *
 * @module
 */

import { encode as encodeBy } from "../message/codec.js";
import { Reader, takeBool, takeBytes, takeFixed64, takeMessage, takeOpenPacked, takeString, takeTag, takeUint64, takeUnknown } from "../message/reader.js";
import { putBool, putBytes, putClose, putClosePacked, putFixed64, putOpen, putOpenPacked, putUint64, type Writer } from "../message/writer.js";

/** What a field holds. */
export const TEXT = 0;
export const BYTES = 1;
export const VARINT = 2;
export const BOOL = 3;
export const FIXED64 = 4;
/** A map of text to text, or of text to bytes. */
export const TEXT_MAP = 5;
export const BYTES_MAP = 6;
/** A number that is written also where it is 0. */
export const OPTIONAL = 7;
export const MESSAGE = 8;
/** Of the type above: many of them. */
export const REPEATED = 16;

/** A field: its number, its name, what it holds, and of a message its fields. */
export type Field = readonly [number: number, name: string, type: number, fields?: Fields];
export type Fields = readonly Field[];

type Values = Record<string, unknown>;

const encoder = /* @__PURE__ */ new TextEncoder();
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The entries of maps. */
const ENTRY: Record<number, Fields> = {
  [TEXT_MAP]: [
    [1, "k", TEXT],
    [2, "v", TEXT],
  ],
  [BYTES_MAP]: [
    [1, "k", TEXT],
    [2, "v", BYTES],
  ],
};

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
  return encodeBy((values: Values, writer) => write(writer, fields, values), message as Values);
}

/**
 * Decodes a message; fields that are absent are absent, and unknown ones are skipped.
 *
 * @throws DecodeError for bytes that are none.
 */
export function decode<T>(fields: Fields, bytes: Uint8Array): T {
  return read(new Reader(bytes), fields) as T;
}

function write(writer: Writer, fields: Fields, message: Values): void {
  for (const [number, name, type, inner] of fields) {
    const value = message[name];
    if (value === undefined) {
      continue;
    }
    const kind = type & (REPEATED - 1);
    const tag = (number << 3) | wireType(kind);
    if (ENTRY[kind]) {
      for (const [k, v] of value as ReadonlyMap<string, unknown>) {
        writeMessage(writer, tag, ENTRY[kind], { k, v });
      }
    } else if (type < REPEATED) {
      if (type === OPTIONAL || (kind === BYTES ? (value as Uint8Array).length > 0 : value)) {
        writeOne(writer, tag, kind, value, inner);
      }
    } else if ((tag & 7) === 2) {
      for (const item of value as readonly unknown[]) {
        writeOne(writer, tag, kind, item, inner);
      }
    } else if ((value as readonly unknown[]).length > 0) {
      const start = putOpenPacked(writer, (number << 3) | 2);
      for (const item of value as readonly unknown[]) {
        writeOne(writer, 0, kind, item);
      }
      putClosePacked(writer, start);
    }
  }
}

function wireType(kind: number): number {
  return kind === FIXED64 ? 1 : kind === VARINT || kind === BOOL || kind === OPTIONAL ? 0 : 2;
}

function writeOne(writer: Writer, tag: number, kind: number, value: unknown, inner: Fields = []): void {
  if (kind === MESSAGE) {
    writeMessage(writer, tag, inner, value as Values);
  } else if (kind === BOOL) {
    putBool(writer, tag, value as boolean, "");
  } else if (kind === FIXED64) {
    putFixed64(writer, tag, value as bigint, "");
  } else if (kind === TEXT || kind === BYTES) {
    putBytes(writer, tag, kind === TEXT ? utf8(value as string) : (value as Uint8Array), "");
  } else {
    putUint64(writer, tag, BigInt(value as number), "");
  }
}

function writeMessage(writer: Writer, tag: number, fields: Fields, message: Values): void {
  const start = putOpen(writer, tag, "");
  write(writer, fields, message);
  putClose(writer, start);
}

function read(reader: Reader, fields: Fields): Values {
  const message: Values = {};
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    const [, name = "", type = -1, inner] = fields.find((field) => field[0] === tag >>> 3) ?? [];
    const kind = type & (REPEATED - 1);
    const wire = wireType(kind);
    if (type >= REPEATED && wire !== 2 && (tag & 7) === 2) {
      const many = ((message[name] as unknown[] | undefined) ??= message[name] = [] as unknown[]);
      const end = takeOpenPacked(reader, name);
      while (reader.position < reader.end) {
        many.push(readOne(reader, kind, name));
      }
      reader.end = end;
    } else if (type < 0 || wire !== (tag & 7)) {
      takeUnknown(reader, tag, undefined);
    } else if (ENTRY[kind]) {
      const { k = "", v = kind === TEXT_MAP ? "" : new Uint8Array() } = readOne(reader, MESSAGE, name, ENTRY[kind]) as { k?: string; v?: unknown };
      ((message[name] as Map<string, unknown> | undefined) ??= message[name] = new Map<string, unknown>()).set(k, v);
    } else {
      const value = readOne(reader, kind, name, inner);
      if (type >= REPEATED) {
        ((message[name] as unknown[] | undefined) ??= message[name] = [] as unknown[]).push(value);
      } else {
        message[name] = value;
      }
    }
  }
  return message;
}

function readOne(reader: Reader, kind: number, name: string, inner: Fields = []): unknown {
  switch (kind) {
    case TEXT:
      return takeString(reader, name);
    case BYTES:
      return takeBytes(reader, name);
    case BOOL:
      return takeBool(reader, name);
    case FIXED64:
      return takeFixed64(reader, name);
    case MESSAGE:
      return takeMessage(reader, name, (reader) => read(reader, inner));
    default:
      return Number(takeUint64(reader, name));
  }
}
