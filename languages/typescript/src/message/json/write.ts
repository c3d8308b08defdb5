/**
 * From messages to trees.
 *
 * @module
 */

import { EncodeError } from "../errors.js";
import {
  checkBool,
  checkBytes,
  checkDouble,
  checkFloat,
  checkInt32,
  checkInt64,
  checkText,
  checkUint32,
  checkUint64,
  refused,
} from "../scalars.js";
import { toBase64 } from "./base64.js";
import { prepared, type Prepared } from "./prepared.js";
import type { EnumNames, FieldRow, JsonContext, MessageFields, ScalarKind } from "./tables.js";
import { MAX_TREE_DEPTH, PackedFloat, setProperty, type Form, type Tree, type TreeObject } from "./tree.js";

type Properties = Readonly<Record<string, unknown>>;

/** The tree of a message that is in so many maps and arrays. */
export function writeMessage(table: MessageFields, message: unknown, context: JsonContext, depth: number): Tree {
  if (table.form !== undefined) return table.form.write(message, context, depth);
  if (typeof message !== "object" || message === null) throw refused(table.name, message, "a message");
  const tree: TreeObject = {};
  const inner = deeper(depth, table.name);
  for (const field of prepared(table).all) {
    const value = valueOf(field.row, message as Properties);
    if (value === undefined) continue;
    const written = writeField(field, value, context, inner);
    if (written !== undefined) setProperty(tree, field.json, written);
  }
  return tree;
}

/** How many maps and arrays the values of one more are in. */
export function deeper(depth: number, field: string): number {
  if (depth === MAX_TREE_DEPTH) throw new EncodeError(field, `nested deeper than ${MAX_TREE_DEPTH} levels`);
  return depth + 1;
}

function valueOf(row: FieldRow, message: Properties): unknown {
  if (row.oneof === undefined) return message[row.property];
  const oneof = message[row.oneof] as { case: string; value: unknown } | undefined;
  return oneof?.case === row.property ? oneof.value : undefined;
}

/** The tree of a field; undefined if it is left out. */
function writeField(field: Prepared, value: unknown, context: JsonContext, depth: number): Tree | undefined {
  const { row, full } = field;
  if (row.key !== undefined) {
    const map = value as ReadonlyMap<unknown, unknown>;
    if (map.size === 0) return undefined;
    const inner = deeper(depth, full);
    const tree: TreeObject = {};
    for (const [key, item] of map) {
      setProperty(tree, writeKey(row.key, key, full), writeValue(field, item, context, inner));
    }
    return tree;
  }
  if (row.repeated) {
    const list = value as readonly unknown[];
    if (list.length === 0) return undefined;
    const inner = deeper(depth, full);
    return list.map((item) => writeValue(field, item, context, inner));
  }
  return field.hasPresence || !isZero(value) ? writeValue(field, value, context, depth) : undefined;
}

function isZero(value: unknown): boolean {
  return (
    value === "" ||
    value === false ||
    value === 0n ||
    Object.is(value, 0) ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

function writeKey(kind: ScalarKind, key: unknown, field: string): string {
  const tree = writeScalar(kind, key, "json", field);
  return typeof tree === "string" ? tree : String(tree as number | boolean);
}

function writeValue({ row, full }: Prepared, value: unknown, context: JsonContext, depth: number): Tree {
  switch (row.kind) {
    case "message":
      return writeMessage(row.of?.() as MessageFields, value, context, depth);
    case "enum":
      return writeEnum(row.of?.() as EnumNames, value as number, full);
    default:
      return writeScalar(row.kind, value, context.form, full);
  }
}

function writeEnum(table: EnumNames, value: number, field: string): Tree {
  checkInt32(value, field);
  if (table.name === "google.protobuf.NullValue" && value === 0) return null;
  return table.values.find(([, number]) => number === value)?.[0] ?? value;
}

/** The tree of a scalar. */
export function writeScalar(kind: ScalarKind, value: unknown, form: Form, field: string): Tree {
  switch (kind) {
    case "int32":
    case "sint32":
    case "sfixed32":
      checkInt32(value as number, field);
      // Minus zero is zero to an integer.
      return (value as number) | 0;
    case "uint32":
    case "fixed32":
      checkUint32(value as number, field);
      return (value as number) >>> 0;
    case "int64":
    case "sint64":
    case "sfixed64":
      checkInt64(value as bigint, field);
      return form === "json" ? String(value as bigint) : (value as bigint);
    case "uint64":
    case "fixed64":
      checkUint64(value as bigint, field);
      return form === "json" ? String(value as bigint) : (value as bigint);
    case "float":
      checkFloat(value as number, field);
      return form === "json" ? jsonFloat(value as number) : new PackedFloat(value as number, 32);
    case "double":
      checkDouble(value as number, field);
      return form === "json" ? jsonNumber(value as number) : new PackedFloat(value as number, 64);
    case "bool":
      checkBool(value as boolean, field);
      return value as boolean;
    case "string":
      checkText(value as string, field);
      return value as string;
    case "bytes":
      checkBytes(value as Uint8Array, field);
      return form === "json" ? toBase64(value as Uint8Array) : (value as Uint8Array);
  }
}

/** Numbers that JSON does not have, minus zero among them, are text. */
function jsonNumber(value: number): Tree {
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? value : String(value);
}

/** The fewest digits that read back as the same number of 32 bits. */
function jsonFloat(value: number): Tree {
  const float = Math.fround(value);
  if (!Number.isFinite(float) || float === 0) return jsonNumber(float);
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(float.toPrecision(digits));
    if (Math.fround(short) === float) return short;
  }
  return Number(float.toPrecision(9));
}
