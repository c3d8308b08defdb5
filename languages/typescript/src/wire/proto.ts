/**
 * Reads and writes protobuf by tables of fields: for MSIP's own few, small messages.
 *
 * @module
 */

import { encode as encodeBy } from "../message/codec.js";
import { Reader, takeBool, takeBytes, takeFixed64, takeMessage, takeNumber, takeOpenPacked, takeString, takeTag, takeUnknown } from "../message/reader.js";
import { putClose, putClosePacked, putNumber, putOpen, putOpenPacked, putRaw, putWord, type Writer } from "../message/writer.js";

/** What a field holds. Those from {@link VARINT} on may be packed. */
export const TEXT = 0;
export const BYTES = 1;
export const MESSAGE = 2;
/** A map of text to text, or of text to bytes. */
export const TEXT_MAP = 3;
export const BYTES_MAP = 4;
export const VARINT = 5;
/** A number that is written also where it is 0. */
export const OPTIONAL = 6;
export const BOOL = 7;
export const FIXED64 = 8;
/** Of the types above: many of them. Sums of constants in a table would keep it in bundles that do not use it. */
export const REPEATED = 16;
export const TEXTS = 16;
export const MESSAGES = 18;
export const VARINTS = 21;
export const FIXED64S = 24;

/** A field: its name, what it holds, and of a message its fields. Its number is its place, from 1 on. */
export type Field = readonly [name: string, type: number, fields?: Fields];
export type Fields = readonly Field[];

type Values = Record<string, unknown>;

const encoder = /* @__PURE__ */ new TextEncoder();
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The entry of a map. */
function entryOf(kind: number): Fields {
  return [["k", TEXT], ["v", kind - TEXT_MAP]];
}

function isMap(kind: number): boolean {
  return kind === TEXT_MAP || kind === BYTES_MAP;
}

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
  fields.forEach(([name, type, inner], at) => {
    const value = message[name];
    const kind = type & (REPEATED - 1);
    const tag = (at + 1) * 8;
    const items = isMap(kind) ? Array.from((value ?? []) as Iterable<[string, unknown]>, ([k, v]) => ({ k, v })) : type < REPEATED ? [value] : ((value ?? []) as unknown[]);
    if (type >= REPEATED && kind >= VARINT) {
      if (items.length > 0) {
        const start = putOpenPacked(writer, tag + 2);
        items.forEach((item) => writeOne(writer, 0, kind, item));
        putClosePacked(writer, start);
      }
    } else if (type >= REPEATED || isMap(kind) || (type === OPTIONAL ? value !== undefined : kind === BYTES ? (value as Uint8Array | undefined)?.length : value)) {
      items.forEach((item) => writeOne(writer, tag + wireType(kind), kind, item, inner));
    }
  });
}

function wireType(kind: number): number {
  return kind < VARINT ? 2 : kind === FIXED64 ? 1 : 0;
}

function writeOne(writer: Writer, tag: number, kind: number, value: unknown, inner = entryOf(kind)): void {
  if (kind === FIXED64) {
    putWord(writer, tag, value as bigint);
  } else if (kind >= VARINT) {
    putNumber(writer, tag, Number(value));
  } else if (kind < MESSAGE) {
    const start = putOpenPacked(writer, tag);
    putRaw(writer, kind === TEXT ? utf8(value as string) : (value as Uint8Array));
    putClosePacked(writer, start);
  } else {
    const start = putOpen(writer, tag, "");
    write(writer, inner, value as Values);
    putClose(writer, start);
  }
}

function read(reader: Reader, fields: Fields): Values {
  const message: Values = {};
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    const [name, type, inner] = fields[(tag >>> 3) - 1] ?? ["", -1];
    const kind = type & (REPEATED - 1);
    const isPacked = type >= REPEATED && kind >= VARINT && (tag & 7) === 2;
    if (type < 0 || (!isPacked && wireType(kind) !== (tag & 7))) {
      takeUnknown(reader, tag, undefined);
      continue;
    }
    const end = isPacked ? takeOpenPacked(reader, name) : reader.position + 1;
    while (reader.position < (isPacked ? reader.end : end)) {
      const value = readOne(reader, kind, name, inner);
      if (type >= REPEATED) {
        ((message[name] ??= []) as unknown[]).push(value);
      } else if (isMap(kind)) {
        const { k = "", v = kind === TEXT_MAP ? "" : new Uint8Array() } = value as { k?: string; v?: unknown };
        ((message[name] ??= new Map()) as Map<string, unknown>).set(k, v);
      } else {
        message[name] = value;
      }
    }
    if (isPacked) {
      reader.end = end;
    }
  }
  return message;
}

/** What reads a field, by what it holds; a message is read by its own fields. */
const TAKE = [takeString, takeBytes, undefined, undefined, undefined, takeNumber, takeNumber, takeBool, takeFixed64];

function readOne(reader: Reader, kind: number, name: string, inner = entryOf(kind)): unknown {
  const take = TAKE[kind];
  return take ? take(reader, name) : takeMessage(reader, name, (reader) => read(reader, inner));
}
