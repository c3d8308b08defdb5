/**
 * Messages: what generated code stands on, and protobuf's own types.
 *
 * @packageDocumentation
 */

export { decode, encode } from "./codec.js";
export { DecodeError, EncodeError, TooLargeError } from "./errors.js";
export { fromJson, fromTree, toJson, toTree, type JsonOptions } from "./json/functions.js";
export type {
  AnyType,
  EnumNames,
  FieldRow,
  JsonContext,
  JsonForm,
  MemberJson,
  MessageFields,
  ProtocolJson,
  ScalarKind,
} from "./json/tables.js";
export { keyText } from "./key.js";
export type { Memory } from "./memory.js";
export { PackedFloat, type Form, type Tree, type TreeObject } from "./json/tree.js";
export {
  Reader,
  takeBool,
  takeBytes,
  takeClose,
  takeDouble,
  takeFixed32,
  takeFixed64,
  takeFloat,
  takeInt32,
  takeInt64,
  takeMessage,
  takeOpen,
  takeOpenPacked,
  takeSfixed32,
  takeSfixed64,
  takeSint32,
  takeSint64,
  takeString,
  takeTag,
  takeUint32,
  takeUint64,
  takeUnknown,
} from "./reader.js";
export type { Init, JsonObject, JsonValue, MessageType } from "./types.js";
export * from "./well-known/any.js";
export * from "./well-known/duration.js";
export * from "./well-known/empty.js";
export * from "./well-known/field-mask.js";
export * from "./well-known/struct.js";
export {
  Timestamp_fields,
  decodeTimestamp,
  encodeTimestamp,
  readTimestamp,
  timestampFromDate,
  timestampToDate,
  writeTimestamp,
  type Timestamp,
} from "./well-known/timestamp.js";
export * from "./well-known/wrappers.js";
export {
  Writer,
  putBool,
  putBytes,
  putClose,
  putClosePacked,
  putDouble,
  putFixed32,
  putFixed64,
  putFloat,
  putInt32,
  putInt64,
  putMessage,
  putOpen,
  putOpenPacked,
  putRaw,
  putSfixed32,
  putSfixed64,
  putSint32,
  putSint64,
  putString,
  putUint32,
  putUint64,
  putValue,
} from "./writer.js";
