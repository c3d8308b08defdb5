/**
 * Wrappers: scalars whose absence is told from zero. A message has the scalar itself as its property.
 *
 * @module
 */

import { decode, encode } from "../codec.js";
import { readScalar } from "../json/read.js";
import { writeScalar } from "../json/write.js";
import type { JsonForm, MessageFields, ScalarKind } from "../json/tables.js";
import { takeBool, takeBytes, takeDouble, takeFloat, takeInt32, takeInt64, takeString, takeTag, takeUint32, takeUint64, takeUnknown, type Reader } from "../reader.js";
import { putBool, putBytes, putDouble, putFloat, putInt32, putInt64, putString, putUint32, putUint64, type Writer } from "../writer.js";

/** In JSON a wrapper is what it wraps. */
function wrapped<T>(kind: ScalarKind, name: string): JsonForm<T> {
  return {
    write: (value, context) => writeScalar(kind, value, context.form, name),
    read: (tree, context) => readScalar(kind, tree, context.form) as T,
  };
}

export function writeBoolValue(value: boolean, writer: Writer): void {
  if (value !== false) putBool(writer, 8, value, "google.protobuf.BoolValue");
}

export function readBoolValue(reader: Reader, value: boolean = false): boolean {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 8) value = takeBool(reader, "value");
    else takeUnknown(reader, tag, undefined);
  }
  return value;
}

export function encodeBoolValue(value: boolean): Uint8Array {
  return encode(writeBoolValue, value);
}

export function decodeBoolValue(bytes: Uint8Array, max?: number): boolean {
  return decode(readBoolValue, bytes, max);
}

export const BoolValue_fields: MessageFields<boolean> = {
  name: "google.protobuf.BoolValue",
  form: /* @__PURE__ */ wrapped("bool", "google.protobuf.BoolValue"),
};

export function writeBytesValue(value: Uint8Array, writer: Writer): void {
  if (value.length !== 0) putBytes(writer, 10, value, "google.protobuf.BytesValue");
}

export function readBytesValue(reader: Reader, value: Uint8Array = new Uint8Array(0)): Uint8Array {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 10) value = takeBytes(reader, "value");
    else takeUnknown(reader, tag, undefined);
  }
  return value;
}

export function encodeBytesValue(value: Uint8Array): Uint8Array {
  return encode(writeBytesValue, value);
}

export function decodeBytesValue(bytes: Uint8Array, max?: number): Uint8Array {
  return decode(readBytesValue, bytes, max);
}

export const BytesValue_fields: MessageFields<Uint8Array> = {
  name: "google.protobuf.BytesValue",
  form: /* @__PURE__ */ wrapped("bytes", "google.protobuf.BytesValue"),
};

export function writeDoubleValue(value: number, writer: Writer): void {
  if (!Object.is(value, 0)) putDouble(writer, 9, value, "google.protobuf.DoubleValue");
}

export function readDoubleValue(reader: Reader, value: number = 0): number {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 9) value = takeDouble(reader, "value");
    else takeUnknown(reader, tag, undefined);
  }
  return value;
}

export function encodeDoubleValue(value: number): Uint8Array {
  return encode(writeDoubleValue, value);
}

export function decodeDoubleValue(bytes: Uint8Array, max?: number): number {
  return decode(readDoubleValue, bytes, max);
}

export const DoubleValue_fields: MessageFields<number> = {
  name: "google.protobuf.DoubleValue",
  form: /* @__PURE__ */ wrapped("double", "google.protobuf.DoubleValue"),
};

export function writeFloatValue(value: number, writer: Writer): void {
  if (!Object.is(value, 0)) putFloat(writer, 13, value, "google.protobuf.FloatValue");
}

export function readFloatValue(reader: Reader, value: number = 0): number {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 13) value = takeFloat(reader, "value");
    else takeUnknown(reader, tag, undefined);
  }
  return value;
}

export function encodeFloatValue(value: number): Uint8Array {
  return encode(writeFloatValue, value);
}

export function decodeFloatValue(bytes: Uint8Array, max?: number): number {
  return decode(readFloatValue, bytes, max);
}

