/**
 * Sets of fields.
 *
 * @module
 */

import { decode, encode } from "../codec.js";
import { DecodeError, EncodeError } from "../errors.js";
import { expected } from "../json/read.js";
import type { MessageFields } from "../json/tables.js";
import { ELEMENT, spend, textSize } from "../memory.js";
import { takeString, takeTag, takeUnknown, type Reader } from "../reader.js";
import type { Init } from "../types.js";
import { putRaw, putString, type Writer } from "../writer.js";

/** The names of some fields of a message. */
export interface FieldMask {
  /** As in the schema: `user_name`, `address.street`. */
  paths: string[];
  /** Fields that the schema does not know, as they came. */
  $unknown?: Uint8Array;
}

const NAME = "google.protobuf.FieldMask";

export function writeFieldMask(message: Init<FieldMask>, writer: Writer): void {
  for (const path of message.paths ?? []) putString(writer, 10, path, `${NAME}.paths`);
  if (message.$unknown !== undefined) putRaw(writer, message.$unknown);
}

export function readFieldMask(reader: Reader, message: FieldMask = { paths: [] }): FieldMask {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 10) message.paths.push(takeString(reader, "paths"));
    else message.$unknown = takeUnknown(reader, tag, message.$unknown);
  }
  return message;
}

export function encodeFieldMask(message: Init<FieldMask>): Uint8Array {
  return encode(writeFieldMask, message);
}

export function decodeFieldMask(bytes: Uint8Array, max?: number): FieldMask {
  return decode(readFieldMask, bytes, max);
}

function camel(path: string): string {
  return path.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function snake(path: string): string {
  return path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export const FieldMask_fields: MessageFields<FieldMask> = {
  name: NAME,
  form: {
    write(mask) {
      for (const path of mask.paths) {
        if (snake(camel(path)) !== path || camel(path).includes("_")) {
          throw new EncodeError(NAME, `${JSON.stringify(path)} would not survive camel case`);
        }
      }
      return mask.paths.map(camel).join(",");
    },
    read(tree, { memory }) {
      if (typeof tree !== "string") throw expected("text", tree);
      if (tree.includes("_")) throw new DecodeError(`${JSON.stringify(tree)} is not a list of camel case paths`);
      // One of one character has two here.
      spend(memory, (ELEMENT + textSize(1)) * (tree.length / 2) + textSize(tree.length));
      return { paths: tree === "" ? [] : tree.split(",").map(snake) };
    },
  },
};
