/**
 * Nothing.
 *
 * @module
 */

import { decode, encode } from "../codec.js";
import type { MessageFields } from "../json/tables.js";
import { takeTag, takeUnknown, type Reader } from "../reader.js";
import type { Init } from "../types.js";
import { putRaw, type Writer } from "../writer.js";

/** A message without fields. */
export interface Empty {
  /** Fields that the schema does not know, as they came. */
  $unknown?: Uint8Array;
}

export function writeEmpty(message: Init<Empty>, writer: Writer): void {
  if (message.$unknown !== undefined) putRaw(writer, message.$unknown);
}

export function readEmpty(reader: Reader, message: Empty = {}): Empty {
  while (reader.position < reader.end) message.$unknown = takeUnknown(reader, takeTag(reader), message.$unknown);
  return message;
}

export function encodeEmpty(message: Init<Empty>): Uint8Array {
  return encode(writeEmpty, message);
}

export function decodeEmpty(bytes: Uint8Array, max?: number): Empty {
  return decode(readEmpty, bytes, max);
}

export const Empty_fields: MessageFields<Empty> = { name: "google.protobuf.Empty", fields: [] };
