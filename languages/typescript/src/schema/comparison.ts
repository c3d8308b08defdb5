/** The result of a comparison, and one that goes on. */

import { NOTHING, difference, type Breaks, type Difference, type Place, type Sides } from "./difference.js";

/** So many differences are kept; further ones are counted. */
export const MAX_DIFFERENCES = 64;

/** So many are written in one line. */
const MAX_SUMMARY = 8;

/** Everything that differs between two schemas. */
export interface Comparison {
  /** Those that break something, and then the others, each in the order of the first schema: at most {@link MAX_DIFFERENCES}. */
  readonly differences: readonly Difference[];
  /** How many there are, kept or not. */
  readonly count: number;
  /** What they break together. */
  readonly breaks: Breaks;
  /** Whether the two had too little to do with each other to be compared to the end. */
  readonly isCutShort: boolean;
}

/** Gathers differences, and keeps what matters most. */
export class Differences {
  readonly sides: Sides;
  readonly #breaking: Difference[] = [];
  readonly #harmless: Difference[] = [];
  #count = 0;
  #breaks: Breaks = NOTHING;

  constructor(sides: Sides) {
    this.sides = sides;
  }

  /** @param place Is asked for only where the difference is kept. */
  add(breaks: Breaks, place: () => Place, what: string): void {
    this.#count += 1;
    this.#breaks |= breaks;
    const kept = breaks === NOTHING ? this.#harmless : this.#breaking;
    if (kept.length < MAX_DIFFERENCES) kept.push(difference(place(), what, breaks));
  }

  finish(isCutShort: boolean): Comparison {
    const differences = [...this.#breaking, ...this.#harmless].slice(0, MAX_DIFFERENCES);
    return { differences, count: this.#count, breaks: this.#breaks, isCutShort };
  }
}

/** The first differences in one line, and how many more there are. */
export function summary({ differences, count, isCutShort }: Comparison): string {
  const texts = differences.slice(0, MAX_SUMMARY).map(({ text }) => text);
  if (count > texts.length) texts.push(`and ${count - texts.length} more`);
  if (isCutShort) texts.push("the rest was too complex to be compared");
  return texts.join("; ") || "nothing differs";
}
