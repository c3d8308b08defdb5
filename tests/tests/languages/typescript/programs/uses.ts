// What the compiler accepts where messages are given, and what it does not.

import type { Init, JsonValue } from "msip/message";
import { Kind, type Jar } from "./tests/pantry_v1.js";

// Everything may be left out, in messages inside of it too; what is undefined is left out.
export const jar: Init<Jar> = {
  s: "x",
  nick: undefined,
  inner: { inner: { kind: Kind.JAM } },
  byName: new Map([["a", { i32: 5 }]]),
  label: { case: "lid", value: {} },
  made: { seconds: 5n },
  value: { any: ["JSON", 1, null] },
  wString: "text",
  numbers: Object.freeze([1n, 2n]),
};

// A whole message may be given too.
export const given = (whole: Jar): Init<Jar> => whole;

// A number that the schema does not know is one of an enum.
export const kind: Kind = 77;

/** A oneof tells by its case which value it has. */
export function labelOf(whole: Jar): string {
  switch (whole.label?.case) {
    case undefined:
      return "";
    case "text":
      return whole.label.value;
    case "picture":
      return String(whole.label.value.length);
    case "lid":
      return String(whole.label.value.turns);
  }
}

export const json: JsonValue | undefined = given({} as Jar).value;

// @ts-expect-error -- a field of 64 bits is a bigint.
export const narrow: Init<Jar> = { i64: 5 };
// @ts-expect-error -- there is no such field.
export const misspelt: Init<Jar> = { nikc: "x" };
// @ts-expect-error -- the case and its value go together.
export const mixed: Init<Jar> = { label: { case: "text", value: new Uint8Array(0) } };
// @ts-expect-error -- a message that was read has every field.
export const partial: Jar = { s: "x" };
