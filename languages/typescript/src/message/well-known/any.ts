/**
 * Messages of any type.
 *
 * @module
 */

import { decode, encode } from "../codec.js";
import { DecodeError, EncodeError } from "../errors.js";
import { expected, readMessage } from "../json/read.js";
import type { AnyType, JsonContext, MessageFields } from "../json/tables.js";
import { isTreeObject, setProperty, type Tree, type TreeObject } from "../json/tree.js";
import { writeMessage } from "../json/write.js";
import { takeBytes, takeString, takeTag, takeUnknown, type Reader } from "../reader.js";
import type { Init, MessageType } from "../types.js";
import { putBytes, putRaw, putString, type Writer } from "../writer.js";
import * as duration from "./duration.js";
import * as empty from "./empty.js";
import * as mask from "./field-mask.js";
import * as struct from "./struct.js";
import * as timestamp from "./timestamp.js";
import * as wrappers from "./wrappers.js";

/** A message of any type, in protobuf. */
export interface Any {
  /** Its type, behind the last slash: `type.googleapis.com/chat.ConnectReq`. */
  typeUrl: string;
  value: Uint8Array;
  /** Fields that the schema does not know, as they came. */
  $unknown?: Uint8Array;
}

const NAME = "google.protobuf.Any";
/** How many `Any` may be within each other. */
const MAX_ANY = 4;

/** Puts a message into an `Any`: `packAny(ConnectReq_type, { user: "ada" })`. */
export function packAny<T>(type: MessageType<T>, message: Init<T>): Any {
  return { typeUrl: `type.googleapis.com/${type.name}`, value: type.encode(message) };
}

/**
 * The message of an `Any`; undefined if it holds another type.
 *
 * @throws DecodeError if it is malformed.
 */
export function unpackAny<T>(type: MessageType<T>, any: Init<Any>): T | undefined {
  return typeName(any.typeUrl ?? "") === type.name ? type.decode(any.value ?? new Uint8Array(0)) : undefined;
}

export function writeAny(message: Init<Any>, writer: Writer): void {
  if (message.typeUrl !== undefined && message.typeUrl !== "") putString(writer, 10, message.typeUrl, `${NAME}.type_url`);
  if (message.value !== undefined && message.value.length !== 0) putBytes(writer, 18, message.value, `${NAME}.value`);
  if (message.$unknown !== undefined) putRaw(writer, message.$unknown);
}

export function readAny(reader: Reader, message: Any = { typeUrl: "", value: new Uint8Array(0) }): Any {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 10) message.typeUrl = takeString(reader, "typeUrl");
    else if (tag === 18) message.value = takeBytes(reader, "value");
    else message.$unknown = takeUnknown(reader, tag, message.$unknown);
  }
  return message;
}

export function encodeAny(message: Init<Any>): Uint8Array {
  return encode(writeAny, message);
}

export function decodeAny(bytes: Uint8Array, max?: number): Any {
  return decode(readAny, bytes, max);
}

function typeName(url: string): string {
  return url.slice(url.lastIndexOf("/") + 1);
}

/** The type of a URL, among those that are given and protobuf's own. */
function typeOf(url: string, context: JsonContext): AnyType | undefined {
  const name = typeName(url);
  return context.any.find((known) => known.type.name === name) ?? ownTypes().find((known) => known.type.name === name);
}

function ownTypes(): AnyType[] {
  const known = <T>(fields: MessageFields<T>, encode: (value: T) => Uint8Array, decode: (bytes: Uint8Array) => T): AnyType => ({
    type: { name: fields.name, encode: encode as (value: never) => Uint8Array, decode },
    fields: fields as MessageFields,
  });
  return [
    known(Any_fields, encodeAny, decodeAny),
    known(duration.Duration_fields, duration.encodeDuration, duration.decodeDuration),
    known(empty.Empty_fields, empty.encodeEmpty, empty.decodeEmpty),
    known(mask.FieldMask_fields, mask.encodeFieldMask, mask.decodeFieldMask),
    known(struct.ListValue_fields, struct.encodeListValue, struct.decodeListValue),
    known(struct.Struct_fields, struct.encodeStruct, struct.decodeStruct),
    known(struct.Value_fields, struct.encodeValue, struct.decodeValue),
    known(timestamp.Timestamp_fields, timestamp.encodeTimestamp, timestamp.decodeTimestamp),
    known(wrappers.BoolValue_fields, wrappers.encodeBoolValue, wrappers.decodeBoolValue),
    known(wrappers.BytesValue_fields, wrappers.encodeBytesValue, wrappers.decodeBytesValue),
    known(wrappers.DoubleValue_fields, wrappers.encodeDoubleValue, wrappers.decodeDoubleValue),
    known(wrappers.FloatValue_fields, wrappers.encodeFloatValue, wrappers.decodeFloatValue),
    known(wrappers.Int32Value_fields, wrappers.encodeInt32Value, wrappers.decodeInt32Value),
    known(wrappers.Int64Value_fields, wrappers.encodeInt64Value, wrappers.decodeInt64Value),
    known(wrappers.StringValue_fields, wrappers.encodeStringValue, wrappers.decodeStringValue),
    known(wrappers.UInt32Value_fields, wrappers.encodeUInt32Value, wrappers.decodeUInt32Value),
    known(wrappers.UInt64Value_fields, wrappers.encodeUInt64Value, wrappers.decodeUInt64Value),
  ];
}

export const Any_fields: MessageFields<Any> = {
  name: NAME,
  form: {
    write(any, outer, depth): Tree {
      const { typeUrl = "", value = new Uint8Array(0) } = any as Init<Any>;
      if (typeUrl === "" && value.length === 0) return {};
      const context = { ...outer, anyDepth: outer.anyDepth + 1 };
      if (context.anyDepth > MAX_ANY) throw new EncodeError(NAME, `nested deeper than ${MAX_ANY} levels`);
      const known = typeOf(typeUrl, context);
      if (known === undefined) throw new EncodeError(NAME, `unknown type ${JSON.stringify(typeUrl)}`);
      const tree: TreeObject = { "@type": typeUrl };
      const message = known.type.decode(value);
      if (known.fields.form !== undefined) {
        tree["value"] = writeMessage(known.fields, message, context, depth + 1);
        return tree;
      }
      for (const [name, field] of Object.entries(writeMessage(known.fields, message, context, depth) as TreeObject)) {
        setProperty(tree, name, field);
      }
      return tree;
    },
    read(tree, outer, depth): Any {
      if (!isTreeObject(tree)) throw expected("an object", tree);
      const context = { ...outer, anyDepth: outer.anyDepth + 1 };
      if (context.anyDepth > MAX_ANY) throw new DecodeError(`Any nested deeper than ${MAX_ANY} levels`);
      const { "@type": typeUrl, ...fields } = tree;
      if (typeUrl === undefined) return { typeUrl: "", value: new Uint8Array(0) };
      if (typeof typeUrl !== "string") throw expected("the type of an Any", typeUrl);
      const known = typeOf(typeUrl, context);
      if (known === undefined) throw new DecodeError(`unknown type ${JSON.stringify(typeUrl)}`);
      let message: unknown;
      if (known.fields.form === undefined) {
        message = readMessage(known.fields, fields, context, depth);
      } else {
        if (fields["value"] === undefined) throw new DecodeError("an Any without `value`");
        message = readMessage(known.fields, fields["value"], context, depth + 1);
      }
      return { typeUrl, value: known.type.encode(message as never) };
    },
  },
};
