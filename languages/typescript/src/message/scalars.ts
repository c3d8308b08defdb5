/**
 * What values a field may have.
 *
 * @module
 */

import { EncodeError, shown } from "./errors.js";

/** An error that says what a field does not hold. */
export function refused(field: string, value: unknown, expected: string): EncodeError {
  return new EncodeError(field, `expected ${expected}, found ${shown(value)}`);
}

export function checkInt32(value: number, field: string): void {
  if ((value | 0) !== value) throw refused(field, value, "a whole number from -2147483648 to 2147483647");
}

export function checkUint32(value: number, field: string): void {
  if (value >>> 0 !== value) throw refused(field, value, "a whole number from 0 to 4294967295");
}

export function checkInt64(value: bigint, field: string): void {
  if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) {
    throw refused(field, value, "a bigint from -2n ** 63n to 2n ** 63n - 1n");
  }
}

export function checkUint64(value: bigint, field: string): void {
  if (typeof value !== "bigint" || BigInt.asUintN(64, value) !== value) {
    throw refused(field, value, "a bigint from 0n to 2n ** 64n - 1n");
  }
}

export function checkFloat(value: number, field: string): void {
  checkDouble(value, field);
  if (Number.isFinite(value) && !Number.isFinite(Math.fround(value))) {
    throw refused(field, value, "a number of at most 3.4028234663852886e38");
  }
}

export function checkDouble(value: number, field: string): void {
  if (typeof value !== "number") throw refused(field, value, "a number");
}

export function checkBool(value: boolean, field: string): void {
  if (typeof value !== "boolean") throw refused(field, value, "true or false");
}

export function checkBytes(value: Uint8Array, field: string): void {
  if (!(value instanceof Uint8Array)) throw refused(field, value, "a Uint8Array");
}

/** Text has no half of a surrogate pair, which UTF-8 has no form for. */
export function checkText(value: string, field: string): void {
  if (typeof value !== "string") throw refused(field, value, "text");
  if (!isWellFormed(value)) throw new EncodeError(field, "text with half of a surrogate pair");
}

/** Current engines have it built in. */
const builtIn = (String.prototype as { isWellFormed?: () => boolean }).isWellFormed;

/** Whether text has no half of a surrogate pair. */
export function isWellFormed(text: string): boolean {
  return builtIn === undefined ? !/\p{Surrogate}/u.test(text) : builtIn.call(text);
}
