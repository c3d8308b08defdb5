/**
 * Bytes as text (RFC 4648).
 *
 * @module
 */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3);
    const bits = (a << 16) | (b << 8) | c;
    text += ALPHABET.charAt(bits >> 18) + ALPHABET.charAt((bits >> 12) & 63);
    text += at + 1 < bytes.length ? ALPHABET.charAt((bits >> 6) & 63) : "=";
    text += at + 2 < bytes.length ? ALPHABET.charAt(bits & 63) : "=";
  }
  return text;
}

/** The bytes of base64 of either alphabet, with padding or without; undefined if it is not base64. */
export function fromBase64(text: string): Uint8Array | undefined {
  const digits = text.replace(/={1,2}$/, "");
  if (digits.length % 4 === 1 || (digits !== text && text.length % 4 !== 0)) return undefined;
  const bytes = new Uint8Array((digits.length * 3) >> 2);
  let bits = 0;
  let at = 0;
  for (let index = 0; index < digits.length; index++) {
    const digit = value(digits.charCodeAt(index));
    if (digit < 0) return undefined;
    bits = ((bits << 6) | digit) & 0xff_ffff;
    // Every digit but the first of four completes a byte.
    const left = 6 - 2 * (index & 3);
    if ((index & 3) !== 0) bytes[at++] = (bits >> left) & 0xff;
  }
  return bytes;
}

function value(code: number): number {
  if (code >= 65 && code <= 90) return code - 65;
  if (code >= 97 && code <= 122) return code - 71;
  if (code >= 48 && code <= 57) return code + 4;
  if (code === 43 || code === 45) return 62;
  return code === 47 || code === 95 ? 63 : -1;
}
