/**
 * The text of ERROR and CLOSE: `CODE: message` (docs/protocol.md, "Errors and close").
 *
 * @module
 */

import type { Code } from "../errors.js";
import { utf8 } from "./proto.js";

export const MAX_TEXT = 256;
export const MAX_LONG_TEXT = 4096;

const CODE =
  /^(CANCELLED|UNKNOWN|INVALID_ARGUMENT|DEADLINE_EXCEEDED|NOT_FOUND|ALREADY_EXISTS|PERMISSION_DENIED|RESOURCE_EXHAUSTED|FAILED_PRECONDITION|ABORTED|OUT_OF_RANGE|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS|UNAUTHENTICATED)(?:: ?|$)/;

/** What control characters a topic, an id, a key or a header may not have. */
// eslint-disable-next-line no-control-regex -- these are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** A first control character, as it is named to people. */
export function controlCharacter(text: string): string | undefined {
  const found = CONTROL.exec(text);
  return found ? `U+${found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}` : undefined;
}

/** Reads a text, of which no more than this is read. Never fails. */
export function readText(bytes: Uint8Array, max = MAX_TEXT): [code: Code, message: string] {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, max));
  const found = CODE.exec(text);
  return found ? [found[1] as Code, text.slice(found[0].length)] : ["UNKNOWN", text];
}

/** Writes a text, cut to this length between two characters. */
export function writeText(code: Code, message: string, max = MAX_TEXT): Uint8Array {
  return cut(utf8(`${code}: ${message}`), max);
}

/** The longest beginning of UTF-8 that has so many bytes at most, and ends between two characters. */
export function cut(bytes: Uint8Array, max: number): Uint8Array {
  let end = max;
  while (end > 0 && end < bytes.length && (bytes[end]! & 0xc0) === 0x80) {
    end--;
  }
  return bytes.subarray(0, end);
}
