/** The comparison of two messages, or of two enums. */

import type { FieldLine, TypeLines, ValueLine } from "./description.js";
import { ALL, NAMES, NOTHING, PROTOBUF } from "./difference.js";
import { isSingle, matchFields, presenceInWords, typeInWords } from "./match.js";
import { numbersOf, type Visit, type Walk } from "./walk.js";

/** Compares the types of a visit. False where that takes more steps than are left. */
export function compareTypes(walk: Walk, visit: Visit): boolean {
  const [ourName, theirName] = visit.pair;
  const [ours, theirs] = [walk.ourTypes.get(ourName), walk.theirTypes.get(theirName)];
  if (ours === undefined || theirs === undefined) return true;
  if (!walk.takeSteps(1 + lengthOf(ours) + lengthOf(theirs))) return false;
  const { sides } = walk;
  const names = `: type \`${ourName}\` ${sides.ours}, \`${theirName}\` ${sides.theirs}`;
  if (ourName !== theirName) walk.add(visit, undefined, NOTHING, names);
  if (ours.of === "message" && theirs.of === "message") compareMessages(walk, visit, ours.fields, theirs.fields);
  else if (ours.of === "enum" && theirs.of === "enum") compareEnums(walk, visit, ours.values, theirs.values);
  return true;
}

function lengthOf(lines: TypeLines): number {
  return lines.of === "message" ? lines.fields.length : lines.values.length;
}

function compareMessages(walk: Walk, visit: Visit, ours: readonly FieldLine[], theirs: readonly FieldLine[]): void {
  const { sides } = walk;
  const theirNames = new Map(theirs.map((field) => [field.name, field]));
  const moved = new Set<string>();
  // The last of a name counts, as in a map by names.
  const ourNames = new Map(ours.map((field) => [field.name, field]));
  for (const [name, our] of [...ourNames].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const their = theirNames.get(name);
    if (their === undefined || their.number === our.number) continue;
    moved.add(name);
    walk.add(visit, name, PROTOBUF, `: number ${our.number} ${sides.ours}, ${their.number} ${sides.theirs}`);
    compareFields(walk, visit, our, their);
  }
  const [ourFields, theirFields] = [byNumber(ours), byNumber(theirs)];
  const common: (readonly [ours: FieldLine, theirs: FieldLine])[] = [];
  for (const number of numbersOf(ourFields, theirFields)) {
    const [our, their] = [ourFields.get(number), theirFields.get(number)];
    if (our !== undefined && their !== undefined && !moved.has(our.name) && !moved.has(their.name)) {
      common.push([our, their]);
      compareNames(walk, visit, our, their);
      compareFields(walk, visit, our, their);
    } else {
      if (our !== undefined && !moved.has(our.name)) walk.add(visit, our.name, NOTHING, ` (${number}): only ${sides.ours}`);
      if (their !== undefined && !moved.has(their.name)) walk.add(visit, their.name, NOTHING, ` (${number}): only ${sides.theirs}`);
    }
  }
  compareOneofs(walk, visit, common);
}

function byNumber(fields: readonly FieldLine[]): Map<number, FieldLine> {
  return new Map(fields.map((field) => [field.number, field]));
}

function compareNames(walk: Walk, visit: Visit, ours: FieldLine, theirs: FieldLine): void {
  const { sides } = walk;
  const { name, number } = ours;
  const isSameInJson = ours.jsonName === theirs.jsonName;
  if (name !== theirs.name) {
    // Where the name in JSON has stayed, this is what the renamed field is written as.
    walk.add(visit, name, isSameInJson ? NOTHING : NAMES, ` (${number}): named \`${name}\` ${sides.ours}, \`${theirs.name}\` ${sides.theirs}`);
  } else if (!isSameInJson) {
    // Each side also reads the name of the schema, but writes its own in JSON.
    const escaped = ({ jsonName }: FieldLine): string => JSON.stringify(jsonName).slice(1, -1);
    walk.add(visit, name, NAMES, ` (${number}): \`${escaped(ours)}\` in JSON ${sides.ours}, \`${escaped(theirs)}\` ${sides.theirs}`);
  }
}

