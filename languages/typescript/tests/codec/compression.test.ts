/** Compression by `node:zlib`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import zlib from "node:zlib";

import { zlibGzip, zlibZstd } from "../../src/codec/zlib.js";

const TEXT = new TextEncoder().encode("all work and no play ".repeat(500));
const zstd = zlibZstd(zlib as unknown as Parameters<typeof zlibZstd>[0]);
if (zstd === undefined) test("zstd", { skip: `zlib of Node.js ${process.version} has no zstd: it needs 22.15 or newer` }, () => {});

for (const compression of [zlibGzip(zlib), ...(zstd ? [zstd] : [])]) {
  const { name } = compression;
  test(`${name}: what is compressed is inflated`, () => {
    const body = compression.pack(TEXT);
    assert(body.compressed);
    assert.equal(body.bytes[0], compression.id);
    assert(body.bytes.length < 300);
    assert.deepEqual(compression.unpack(body.bytes, TEXT.length), TEXT);
  });

  test(`${name}: inflating stops at the limit`, () => {
    const { bytes } = compression.pack(TEXT);
    assert.throws(() => compression.unpack(bytes, TEXT.length - 1), { code: "RESOURCE_EXHAUSTED" });
    const bomb = compression.pack(new Uint8Array(50_000_000));
    assert.throws(() => compression.unpack(bomb.bytes, 1_000_000), { code: "RESOURCE_EXHAUSTED" });
  });

  test(`${name}: what does not get smaller is sent as it is`, () => {
    const small = new Uint8Array([1, 2, 3]);
    assert.deepEqual(compression.pack(small), { bytes: small, compressed: false });
  });

  test(`${name}: malformed bodies are refused`, () => {
    const { bytes } = compression.pack(TEXT);
    const second = compression.pack(TEXT);
    const joined = new Uint8Array([...bytes, ...second.bytes.subarray(1)]);
    for (const wrong of [new Uint8Array(), new Uint8Array([9, 1]), bytes.subarray(0, bytes.length - 4), bytes.subarray(0, bytes.length >> 1), bytes.subarray(0, 1), new Uint8Array([...bytes, 1, 2, 3]), joined]) {
      assert.throws(() => compression.unpack(wrong, 1_000_000), { code: "INVALID_ARGUMENT" }, String(wrong));
    }
    for (let at = 1; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 1 << at % 8;
      try {
        compression.unpack(flipped, 1_000_000);
      } catch (error) {
        assert.match((error as { code: string }).code, /^(INVALID_ARGUMENT|RESOURCE_EXHAUSTED)$/);
      }
    }
  });
}
