/** One difference of two schemas: where it is, what it is, and what it breaks. */

import type { Direction } from "./description.js";

/** What a difference breaks: bits. JSON and MessagePack carry names, protobuf numbers. */
export const NOTHING = 0;
export const NAMES = 1;
export const PROTOBUF = 2;
export const ALL = NAMES | PROTOBUF;

/** The codecs whose bodies cannot be exchanged any more: see {@link NAMES} and {@link PROTOBUF}. */
export type Breaks = number;

/** How the two schemas are called in texts, such as `on the server` and `on the client`. */
export interface Sides {
  readonly ours: string;
  readonly theirs: string;
}

/** Where a difference is. */
export interface Place {
  /** `undefined` for what concerns the protocol. */
  readonly direction?: Direction;
  readonly member?: string;
  /** The fields that lead from the member's message to the difference; a type of several places is compared in the first of them. */
  readonly fields: readonly string[];
}

/** One difference of two schemas. */
export interface Difference extends Place {
  /** In words: ``client-to-server `say_ind`, field `text` (1): string on the server, bytes on the client [wire-breaking]``. */
  readonly text: string;
  /** Whether bodies in protobuf cannot be exchanged any more. */
  readonly breaksProtobuf: boolean;
  /** Whether bodies in JSON and MessagePack cannot. */
  readonly breaksNames: boolean;
}

/** A difference at this place, of which `what` says what it is. */
export function difference(place: Place, what: string, breaks: Breaks): Difference {
  return {
    ...place,
    text: `${placeInWords(place)}${what} [${breaksInWords(breaks)}]`,
    breaksProtobuf: (breaks & PROTOBUF) !== 0,
    breaksNames: (breaks & NAMES) !== 0,
  };
}

/** What breaks, in words. */
export function breaksInWords(breaks: Breaks): string {
  return ["harmless", "wire-breaking in JSON and MessagePack", "wire-breaking in protobuf", "wire-breaking"][breaks] ?? "";
}

/** How many fields of a path are written at each end, where there are more. */
const PATH_ENDS = 4;

function placeInWords({ direction, member, fields }: Place): string {
  if (direction === undefined) return "the protocol";
  const count = fields.length;
  const path = count <= 2 * PATH_ENDS ? fields.join(".") : `${fields.slice(0, PATH_ENDS).join(".")}…${fields.slice(-PATH_ENDS).join(".")}`;
  return `${direction}${member === undefined ? "" : ` \`${member}\``}${count === 0 ? "" : `, field \`${path}\``}`;
}
