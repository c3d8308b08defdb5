/** The walk over the types of two schemas: each pair of types is compared once. */

import type { Differences } from "./comparison.js";
import type { Direction } from "./description.js";
import type { Breaks, Place, Sides } from "./difference.js";
import type { Types } from "./match.js";

/**
 * How many fields and values are compared. Versions of one schema need as many as both have together, at most; schemas that were made to make
 * this slow could ask for their product.
 */
const MAX_STEPS = 131_072;

/** What leads to a pair of types: a member, or a field of an earlier pair. */
type Origin = { readonly direction: Direction; readonly member: string } | { readonly visit: Visit; readonly field: string };

/** A pair of types in its place. */
export interface Visit {
  readonly pair: readonly [ours: string, theirs: string];
  readonly from: Origin;
}

export class Walk {
  readonly #seen = new Set<string>();
  readonly #visits: Visit[] = [];
  #next = 0;
  #steps = MAX_STEPS;

  constructor(
    readonly ourTypes: Types,
    readonly theirTypes: Types,
    readonly differences: Differences,
  ) {}

  get sides(): Sides {
    return this.differences.sides;
  }

  /** The next pair of types: breadth first, so that a type is compared where the path to it is shortest. */
  next(): Visit | undefined {
    return this.#visits[this.#next++];
  }

  /** Compares a pair of types later, unless it was compared or will be. */
  visit(pair: Visit["pair"], from: Origin): void {
    const key = pair.join(" ");
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#visits.push({ pair, from });
  }

  /** Takes so many steps, if as many are left. */
  takeSteps(count: number): boolean {
    this.#steps -= count;
    return this.#steps >= 0;
  }

  /** Adds a difference of the types of a visit, or of one of their fields. */
  add(visit: Visit, field: string | undefined, breaks: Breaks, what: string): void {
    this.differences.add(breaks, () => placeOf(visit, field), what);
  }
}

function placeOf(visit: Visit, field: string | undefined): Place {
  const fields = field === undefined ? [] : [field];
  let { from } = visit;
  while ("visit" in from) {
    fields.push(from.field);
    from = from.visit.from;
  }
  return { ...from, fields: fields.reverse() };
}

/** The numbers of both, in order. */
export function numbersOf(ours: ReadonlyMap<number, unknown>, theirs: ReadonlyMap<number, unknown>): number[] {
  return [...new Set([...ours.keys(), ...theirs.keys()])].sort((a, b) => a - b);
}
