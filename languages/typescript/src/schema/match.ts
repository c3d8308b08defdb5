/** The type of a field's values, as both sides see it. */

import { isWellKnown, type FieldLine, type TypeLines } from "./description.js";
import { ALL, NAMES, NOTHING, type Breaks } from "./difference.js";

/** The types of one side. */
export type Types = ReadonlyMap<string, TypeLines>;

/** What the types of two fields come to: what they break, or two types by name that decide it. */
export type Match = Breaks | readonly [ours: string, theirs: string];

/** Whether a field has one value at most. */
export function isSingle({ presence }: FieldLine): boolean {
  return presence !== "repeated" && presence !== "map";
}

/** Compares how many values two fields have, and of which type. */
export function matchFields(ours: FieldLine, ourTypes: Types, theirs: FieldLine, theirTypes: Types): Match {
  if (ours.presence === "map" && theirs.presence === "repeated") return isEntry(ours, theirs, theirTypes) ? NAMES : ALL;
  if (ours.presence === "repeated" && theirs.presence === "map") return isEntry(theirs, ours, ourTypes) ? NAMES : ALL;
  const isSameCount = isSingle(ours) ? isSingle(theirs) : ours.presence === theirs.presence;
  if (!isSameCount || ours.key !== theirs.key) return ALL;
  if (ours.of !== "scalar" && ours.of === theirs.of) return matchNames(ours.type, ourTypes, theirs.type, theirTypes);
  const isInt32 = ({ of, type }: FieldLine): boolean => of === "scalar" && type === "int32";
  // The same bytes, and every number is a value of an enum. In JSON one is a name.
  if ((ours.of === "enum" && isInt32(theirs)) || (isInt32(ours) && theirs.of === "enum")) return NAMES;
  // Among others types that share a form on the wire: a value that is not one of both is read as another one, and no side learns of it.
  return ours.of === theirs.of && ours.type === theirs.type ? NOTHING : ALL;
}

/** Compares two messages, or two enums, by what is known of them. */
export function matchNames(ours: string, ourTypes: Types, theirs: string, theirTypes: Types): Match {
  const [isOurs, isTheirs] = [ourTypes.has(ours), theirTypes.has(theirs)];
  if (isOurs && isTheirs) return [ours, theirs];
  // What a well-known type is made of is known to all, so its name says it.
  return isOurs === isTheirs && ours === theirs && isWellKnown(ours) ? NOTHING : ALL;
}

/** Whether a list is one of a map's entries: in protobuf it is the same. */
function isEntry(map: FieldLine, list: FieldLine, types: Types): boolean {
  const entry = types.get(list.type);
  if (entry?.of !== "message" || entry.fields.length !== 2) return false;
  // What messages are made of is not looked into: a map of messages that became a list is too much of a change.
  const isOne = (number: number, type: string | undefined): boolean =>
    entry.fields.some((field) => field.number === number && isSingle(field) && field.of === "scalar" && field.type === type);
  return isOne(1, map.key) && isOne(2, map.of === "scalar" ? map.type : undefined);
}

/** The type of a field in words. */
export function typeInWords({ presence, key, of, type }: FieldLine): string {
  const name = of === "scalar" ? type : `${of} \`${type}\``;
  return presence === "repeated" ? `repeated ${name}` : key === undefined ? name : `map<${key}, ${name}>`;
}

/** The presence of a field with one value, in words. */
export function presenceInWords({ presence }: FieldLine): string {
  return presence === "oneof" ? "in a oneof" : presence === "implicit" ? "always there" : "optional";
}
