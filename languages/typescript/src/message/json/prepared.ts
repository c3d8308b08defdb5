/**
 * What the walks over messages and trees look up, made once for each table.
 *
 * @module
 */

import { BIGINT, BYTES, ELEMENT, LIST, OBJECT } from "../memory.js";
import { isTreeObject, type Tree } from "./tree.js";
import type { FieldRow, MessageFields } from "./tables.js";

/** A field. */
export interface Prepared {
  readonly row: FieldRow;
  /** Its name in JSON. */
  readonly json: string;
  /** Its full name, for errors. */
  readonly full: string;
  /** Whether its absence is told from zero. */
  readonly hasPresence: boolean;
  /** Whether null is a value of it instead of its absence. */
  readonly holdsNull: boolean;
}

/** The fields of a message. */
export interface PreparedFields {
  readonly all: readonly Prepared[];
  /** By their names in JSON and in the schema. */
  readonly byName: ReadonlyMap<string, Prepared>;
  /** What the message takes in memory while nothing is set, in bytes. */
  readonly size: number;
}

const known = /* @__PURE__ */ new WeakMap<MessageFields, PreparedFields>();

/** The fields of a table. */
export function prepared(table: MessageFields): PreparedFields {
  let fields = known.get(table);
  if (fields === undefined) {
    fields = prepare(table);
    known.set(table, fields);
  }
  return fields;
}

function prepare(table: MessageFields): PreparedFields {
  const all = (table.fields ?? []).map((row) => prepareRow(table.name, row));
  const byName = new Map<string, Prepared>();
  for (const field of all) byName.set(field.row.proto ?? field.json, field);
  // The name in JSON of one field may be that in the schema of another.
  for (const field of all) byName.set(field.json, field);
  return { all, byName, size: all.reduce((size, field) => size + sizeOf(field), OBJECT) };
}

function prepareRow(message: string, row: FieldRow): Prepared {
  const json = row.json ?? row.property;
  const isSingle = row.repeated === undefined && row.key === undefined;
  const name = row.kind === "message" || row.kind === "enum" ? row.of?.().name : undefined;
  return {
    row,
    json,
    full: `${message}.${row.proto ?? json}`,
    hasPresence: isSingle && (row.oneof !== undefined || row.optional === true || row.kind === "message"),
    holdsNull: isSingle && (name === "google.protobuf.Value" || name === "google.protobuf.NullValue"),
  };
}

function sizeOf({ row, hasPresence }: Prepared): number {
  if (row.repeated !== undefined || row.key !== undefined) return LIST;
  return row.kind === "bytes" && !hasPresence ? BYTES : 8;
}

/** What an element of a list, or the value of an entry, takes besides what is in it. */
export function elementSize({ kind }: FieldRow): number {
  return ELEMENT + (kind.includes("64") ? BIGINT : 0);
}

/** Whether an object has this field by the other of its two names too. */
export function occursTwice(field: Prepared, name: string, tree: Tree): boolean {
  return name !== field.json && isTreeObject(tree) && Object.hasOwn(tree, field.json);
}
