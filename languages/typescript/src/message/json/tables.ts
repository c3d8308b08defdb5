/**
 * Tables of fields: what JSON and MessagePack know of messages. Generated code has one for each message; nothing but the functions
 * and codecs of these forms refers to them, so that a program in protobuf alone has none of them in its bundle.
 *
 * @module
 */

import type { Memory } from "../memory.js";
import type { Form, Tree } from "./tree.js";

/** The scalar types of protobuf. */
export type ScalarKind =
  | "double"
  | "float"
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "sint32"
  | "sint64"
  | "fixed32"
  | "fixed64"
  | "sfixed32"
  | "sfixed64"
  | "bool"
  | "string"
  | "bytes";

/** One field. */
export interface FieldRow {
  /** The property of the message or, in a oneof, the case. */
  readonly property: string;
  /** The name in JSON, if it is not the property. */
  readonly json?: string;
  /** The name in the schema, if it is not that in JSON. */
  readonly proto?: string;
  readonly kind: ScalarKind | "message" | "enum";
  /** The table of a message or an enum. */
  readonly of?: () => MessageFields | EnumNames;
  /** Whether there may be any number of values. */
  readonly repeated?: true;
  /** The type of the keys of a map. */
  readonly key?: ScalarKind;
  /** Whether its absence is told from zero. Messages always do. */
  readonly optional?: true;
  /** The property of the oneof that it is a case of. */
  readonly oneof?: string;
}

/** The fields of a message, or the form of its own that it has in JSON. */
export interface MessageFields<T = unknown> {
  /** The full name, such as `chat.ConnectReq`. */
  readonly name: string;
  readonly fields?: readonly FieldRow[];
  readonly form?: JsonForm<T>;
}

/** The values of an enum, by their names in the schema. */
export interface EnumNames {
  /** The full name, such as `chat.Color`. */
  readonly name: string;
  readonly values: readonly (readonly [string, number])[];
}

/** How a message is written that is not an object of its fields. */
export interface JsonForm<T> {
  /** @param depth How many maps and arrays the value is in. */
  write(value: T, context: JsonContext, depth: number): Tree;
  read(tree: Tree, context: JsonContext, depth: number): T;
}

/** What there is to know around a value. */
export interface JsonContext {
  readonly form: Form;
  /** What an `Any` may hold. */
  readonly any: readonly AnyType[];
  /** How many `Any` the value is in. */
  readonly anyDepth: number;
  /** What the message that is read may still take. */
  readonly memory: Memory;
}

/** A message that an `Any` may hold. */
export interface AnyType {
  readonly type: { readonly name: string; encode(message: never): Uint8Array; decode(bytes: Uint8Array): unknown };
  readonly fields: MessageFields;
}

/** The messages of a protocol, by their members: what codecs of JSON and MessagePack need. */
export interface ProtocolJson {
  readonly clientToServer: readonly MemberJson[];
  readonly serverToClient: readonly MemberJson[];
  /** What an `Any` may hold, besides protobuf's own types. */
  readonly any?: () => readonly AnyType[];
}

/** One member. */
export interface MemberJson {
  readonly number: number;
  /** Its name in JSON: `connectReq`. */
  readonly name: string;
  /** Its message; none if it carries nothing. */
  readonly fields?: () => MessageFields;
}
