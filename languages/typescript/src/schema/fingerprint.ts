/** The canonical form of a schema and its fingerprint (docs/schema.md, "Canonical form and fingerprint"). */

import { sha256 } from "../message/sha256.js";
import { DIRECTIONS, type Description, type FieldLine, type TypeLines } from "./description.js";
import type { Pace } from "./pace.js";

/** SHA-256. */
export type Hash = (bytes: Uint8Array) => Uint8Array;

/** How often colours are refined. */
const ROUNDS = 64;

const NO_COLOUR = "0".repeat(64);

/** The first 8 bytes of the hash of the canonical form. */
export async function fingerprintOf(description: Description, pace: Pace, hash: Hash = sha256): Promise<bigint> {
  const bytes = hash(new TextEncoder().encode(await canonicalForm(description, pace, hash)));
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
}

/** The text in which two schemas are equal that mean the same on the wire. */
export async function canonicalForm(description: Description, pace: Pace, hash: Hash = sha256): Promise<string> {
  const colours = await coloursOf(description.types, pace, hash);
  const mention = (type: string): string => colours.get(type) ?? type;
  let form = `msip-schema 1\npackage ${description.package}\n`;
  for (const direction of DIRECTIONS) {
    form += `${direction}\n`;
    for (const { number, name, kind, exchange, payload } of description.members[direction]) {
      form += `${number} ${name} ${kind} ${exchange} ${payload === undefined ? "empty" : mention(payload)}\n`;
    }
  }
  const reached = new Set([...reachedBy(description)].flatMap((type) => colours.get(type) ?? []));
  return `${form}types\n${[...reached].sort().map((colour) => `${colour}\n`).join("")}`;
}

/** What each type is made of, as a hash. */
async function coloursOf(types: Description["types"], pace: Pace, hash: Hash): Promise<ReadonlyMap<string, string>> {
  const colours = new Map([...types.keys()].map((name) => [name, NO_COLOUR]));
  const encoder = new TextEncoder();
  // A colour changes only if one that it mentions has changed: the others need not be refined again.
  let due: Iterable<string> = types.keys();
  for (let round = 0; round < ROUNDS; round++) {
    const changed = new Map<string, string>();
    for (const name of due) {
      const lines = types.get(name);
      if (lines === undefined) continue;
      const colour = hex(hash(encoder.encode(shapeOf(lines, colours))));
      if (colour !== colours.get(name)) changed.set(name, colour);
      if (pace.isDue) await pace.rest();
    }
    for (const [name, colour] of changed) colours.set(name, colour);
    due = [...types.keys()].filter((name) => mentionsOf(types.get(name)).some(({ type }) => changed.has(type)));
    if (changed.size === 0) break;
  }
  return colours;
}

function shapeOf(lines: TypeLines, colours: ReadonlyMap<string, string>): string {
  if (lines.of === "enum") {
    const values = [...lines.values].sort((a, b) => a.number - b.number || (a.name < b.name ? -1 : 1));
    return `enum\n${values.map(({ number, name }) => `${number} ${name}\n`).join("")}`;
  }
  return `message\n${lines.fields.map((field) => `${field.number} ${field.name} ${presenceOf(field)} ${colours.get(field.type) ?? field.type}\n`).join("")}`;
}

function presenceOf({ presence, key, oneof }: FieldLine): string {
  return key !== undefined ? `map:${key}` : oneof !== undefined ? `oneof:${oneof}` : presence;
}

/** The fields of a type whose values are messages or those of enums. */
function mentionsOf(lines: TypeLines | undefined): readonly FieldLine[] {
  return lines?.of === "message" ? lines.fields.filter(({ of }) => of !== "scalar") : [];
}

/** The types that the members lead to. */
function reachedBy({ members, types }: Description): ReadonlySet<string> {
  const reached = new Set<string>();
  for (const direction of DIRECTIONS) for (const { payload } of members[direction]) if (payload !== undefined) reached.add(payload);
  // A set is walked with what is added meanwhile.
  for (const name of reached) for (const { type } of mentionsOf(types.get(name))) reached.add(type);
  return reached;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
