/**
 * Compares two versions of a protocol (docs/schema.md, "What peers of different versions see"): structure, by numbers and names of members,
 * fields and values. Names of types mean nothing on the wire: a type that was split, merged or renamed is compared with what stands in its
 * place. It does the same as `msip_schema::compare`, in the same words.
 */

import { DIRECTIONS, type Description, type Direction, type MemberLine } from "./description.js";
import { Differences, type Comparison } from "./comparison.js";
import { ALL, NAMES, NOTHING, type Breaks, type Sides } from "./difference.js";
import { matchNames } from "./match.js";
import { compareTypes } from "./compare-types.js";
import type { Pace } from "./pace.js";
import { Walk, numbersOf } from "./walk.js";

/** Compares ours, or the older one, with theirs, or the newer one. */
export async function compare(ours: Description, theirs: Description, sides: Sides, pace: Pace): Promise<Comparison> {
  const differences = new Differences(sides);
  const walk = new Walk(ours.types, theirs.types, differences);
  if (ours.package !== theirs.package) {
    differences.add(ALL, () => ({ fields: [] }), `: package \`${ours.package}\` ${sides.ours}, \`${theirs.package}\` ${sides.theirs}`);
  }
  for (const direction of DIRECTIONS) compareDirection(walk, direction, ours.members[direction], theirs.members[direction]);
  // Nothing here recurses: types may be nested as deep as they like.
  let isCutShort = false;
  for (let visit = walk.next(); visit !== undefined && !isCutShort; visit = walk.next()) {
    isCutShort = !compareTypes(walk, visit);
    if (pace.isDue) await pace.rest();
  }
  return differences.finish(isCutShort);
}

function compareDirection(walk: Walk, direction: Direction, ours: readonly MemberLine[], theirs: readonly MemberLine[]): void {
  const { sides } = walk;
  const add = (name: string, breaks: Breaks, what: string): void => walk.differences.add(breaks, () => ({ direction, member: name, fields: [] }), what);
  const theirNumbers = new Map(theirs.map(({ name, number }) => [name, number]));
  // A name that both have, under another number, is the same member nevertheless.
  const moved = new Set<string>();
  for (const [name, number] of [...new Map(ours.map(({ name, number }) => [name, number]))].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const other = theirNumbers.get(name);
    if (other === undefined || other === number) continue;
    moved.add(name);
    add(name, ALL, `: number ${number} ${sides.ours}, ${other} ${sides.theirs}`);
  }
  const [ourMembers, theirMembers] = [ours, theirs].map((members) => new Map(members.map((member) => [member.number, member]))) as [Map<number, MemberLine>, Map<number, MemberLine>];
  for (const number of numbersOf(ourMembers, theirMembers)) {
    const [our, their] = [ourMembers.get(number), theirMembers.get(number)];
    if (our !== undefined && their !== undefined && !moved.has(our.name) && !moved.has(their.name)) compareMembers(walk, direction, our, their, add);
    else {
      if (our !== undefined && !moved.has(our.name)) add(our.name, NOTHING, ` (${number}): only ${sides.ours}`);
      if (their !== undefined && !moved.has(their.name)) add(their.name, NOTHING, ` (${number}): only ${sides.theirs}`);
    }
  }
}

function compareMembers(walk: Walk, direction: Direction, ours: MemberLine, theirs: MemberLine, add: (name: string, breaks: Breaks, what: string) => void): void {
  const { sides } = walk;
  const { name, number } = ours;
  const both = (our: string, their: string): string => `: ${our} ${sides.ours}, ${their} ${sides.theirs}`;
  if (name !== theirs.name) add(name, NAMES, ` (${number}): named \`${name}\` ${sides.ours}, \`${theirs.name}\` ${sides.theirs}`);
  if (ours.exchange !== theirs.exchange) {
    // A sender may ask for an acknowledgment of any message that is no call, whatever its schema says.
    const isHarmless = [ours, theirs].every(({ exchange }) => exchange === "one-way" || exchange === "acknowledged");
    add(name, isHarmless ? NOTHING : ALL, both(exchangeInWords(ours), exchangeInWords(theirs)));
  } else if (ours.kind !== theirs.kind) add(name, ALL, both(ours.kind, theirs.kind));
  if (ours.payload !== undefined && theirs.payload !== undefined) {
    const match = matchNames(ours.payload, walk.ourTypes, theirs.payload, walk.theirTypes);
    if (typeof match !== "number") walk.visit(match, { direction, member: name });
    else if (match !== NOTHING) add(name, match, both(`type \`${ours.payload}\``, `\`${theirs.payload}\``));
  } else if (ours.payload !== theirs.payload) {
    const [empty, full] = ours.payload === undefined ? [sides.ours, sides.theirs] : [sides.theirs, sides.ours];
    add(name, NOTHING, `: without data ${empty}, a message ${full}`);
  }
}

/** What comes back, as a reader of logs expects it. */
function exchangeInWords({ exchange, answer }: MemberLine): string {
  const [shape, requests, answers] = exchange.split(" ");
  if (shape !== "call") return shape === "answer" ? "the answer of a call" : exchange;
  return `${requests === "stream" ? "a stream of requests" : "a call"} answered by ${answers === "stream" ? "a stream of " : ""}\`${answer}\``;
}
