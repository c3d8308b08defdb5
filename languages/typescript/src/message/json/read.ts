/**
 * From trees to messages.
 *
 * @module
 */

import { DecodeError, within } from "../errors.js";
import { isWellFormed } from "../scalars.js";
import { fromBase64 } from "./base64.js";
import { BYTES, OBJECT, spend } from "../memory.js";
import { elementSize, occursTwice, prepared, type Prepared } from "./prepared.js";
import type { EnumNames, FieldRow, JsonContext, MessageFields, ScalarKind } from "./tables.js";
import { MAX_TREE_DEPTH, PackedFloat, found, isTreeObject, type Form, type Tree } from "./tree.js";

/** The message of a tree that is in so many maps and arrays. */
export function readMessage(table: MessageFields, tree: Tree, context: JsonContext, depth: number): unknown {
  if (table.form !== undefined) return table.form.read(tree, context, depth);
  if (!isTreeObject(tree)) throw expected("an object", tree);
  const { all, byName, size } = prepared(table);
  spend(context.memory, size);
  const message = empty(all);
  const inner = deeper(depth);
  for (const name of Object.keys(tree)) {
    const field = byName.get(name);
    // What is not known is ignored, whatever is in it.
    if (field === undefined) continue;
    try {
      const value = tree[name] as Tree;
      if (occursTwice(field, name, tree)) throw new DecodeError("occurs twice");
      if (value !== null || field.holdsNull) readField(field, value, message, context, inner);
    } catch (error) {
      throw within(error, name);
    }
  }
  return message;
}

/** How many maps and arrays the values of one more are in. */
export function deeper(depth: number): number {
  if (depth === MAX_TREE_DEPTH) throw new DecodeError(`nested deeper than ${MAX_TREE_DEPTH} levels`);
  return depth + 1;
}

/** An error that says what a tree is not. */
export function expected(what: string, tree: Tree | undefined): DecodeError {
  return new DecodeError(`expected ${what}, found ${found(tree)}`);
}

/** A message of which nothing is set. */
function empty(fields: readonly Prepared[]): Record<string, unknown> {
  const message: Record<string, unknown> = {};
  for (const { row, hasPresence } of fields) {
    if (row.key !== undefined) message[row.property] = new Map();
    else if (row.repeated) message[row.property] = [];
    else if (!hasPresence) message[row.property] = zero(row.kind as ScalarKind | "enum");
  }
  return message;
}

function zero(kind: ScalarKind | "enum"): unknown {
  switch (kind) {
    case "bool":
      return false;
    case "string":
      return "";
    case "bytes":
      return new Uint8Array(0);
    case "int64":
    case "sint64":
    case "sfixed64":
    case "uint64":
    case "fixed64":
      return 0n;
    default:
      return 0;
  }
}

function readField(
  { row }: Prepared,
  tree: Tree,
  message: Record<string, unknown>,
  context: JsonContext,
  depth: number,
): void {
  if (row.key !== undefined) {
    readMap(row, row.key, tree, message[row.property] as Map<unknown, unknown>, context, depth);
    return;
  }
  if (row.repeated) {
    readList(row, tree, message[row.property] as unknown[], context, depth);
    return;
  }
  const value = readValue(row, tree, context, depth);
  if (value === undefined) return;
  if (row.oneof === undefined) {
    message[row.property] = value;
  } else if (message[row.oneof] === undefined) {
    message[row.oneof] = { case: row.property, value };
  } else {
    throw new DecodeError("another member of its oneof is set too");
  }
}

function readMap(
  row: FieldRow,
  kind: ScalarKind,
  tree: Tree,
  map: Map<unknown, unknown>,
  context: JsonContext,
  depth: number,
): void {
  if (!isTreeObject(tree)) throw expected("an object", tree);
  const inner = deeper(depth);
  const size = OBJECT + elementSize(row);
  for (const name of Object.keys(tree)) {
    try {
      spend(context.memory, size);
      const key = readKey(kind, name);
      if (map.has(key)) throw new DecodeError("occurs twice");
      const value = readValue(row, tree[name] as Tree, context, inner);
      if (value !== undefined) map.set(key, value);
    } catch (error) {
      throw within(error, `[${JSON.stringify(name)}]`);
    }
  }
}

function readList(row: FieldRow, tree: Tree, list: unknown[], context: JsonContext, depth: number): void {
  if (!Array.isArray(tree)) throw expected("an array", tree);
  const inner = deeper(depth);
  spend(context.memory, elementSize(row) * tree.length);
  for (const [index, item] of tree.entries()) {
    try {
      const value = readValue(row, item, context, inner);
      if (value !== undefined) list.push(value);
    } catch (error) {
      throw within(error, `[${index}]`);
    }
  }
}

