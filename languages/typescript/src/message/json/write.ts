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

type ScalarWriter = (value: never, form: Form, field: string) => Tree;

/** How a field is written. */
interface FieldWriter {
  readonly property: string;
  readonly oneof: string | undefined;
  /** Its name in JSON. */
  readonly json: string;
  /** Its full name, for errors. */
  readonly full: string;
  /** The value that is left out; undefined where none is. */
  readonly zero: unknown;
  /** Of one scalar. */
  readonly scalar: ScalarWriter | undefined;
  /** Of anything else; undefined where that is left out. */
  write(value: unknown, context: JsonContext, depth: number): Tree | undefined;
}

/** How the fields of a message are written, made once for each table. */
const known = /* @__PURE__ */ new WeakMap<MessageFields, readonly FieldWriter[]>();

/** The tree of a message that is in so many maps and arrays. */
export function writeMessage(table: MessageFields, message: unknown, context: JsonContext, depth: number): Tree {
  if (table.form !== undefined) return table.form.write(message, context, depth);
  return writeFields(table, writersOf(table), message, context, depth);
}

function writeFields(table: MessageFields, writers: readonly FieldWriter[], message: unknown, context: JsonContext, depth: number): Tree {
  if (typeof message !== "object" || message === null) throw refused(table.name, message, "a message");
  const tree: TreeObject = {};
  const inner = deeper(depth, table.name);
  for (const writer of writers) {
    const { property, oneof, json, scalar } = writer;
    const value = oneof === undefined ? (message as Properties)[property] : caseOf((message as Properties)[oneof], property);
    if (value === undefined || Object.is(value, writer.zero)) continue;
    const written = scalar === undefined ? writer.write(value, context, inner) : scalar(value as never, context.form, writer.full);
    if (written === undefined) continue;
    if (json === "__proto__") setProperty(tree, json, written);
    else tree[json] = written;
  }
  return tree;
}

/** How many maps and arrays the values of one more are in. */
export function deeper(depth: number, field: string): number {
  if (depth === MAX_TREE_DEPTH) throw new EncodeError(field, `nested deeper than ${MAX_TREE_DEPTH} levels`);
  return depth + 1;
}

function caseOf(oneof: unknown, property: string): unknown {
  const chosen = oneof as { case: string; value: unknown } | undefined;
  return chosen?.case === property ? chosen.value : undefined;
}

function writersOf(table: MessageFields): readonly FieldWriter[] {
  let writers = known.get(table);
  if (writers === undefined) {
    writers = prepared(table).all.map(fieldWriter);
    known.set(table, writers);
  }
  return writers;
}

function fieldWriter({ row, json, full, hasPresence }: Prepared): FieldWriter {
  const { property, oneof, kind, key } = row;
  const isSingle = key === undefined && !row.repeated;
  const scalar = kind === "message" || kind === "enum" ? undefined : SCALARS[kind];
  // What is empty is left out by its own function.
  const isBytes = kind === "bytes" && isSingle && !hasPresence;
  return {
    property,
    oneof,
    json,
    full,
    zero: isSingle && !hasPresence ? zeroOf(kind) : undefined,
    scalar: isSingle && !isBytes ? scalar : undefined,
    write: isBytes ? (value, { form }) => ((value as Uint8Array).length === 0 ? undefined : SCALARS.bytes(value as never, form, full)) : manyWriter(row, full),
  };
}

function zeroOf(kind: FieldRow["kind"]): unknown {
  switch (kind) {
    case "string":
      return "";
    case "bool":
      return false;
    case "int64":
    case "uint64":
    case "sint64":
    case "fixed64":
    case "sfixed64":
      return 0n;
    default:
      return 0;
  }
}

