/** Messages without a network: how many a second are encoded and decoded, small and large. */

import { deepEqual } from "node:assert/strict";

export const small = {
  user: "ada",
  text: "the analytical engine weaves algebraic patterns",
  room: 7,
  sentAt: 1_700_000_000_123n,
  urgent: true,
};

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** A large message, but for its counts, of which each library has a type of its own. */
export const large = {
  title: "a report",
  lines: numbers(200).map((room) => ({ ...small, room })),
  samples: numbers(500).map((number) => number / 7),
  ids: numbers(500).map((number) => number * 200),
};

export const counts: [string, bigint][] = numbers(100).map((number) => [`key-${number}`, BigInt(number) * 1_000_003n]);

/** How a library encodes and decodes a message that it has made. */
export interface Kind<T> {
  message: T;
  encode(message: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** Measures, and prints. */
export function measure<S, L>(kinds: { small: Kind<S>; large: Kind<L> }): void {
  const seconds = Number(process.argv[2]);
  console.log(JSON.stringify([figures("small", kinds.small, seconds), figures("large", kinds.large, seconds)]));
}

/** What is printed of one message: its length, and how often each thing is done in a second. */
interface Figures {
  message: string;
  bytes: number;
  rates: [string, number][];
}

function figures<T>(name: string, { message, encode, decode }: Kind<T>, seconds: number): Figures {
  const bytes = encode(message);
  deepEqual(decode(bytes), message);
  return {
    message: name,
    bytes: bytes.length,
    rates: [
      ["encode", rate(() => encode(message), seconds)],
      ["decode", rate(() => decode(bytes), seconds)],
    ],
  };
}

/** How many a second, of the fastest of five runs: what is slower is other load on the machine. */
function rate(call: () => unknown, seconds: number): number {
  let count = 1;
  let took = 0;
  while ((took = timed(call, count)) < seconds / 10) count *= 2;
  count = Math.max(1, Math.floor((count * seconds) / 5 / took));
  return count / Math.min(...numbers(5).map(() => timed(call, count)));
}

function timed(call: () => unknown, count: number): number {
  const start = performance.now();
  for (let number = 0; number < count; number += 1) call();
  return (performance.now() - start) / 1000;
}
