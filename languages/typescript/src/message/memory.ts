/**
 * What a message takes in memory, counted while it is decoded: two bytes of an empty element become an object of a hundred. What things are
 * counted as is about what V8 takes for them, with what lists grow by.
 *
 * @module
 */

import { TooLargeError } from "./errors.js";

/** What has been taken, and how much may be, in bytes. Adding small integers up costs least. */
export interface Memory {
  used: number;
  readonly max: number;
}

/** An element of a list, besides what it is. */
export const ELEMENT = 16;
/** A message, an entry of a map or an object, unless more is said of it. */
export const OBJECT = 64;
/** What an object gets beyond those that are the same in all objects of its kind. */
export const PROPERTY = 128;
/** A bigint. */
export const BIGINT = 24;
/** A list that is not empty. */
export const LIST = 192;
/** Bytes, besides their content. */
export const BYTES = 200;

/** Takes so many bytes, and throws a {@link TooLargeError} where that is too much. */
export function spend(memory: Memory, bytes: number): void {
  if ((memory.used += bytes) > memory.max) throw new TooLargeError();
}

/** What text of so many bytes or characters is counted as: one character beyond the first 256 makes all others take as much. */
export function textSize(length: number): number {
  return 24 + 2 * length;
}
