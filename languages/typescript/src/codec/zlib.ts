/**
 * Compression by the module `zlib` of Node.js, which is given: nothing here imports it.
 *
 * @module
 */

import { CompressionId } from "../wire/messages.js";
import { compression, oneMember, tooLarge, type Compression } from "./compression.js";

interface Options {
  maxOutputLength: number;
}

/** What is used of `node:zlib`. */
export interface Zlib {
  gzipSync(bytes: Uint8Array, options?: { level: number }): Uint8Array;
  gunzipSync(bytes: Uint8Array, options: Options): Uint8Array<ArrayBuffer>;
  /** Where Node.js has it: since 22.15. */
  zstdCompressSync?(bytes: Uint8Array): Uint8Array;
  zstdDecompressSync?(bytes: Uint8Array, options: Options & { params?: Record<number, number> }): Uint8Array<ArrayBuffer>;
  readonly constants: object;
}

/** What is larger than it may be: the result, or the window of zstd, which is no larger than that has to be. */
const TOO_LARGE = ["ERR_BUFFER_TOO_LARGE", "ZSTD_error_frameParameter_windowTooLarge"];

/** gzip by `node:zlib`. */
export function zlibGzip(zlib: Zlib): Compression {
  return compression({
    id: CompressionId.GZIP,
    name: "gzip",
    compress: (bytes) => zlib.gzipSync(bytes, { level: 6 }),
    inflate: (bytes, max) => oneMember(bytes, inflate((options) => zlib.gunzipSync(bytes, options), max)),
  });
}

/** zstd by `node:zlib`, where it has it. */
export function zlibZstd(zlib: Zlib): Compression | undefined {
  const { zstdCompressSync, zstdDecompressSync } = zlib;
  if (!zstdCompressSync || !zstdDecompressSync) {
    return undefined;
  }
  // A window is at most 8 MiB, and at most the next power of two of what is accepted.
  const windowLog = (zlib.constants as { ZSTD_d_windowLogMax?: number }).ZSTD_d_windowLogMax ?? 100;
  return compression({
    id: CompressionId.ZSTD,
    name: "zstd",
    compress: (bytes) => zstdCompressSync(bytes),
    inflate: (bytes, max) => {
      // Node.js takes what is cut off for the end.
      if (frameLength(bytes) !== bytes.length) {
        throw new Error("not one whole frame");
      }
      const params = { [windowLog]: Math.min(23, Math.max(10, Math.ceil(Math.log2(max)))) };
      return inflate((options) => zstdDecompressSync(bytes, { ...options, params }), max);
    },
  });
}

/** How long the frame of zstd is with which the bytes begin (RFC 8878, 3.1.1): `Infinity` where it does not end. */
function frameLength(bytes: Uint8Array): number {
  const descriptor = bytes[4] ?? 0;
  const isSingleSegment = (descriptor & 32) !== 0;
  const sizeFlag = descriptor >> 6;
  const sizeLength = sizeFlag === 0 && !isSingleSegment ? 0 : 1 << sizeFlag;
  let at = 5 + (isSingleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + sizeLength;
  for (let isLast = false; !isLast; ) {
    const [low, middle, high] = bytes.subarray(at, at + 3);
    if (high === undefined) {
      return Infinity;
    }
    const block = low! | (middle! << 8) | (high << 16);
    isLast = (block & 1) !== 0;
    // A block of one byte that is repeated has that byte alone.
    at += 3 + (((block >> 1) & 3) === 1 ? 1 : block >> 3);
  }
  return at + ((descriptor & 4) !== 0 ? 4 : 0);
}

function inflate(run: (options: Options) => Uint8Array<ArrayBuffer>, max: number): Uint8Array {
  try {
    const { buffer, byteOffset, length } = run({ maxOutputLength: Math.max(1, max) });
    return new Uint8Array(buffer, byteOffset, length);
  } catch (error) {
    throw TOO_LARGE.includes((error as { code?: string }).code ?? "") ? tooLarge(max) : error;
  }
}
