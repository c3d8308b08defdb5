/**
 * Values of JSON within messages. A message has the value itself as its property.
 *
 * @module
 */

import { decode, encode } from "../codec.js";
import { DecodeError, EncodeError } from "../errors.js";
import { deeper as deeperRead, expected } from "../json/read.js";
import type { EnumNames, JsonContext, MessageFields } from "../json/tables.js";
import { PackedFloat, isTreeObject, setProperty, type Tree, type TreeObject } from "../json/tree.js";
import { deeper as deeperWrite } from "../json/write.js";
import { ELEMENT, LIST, OBJECT, PROPERTY, spend } from "../memory.js";
import { takeBool, takeClose, takeDouble, takeInt32, takeMessage, takeOpen, takeString, takeTag, takeUnknown, type Reader } from "../reader.js";
import { checkText, refused } from "../scalars.js";
import type { JsonObject, JsonValue } from "../types.js";
import { putBool, putClose, putDouble, putInt32, putOpen, putString, putValue, type Writer } from "../writer.js";

/** The null of JSON, where a schema names it as a type. */
export const NullValue = { NULL_VALUE: 0 } as const;
/** The null of JSON, where a schema names it as a type. */
export type NullValue = (typeof NullValue)[keyof typeof NullValue] | (number & {});

export const NullValue_names: EnumNames = { name: "google.protobuf.NullValue", values: [["NULL_VALUE", 0]] };

const NAME = "google.protobuf.Value";

export function writeValue(value: JsonValue, writer: Writer): void {
  switch (typeof value) {
    case "number":
      putDouble(writer, 17, value, NAME);
      return;
    case "string":
      putString(writer, 26, value, NAME);
      return;
    case "boolean":
      putBool(writer, 32, value, NAME);
      return;
    case "object":
      if (value === null) putInt32(writer, 8, 0, NAME);
      else if (Array.isArray(value)) putValue(writer, 50, value, writeListValue, NAME);
      else putValue(writer, 42, value, writeStruct, NAME);
      return;
    default:
      throw refused(NAME, value, "a value of JSON");
  }
}

/** A value that says nothing is null. */
export function readValue(reader: Reader, value: JsonValue = null): JsonValue {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    switch (tag) {
      case 8:
        takeInt32(reader, NAME);
        value = null;
        break;
      case 17:
        value = takeDouble(reader, "numberValue");
        break;
      case 26:
        value = takeString(reader, "stringValue");
        break;
      case 32:
        value = takeBool(reader, "boolValue");
        break;
      case 42:
        value = takeMessage(reader, "structValue", readStruct, isObject(value) ? value : undefined);
        break;
      case 50:
        value = takeMessage(reader, "listValue", readListValue, Array.isArray(value) ? value : undefined, LIST);
        break;
      default:
        takeUnknown(reader, tag, undefined);
    }
  }
  return value;
}

export function encodeValue(value: JsonValue): Uint8Array {
  return encode(writeValue, value);
}

export function decodeValue(bytes: Uint8Array, max?: number): JsonValue {
  return decode(readValue, bytes, max);
}

export function writeStruct(struct: JsonObject, writer: Writer): void {
  for (const name of Object.keys(struct)) {
    const start = putOpen(writer, 10, "google.protobuf.Struct");
    putString(writer, 10, name, "google.protobuf.Struct");
    putValue(writer, 18, struct[name] as JsonValue, writeValue, "google.protobuf.Struct");
    putClose(writer, start);
  }
}

export function readStruct(reader: Reader, struct: JsonObject = {}): JsonObject {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag !== 10) {
      takeUnknown(reader, tag, undefined);
      continue;
    }
    const end = takeOpen(reader, "fields", PROPERTY);
    let name = "";
    let value: JsonValue = null;
    while (reader.position < reader.end) {
      const tag = takeTag(reader);
      if (tag === 10) name = takeString(reader, "fields");
      else if (tag === 18) value = takeMessage<JsonValue>(reader, "fields", readValue, value, 0);
      else takeUnknown(reader, tag, undefined);
    }
    takeClose(reader, end);
    setProperty(struct, name, value);
  }
  return struct;
}

export function encodeStruct(struct: JsonObject): Uint8Array {
  return encode(writeStruct, struct);
}

export function decodeStruct(bytes: Uint8Array, max?: number): JsonObject {
  return decode(readStruct, bytes, max);
}

export function writeListValue(list: readonly JsonValue[], writer: Writer): void {
  for (const value of list) putValue(writer, 10, value, writeValue, "google.protobuf.ListValue");
}

export function readListValue(reader: Reader, list: JsonValue[] = []): JsonValue[] {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 10) list.push(takeMessage(reader, "values", readValue, undefined, 0));
    else takeUnknown(reader, tag, undefined);
  }
  return list;
}

export function encodeListValue(list: readonly JsonValue[]): Uint8Array {
  return encode(writeListValue, list);
}

export function decodeListValue(bytes: Uint8Array, max?: number): JsonValue[] {
  return decode(readListValue, bytes, max);
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function toTree(value: JsonValue, context: JsonContext, depth: number): Tree {
  switch (typeof value) {
    case "number":
      if (!Number.isFinite(value)) throw new EncodeError(NAME, `${value}, which JSON does not have`);
      return context.form === "json" ? value : new PackedFloat(value, 64);
    case "string":
      checkText(value, NAME);
      return value;
    case "boolean":
      return value;
    case "object": {
      if (value === null) return null;
      const inner = deeperWrite(depth, NAME);
      if (Array.isArray(value)) return value.map((item) => toTree(item, context, inner));
      const tree: TreeObject = {};
      for (const name of Object.keys(value)) setProperty(tree, name, toTree(value[name] as JsonValue, context, inner));
      return tree;
    }
    default:
      throw refused(NAME, value, "a value of JSON");
  }
}

function fromTree(tree: Tree, context: JsonContext, depth: number): JsonValue {
  if (tree === null || typeof tree === "boolean" || typeof tree === "string") return tree;
  const number = tree instanceof PackedFloat ? tree.value : tree;
  if (typeof number === "number" || typeof number === "bigint") {
    if (!Number.isFinite(Number(number))) throw new DecodeError("a Value that is not finite");
    return Number(number);
  }
  if (Array.isArray(tree)) {
    const inner = deeperRead(depth);
    spend(context.memory, LIST + ELEMENT * tree.length);
    return tree.map((item) => fromTree(item, context, inner));
  }
  if (!isTreeObject(tree)) throw expected("a Value", tree);
  const inner = deeperRead(depth);
  spend(context.memory, OBJECT);
  const object: JsonObject = {};
  for (const name of Object.keys(tree)) {
    spend(context.memory, PROPERTY);
    setProperty(object, name, fromTree(tree[name] as Tree, context, inner));
  }
  return object;
}

export const Value_fields: MessageFields<JsonValue> = { name: NAME, form: { write: toTree, read: fromTree } };

export const Struct_fields: MessageFields<JsonObject> = {
  name: "google.protobuf.Struct",
  form: {
    write: toTree,
    read(tree, context, depth) {
      if (!isTreeObject(tree)) throw expected("an object", tree);
      return fromTree(tree, context, depth) as JsonObject;
    },
  },
};

export const ListValue_fields: MessageFields<JsonValue[]> = {
  name: "google.protobuf.ListValue",
  form: {
    write: toTree,
    read(tree, context, depth) {
      if (!Array.isArray(tree)) throw expected("an array", tree);
      return fromTree(tree, context, depth) as JsonValue[];
    },
  },
};
