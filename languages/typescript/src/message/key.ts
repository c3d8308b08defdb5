import { Reader, skipField, takeFixed32, takeFixed64, takeTag, takeUint64, takeView } from "./reader.js";
import { sha256 } from "./sha256.js";

/** The longest key that is written as it is, in bytes; of a longer one its hash is. */
const MAX_KEY_LEN = 256;

/**
 * The key of a message as text without control characters, different for each value of its field (docs/schema.md, "Keys"). Empty where the
 * field has its default.
 */
export function keyText(encoded: Uint8Array, field: number): string {
  const reader = new Reader(encoded);
  let text = "";
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag >>> 3 !== field) skipField(reader, tag);
    // The last one counts.
    else if ((tag & 7) === 2) text = escaped(takeView(reader, ""));
    else text = String((tag & 7) === 0 ? takeUint64(reader, "") : (tag & 7) === 1 ? takeFixed64(reader, "") : takeFixed32(reader, ""));
  }
  return text;
}

/** Text as it is but for `%` and control characters, which are percent-encoded, and so are bytes that are not UTF-8. */
function escaped(bytes: Uint8Array): string {
  if (bytes.length > MAX_KEY_LEN) return `%sha256:${hex(sha256(bytes), "")}`;
  const whole = decoded(bytes);
  if (whole !== undefined) return escapedText(whole);
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] as number;
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const character = decoded(bytes.subarray(at, at + length));
    text += character === undefined ? hex([first], "%") : escapedText(character);
    at += character === undefined ? 1 : length;
  }
  return text;
}

function escapedText(text: string): string {
  return text.replace(/[%\p{Cc}]/gu, (character) => hex(new TextEncoder().encode(character), "%"));
}

/** Text in UTF-8; nothing where it is something else. */
function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Each byte as two digits behind a mark. */
function hex(bytes: Iterable<number>, mark: string): string {
  return Array.from(bytes, (byte) => mark + byte.toString(16).toUpperCase().padStart(2, "0")).join("");
}
