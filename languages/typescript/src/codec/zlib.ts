/**
 * Compression by the module `zlib` of Node.js, which is given: nothing here imports it.
 *
 * @module
 */

import { CompressionId } from "../wire/messages.js";
import { compression, oneMember, tooLarge, type Compression } from "./compression.js";

interface Options {
  maxOutputLength: number;
  info: true;
}

/** What is used of `node:zlib`. */
export interface Zlib {
  gzipSync(bytes: Uint8Array, options?: { level: number }): Uint8Array;
  gunzipSync(bytes: Uint8Array, options: Options): unknown;
  /** Where Node.js has it: since 22.15. */
  zstdCompressSync?(bytes: Uint8Array): Uint8Array;
  zstdDecompressSync?(bytes: Uint8Array, options: Options & { params?: Record<number, number> }): unknown;
  readonly constants: object;
}

/** What `gunzipSync` returns with `info`. */
interface Inflated {
  readonly buffer: Uint8Array;
  readonly engine: { readonly bytesWritten: number };
}

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
      const params = { [windowLog]: Math.min(23, Math.max(10, Math.ceil(Math.log2(max)))) };
      return inflate((options) => zstdDecompressSync(bytes, { ...options, params }), max, bytes.length);
    },
  });
}

function inflate(run: (options: Options) => unknown, max: number, consumed?: number): Uint8Array {
  let inflated: Inflated;
  try {
    inflated = run({ maxOutputLength: Math.max(1, max), info: true }) as Inflated;
  } catch (error) {
    throw (error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE" ? tooLarge(max) : error;
  }
  const { buffer, engine } = inflated;
  if (consumed !== undefined && engine.bytesWritten !== consumed) {
    throw new Error("bytes behind the end");
  }
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