/** The value of a tree; undefined for a name that the enum does not know. */
function readValue(row: FieldRow, tree: Tree, context: JsonContext, depth: number): unknown {
  switch (row.kind) {
    case "message":
      return readMessage(row.of?.() as MessageFields, tree, context, depth);
    case "enum":
      return readEnum(row.of?.() as EnumNames, tree);
    default:
      if (row.kind === "bytes") spend(context.memory, BYTES + ((tree as { length?: number }).length ?? 0));
      return readScalar(row.kind, tree, context.form);
  }
}

function readEnum(table: EnumNames, tree: Tree): number | undefined {
  if (typeof tree === "string") return table.values.find(([name]) => name === tree)?.[1];
  if (tree === null && table.name === "google.protobuf.NullValue") return 0;
  if (typeof tree === "number" || typeof tree === "bigint") return readInteger(tree, -0x8000_0000, 0x7fff_ffff);
  throw expected("a value of its enum", tree);
}

function readKey(kind: ScalarKind, name: string): unknown {
  if (kind !== "bool") return readScalar(kind, name, "json");
  if (name === "true" || name === "false") return name === "true";
  throw expected("true or false", name);
}

/** The value of a scalar. */
export function readScalar(kind: ScalarKind, tree: Tree, form: Form): unknown {
  switch (kind) {
    case "int32":
    case "sint32":
    case "sfixed32":
      return readInteger(tree, -0x8000_0000, 0x7fff_ffff);
    case "uint32":
    case "fixed32":
      return readInteger(tree, 0, 0xffff_ffff);
    case "int64":
    case "sint64":
    case "sfixed64":
      return readBigint(tree, -0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn);
    case "uint64":
    case "fixed64":
      return readBigint(tree, 0n, 0xffff_ffff_ffff_ffffn);
    case "float":
      return readFloat(tree);
    case "double":
      return readDouble(tree);
    case "bool":
      if (typeof tree === "boolean") return tree;
      throw expected("true or false", tree);
    case "string":
      if (typeof tree !== "string") throw expected("text", tree);
      if (!isWellFormed(tree)) throw new DecodeError("text with half of a surrogate pair");
      return tree;
    case "bytes":
      return readBytes(tree, form);
  }
}

function readInteger(tree: Tree, min: number, max: number): number {
  // Adding zero makes minus zero zero.
  if (typeof tree === "number" && Number.isInteger(tree) && tree >= min && tree <= max) return tree + 0;
  return Number(readBigint(tree, BigInt(min), BigInt(max)));
}

function readBigint(tree: Tree, min: bigint, max: bigint): bigint {
  const value = integer(tree instanceof PackedFloat ? tree.value : tree);
  if (value === undefined) throw expected("a whole number", tree);
  if (value < min || value > max) throw expected(`a whole number from ${min} to ${max}`, tree);
  return value;
}

/** A whole number, however it is written: `7`, `7.0`, `"7"`, `"1e2"`. */
function integer(tree: Tree): bigint | undefined {
  if (typeof tree === "bigint") return tree;
  if (typeof tree === "number") return Number.isInteger(tree) ? BigInt(tree) : undefined;
  if (typeof tree !== "string") return undefined;
  const parts = /^(-?\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/.exec(tree);
  if (parts === null) return undefined;
  const [, whole = "", fraction = "", exponent = "0"] = parts;
  // Digits with the point moved to where it belongs; none may be left behind it. No number of 64 bits has more than 20 of them.
  const point = Number(exponent) - fraction.replace(/0+$/, "").length;
  const digits = whole + fraction.replace(/0+$/, "");
  if (digits.length > 1000 || Math.abs(point) > 1000) return undefined;
  if (point >= 0) return BigInt(digits) * 10n ** BigInt(point);
  const scale = 10n ** BigInt(-point);
  const value = BigInt(digits);
  return value % scale === 0n ? value / scale : undefined;
}

function readDouble(tree: Tree): number {
  if (tree instanceof PackedFloat) return tree.value;
  if (typeof tree === "number") return tree;
  if (typeof tree === "bigint") return Number(tree);
  if (tree === "NaN" || tree === "Infinity" || tree === "-Infinity") return Number(tree);
  if (typeof tree === "string" && /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(tree)) {
    const value = Number(tree);
    if (Number.isFinite(value)) return value;
  }
  throw expected("a number", tree);
}

function readFloat(tree: Tree): number {
  const value = readDouble(tree);
  const float = Math.fround(value);
  if (Number.isFinite(value) && !Number.isFinite(float)) throw expected("a number of 32 bits", tree);
  return float;
}

function readBytes(tree: Tree, form: Form): Uint8Array {
  if (form === "msgpack") {
    if (tree instanceof Uint8Array) return new Uint8Array(tree);
    throw expected("bytes", tree);
  }
  const bytes = typeof tree === "string" ? fromBase64(tree) : undefined;
  if (bytes === undefined) throw expected("base64", tree);
  return bytes;
}