export const FloatValue_fields: MessageFields<number> = {
  name: "google.protobuf.FloatValue",
  form: /* @__PURE__ */ wrapped("float", "google.protobuf.FloatValue"),
};

export function writeInt32Value(value: number, writer: Writer): void {
  if (value !== 0) putInt32(writer, 8, value, "google.protobuf.Int32Value");
}

export function readInt32Value(reader: Reader, value: number = 0): number {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 8) value = takeInt32(reader, "value");
    else takeUnknown(reader, tag, undefined);
  }
  return value;
}

export function encodeInt32Value(value: number): Uint8Array {
  return encode(writeInt32Value, value);
}

export function decodeInt32Value(bytes: Uint8Array, max?: number): number {
  return decode(readInt32Value, bytes, max);
}

export const Int32Value_fields: MessageFields<number> = {
  name: "google.protobuf.Int32Value",
  form: /* @__PURE__ */ wrapped("int32", "google.protobuf.Int32Value"),
};

export function writeInt64Value(value: bigint, writer: Writer): void {
  if (value !== 0n) putInt64(writer, 8, value, "google.protobuf.Int64Value");
}

export function readInt64Value(reader: Reader, value: bigint = 0n): bigint {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 8) value = takeInt64(reader, "value");
    else takeUnknown(reader, tag, undefined);
  }
  return value;
}

export function encodeInt64Value(value: bigint): Uint8Array {
  return encode(writeInt64Value, value);
}

export function decodeInt64Value(bytes: Uint8Array, max?: number): bigint {
  return decode(readInt64Value, bytes, max);
}

export const Int64Value_fields: MessageFields<bigint> = {
  name: "google.protobuf.Int64Value",
  form: /* @__PURE__ */ wrapped("int64", "google.protobuf.Int64Value"),
};

export function writeStringValue(value: string, writer: Writer): void {
  if (value !== "") putString(writer, 10, value, "google.protobuf.StringValue");
}

export function readStringValue(reader: Reader, value: string = ""): string {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 10) value = takeString(reader, "value");
    else takeUnknown(reader, tag, undefined);
  }
  return value;
}

export function encodeStringValue(value: string): Uint8Array {
  return encode(writeStringValue, value);
}

export function decodeStringValue(bytes: Uint8Array, max?: number): string {
  return decode(readStringValue, bytes, max);
}

export const StringValue_fields: MessageFields<string> = {
  name: "google.protobuf.StringValue",
  form: /* @__PURE__ */ wrapped("string", "google.protobuf.StringValue"),
};

export function writeUInt32Value(value: number, writer: Writer): void {
  if (value !== 0) putUint32(writer, 8, value, "google.protobuf.UInt32Value");
}

export function readUInt32Value(reader: Reader, value: number = 0): number {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 8) value = takeUint32(reader, "value");
    else takeUnknown(reader, tag, undefined);
  }
  return value;
}

export function encodeUInt32Value(value: number): Uint8Array {
  return encode(writeUInt32Value, value);
}

export function decodeUInt32Value(bytes: Uint8Array, max?: number): number {
  return decode(readUInt32Value, bytes, max);
}

export const UInt32Value_fields: MessageFields<number> = {
  name: "google.protobuf.UInt32Value",
  form: /* @__PURE__ */ wrapped("uint32", "google.protobuf.UInt32Value"),
};

export function writeUInt64Value(value: bigint, writer: Writer): void {
  if (value !== 0n) putUint64(writer, 8, value, "google.protobuf.UInt64Value");
}

export function readUInt64Value(reader: Reader, value: bigint = 0n): bigint {
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === 8) value = takeUint64(reader, "value");
    else takeUnknown(reader, tag, undefined);
  }
  return value;
}

export function encodeUInt64Value(value: bigint): Uint8Array {
  return encode(writeUInt64Value, value);
}

export function decodeUInt64Value(bytes: Uint8Array, max?: number): bigint {
  return decode(readUInt64Value, bytes, max);
}

export const UInt64Value_fields: MessageFields<bigint> = {
  name: "google.protobuf.UInt64Value",
  form: /* @__PURE__ */ wrapped("uint64", "google.protobuf.UInt64Value"),
};