function compareFields(walk: Walk, visit: Visit, ours: FieldLine, theirs: FieldLine): void {
  const { sides } = walk;
  const { name, number } = ours;
  const both = (our: string, their: string): string => ` (${number}): ${our} ${sides.ours}, ${their} ${sides.theirs}`;
  const match = matchFields(ours, walk.ourTypes, theirs, walk.theirTypes);
  if (typeof match !== "number") walk.visit(match, { visit, field: name });
  else if (match !== NOTHING) walk.add(visit, name, match, both(typeInWords(ours), typeInWords(theirs)));
  const [ourPresence, theirPresence] = [presenceInWords(ours), presenceInWords(theirs)];
  if (isSingle(ours) && isSingle(theirs) && ourPresence !== theirPresence) walk.add(visit, name, NOTHING, both(ourPresence, theirPresence));
}

/** Compares which fields exclude each other, of those that both sides have. */
function compareOneofs(walk: Walk, visit: Visit, common: readonly (readonly [ours: FieldLine, theirs: FieldLine])[]): void {
  const { sides } = walk;
  const [ourOneofs, theirOneofs] = [oneofsOf(common.map(([ours]) => ours)), oneofsOf(common.map(([, theirs]) => theirs))];
  const inWords = (lowest: number | undefined): string => (lowest === undefined ? "in no oneof of others" : `in the oneof of field ${lowest}`);
  for (const [{ name, number }] of common) {
    const [ours, theirs] = [ourOneofs.get(number), theirOneofs.get(number)];
    if (ours !== theirs) walk.add(visit, name, ALL, ` (${number}): ${inWords(ours)} ${sides.ours}, ${inWords(theirs)} ${sides.theirs}`);
  }
}

/** For each of the fields that is in a oneof with another one, the lowest number of these. */
function oneofsOf(fields: readonly FieldLine[]): ReadonlyMap<number, number> {
  const groups = new Map<number, number[]>();
  for (const { oneof, number } of fields) {
    if (oneof === undefined) continue;
    const group = groups.get(oneof);
    if (group === undefined) groups.set(oneof, [number]);
    else group.push(number);
  }
  const lowest = new Map<number, number>();
  for (const group of groups.values()) if (group.length > 1) for (const number of group) lowest.set(number, group[0] as number);
  return lowest;
}

function compareEnums(walk: Walk, visit: Visit, ours: readonly ValueLine[], theirs: readonly ValueLine[]): void {
  const { sides } = walk;
  const [ourNumbers, theirNumbers] = [numbersByName(ours), numbersByName(theirs)];
  const moved = new Set<string>();
  for (const [name, number] of [...ourNumbers].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const other = theirNumbers.get(name);
    if (other === undefined || other === number) continue;
    moved.add(name);
    walk.add(visit, undefined, PROTOBUF, `: value \`${name}\` is ${number} ${sides.ours}, ${other} ${sides.theirs}`);
  }
  const [ourNames, theirNames] = [namesByNumber(ours), namesByNumber(theirs)];
  for (const number of numbersOf(ourNames, theirNames)) {
    const [our, their] = [ourNames, theirNames].map((names) => (names.get(number) ?? []).filter((name) => !moved.has(name))) as [string[], string[]];
    const [ourFirst, theirFirst] = [our[0], their[0]];
    if (ourFirst !== undefined && theirFirst !== undefined) {
      if (new Set(our).size === new Set(their).size && our.every((name) => their.includes(name)) && their.every((name) => our.includes(name))) continue;
      // Of several names for one number the first is written, and all are read.
      const isRead = their.includes(ourFirst) && our.includes(theirFirst);
      walk.add(visit, undefined, isRead ? NOTHING : NAMES, `: value ${number} named \`${our.join("`, `")}\` ${sides.ours}, \`${their.join("`, `")}\` ${sides.theirs}`);
    } else if (ourFirst !== undefined) walk.add(visit, undefined, NOTHING, `: value \`${ourFirst}\` (${number}) only ${sides.ours}`);
    else if (theirFirst !== undefined) walk.add(visit, undefined, NOTHING, `: value \`${theirFirst}\` (${number}) only ${sides.theirs}`);
  }
}

function numbersByName(values: readonly ValueLine[]): Map<string, number> {
  return new Map(values.map(({ name, number }) => [name, number]));
}

function namesByNumber(values: readonly ValueLine[]): Map<number, string[]> {
  const names = new Map<number, string[]>();
  for (const { name, number } of values) {
    const known = names.get(number);
    if (known === undefined) names.set(number, [name]);
    else known.push(name);
  }
  return names;
}