/** What writes the values of a field, or its one value. */
function manyWriter(row: FieldRow, full: string): FieldWriter["write"] {
  const write = valueWriter(row, full);
  const { key } = row;
  if (key !== undefined) {
    return (map, context, depth) => {
      if ((map as ReadonlyMap<unknown, unknown>).size === 0) return undefined;
      const inner = deeper(depth, full);
      const tree: TreeObject = {};
      for (const [name, item] of map as ReadonlyMap<unknown, unknown>) setProperty(tree, writeKey(key, name, full), write(item, context, inner));
      return tree;
    };
  }
  if (!row.repeated) return write;
  const scalar = row.kind === "message" || row.kind === "enum" ? undefined : SCALARS[row.kind];
  return (list, context, depth) => {
    const values = list as readonly unknown[];
    if (values.length === 0) return undefined;
    const inner = deeper(depth, full);
    const { form } = context;
    return values.map(scalar === undefined ? (item) => write(item, context, inner) : (item) => scalar(item as never, form, full));
  };
}

function writeKey(kind: ScalarKind, key: unknown, field: string): string {
  const tree = writeScalar(kind, key, "json", field);
  return typeof tree === "string" ? tree : String(tree as number | boolean);
}

/** What writes one value of a field. */
function valueWriter({ kind, of }: FieldRow, full: string): (value: unknown, context: JsonContext, depth: number) => Tree {
  if (kind === "message") {
    const table = of?.() as MessageFields;
    if (table.form !== undefined) return (value, context, depth) => writeMessage(table, value, context, depth);
    // A message may hold messages of its own type.
    let writers: readonly FieldWriter[] | undefined;
    return (value, context, depth) => writeFields(table, (writers ??= writersOf(table)), value, context, depth);
  }
  if (kind === "enum") {
    const table = of?.() as EnumNames;
    return (value) => writeEnum(table, value as number, full);
  }
  const write = SCALARS[kind];
  return (value, { form }) => write(value as never, form, full);
}

function writeEnum(table: EnumNames, value: number, field: string): Tree {
  checkInt32(value, field);
  if (table.name === "google.protobuf.NullValue" && value === 0) return null;
  return table.values.find(([, number]) => number === value)?.[0] ?? value;
}

/** The tree of a scalar. */
export function writeScalar(kind: ScalarKind, value: unknown, form: Form, field: string): Tree {
  return SCALARS[kind](value as never, form, field);
}

function writeInt32(value: number, _form: Form, field: string): Tree {
  checkInt32(value, field);
  // Minus zero is zero to an integer.
  return value | 0;
}

function writeUint32(value: number, _form: Form, field: string): Tree {
  checkUint32(value, field);
  return value >>> 0;
}

function writeInt64(value: bigint, form: Form, field: string): Tree {
  checkInt64(value, field);
  return form === "json" ? String(value) : value;
}

function writeUint64(value: bigint, form: Form, field: string): Tree {
  checkUint64(value, field);
  return form === "json" ? String(value) : value;
}

const SCALARS: Record<ScalarKind, ScalarWriter> = {
  int32: writeInt32,
  sint32: writeInt32,
  sfixed32: writeInt32,
  uint32: writeUint32,
  fixed32: writeUint32,
  int64: writeInt64,
  sint64: writeInt64,
  sfixed64: writeInt64,
  uint64: writeUint64,
  fixed64: writeUint64,
  float(value: number, form, field) {
    checkFloat(value, field);
    return form === "json" ? jsonFloat(value) : new PackedFloat(value, 32);
  },
  double(value: number, form, field) {
    checkDouble(value, field);
    return form === "json" ? jsonNumber(value) : new PackedFloat(value, 64);
  },
  bool(value: boolean, _form, field) {
    checkBool(value, field);
    return value;
  },
  string(value: string, _form, field) {
    checkText(value, field);
    return value;
  },
  bytes(value: Uint8Array, form, field) {
    checkBytes(value, field);
    return form === "json" ? toBase64(value) : value;
  },
};

/** Numbers that JSON does not have, minus zero among them, are text. */
function jsonNumber(value: number): Tree {
  if (value === 0) return Object.is(value, -0) ? "-0" : 0;
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
