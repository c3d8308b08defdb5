/** Compression, and the order of messages around it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import zlib from "node:zlib";

import type { Compression } from "../../src/codec/compression.js";
import { gzip } from "../../src/codec/gzip.js";
import { InOrder } from "../../src/codec/in-order.js";
import { zlibGzip, zlibZstd } from "../../src/codec/zlib.js";

const TEXT = new TextEncoder().encode("all work and no play ".repeat(500));
const zstd = zlibZstd(zlib as unknown as Parameters<typeof zlibZstd>[0]);
const ALL: Compression[] = [gzip, zlibGzip(zlib), ...(zstd ? [zstd] : [])];

for (const [index, compression] of ALL.entries()) {
  const name = `${compression.name} ${index}`;
  test(`${name}: what is compressed is inflated`, async () => {
    const body = await compression.pack(TEXT);
    assert(body.compressed);
    assert.equal(body.bytes[0], compression.id);
    assert(body.bytes.length < 300);
    assert.deepEqual(await compression.unpack(body.bytes, TEXT.length), TEXT);
  });

  test(`${name}: inflating stops at the limit`, async () => {
    const { bytes } = await compression.pack(TEXT);
    await assert.rejects(async () => compression.unpack(bytes, TEXT.length - 1), { code: "RESOURCE_EXHAUSTED" });
    const bomb = await compression.pack(new Uint8Array(50_000_000));
    await assert.rejects(async () => compression.unpack(bomb.bytes, 1_000_000), { code: "RESOURCE_EXHAUSTED" });
  });

  test(`${name}: what does not get smaller is sent as it is`, async () => {
    const small = new Uint8Array([1, 2, 3]);
    assert.deepEqual(await compression.pack(small), { bytes: small, compressed: false });
  });

  test(`${name}: malformed bodies are refused`, async () => {
    const { bytes } = await compression.pack(TEXT);
    const second = await compression.pack(TEXT);
    const joined = new Uint8Array([...bytes, ...second.bytes.subarray(1)]);
    for (const wrong of [new Uint8Array(), new Uint8Array([9, 1]), bytes.subarray(0, bytes.length - 4), bytes.subarray(0, bytes.length >> 1), bytes.subarray(0, 1), new Uint8Array([...bytes, 1, 2, 3]), joined]) {
      await assert.rejects(async () => compression.unpack(wrong, 1_000_000), { code: "INVALID_ARGUMENT" }, String(wrong));
    }
    for (let at = 1; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at]! ^= 1 << at % 8;
      try {
        await compression.unpack(flipped, 1_000_000);
      } catch (error) {
        assert.match((error as { code: string }).code, /^(INVALID_ARGUMENT|RESOURCE_EXHAUSTED)$/);
      }
    }
  });
}

test("the order of messages holds, whichever is done first", async () => {
  const order = new InOrder();
  const done: string[] = [];
  const wait = (value: string, ms: number, fails = false): Promise<string> =>
    new Promise((resolve, reject) => setTimeout(() => (fails ? reject(new Error(value)) : resolve(value)), ms));
  const note = (value: string): void => void done.push(value);
  const failed = (error: unknown): void => void done.push(`failed ${(error as Error).message}`);
  order.run(() => "a", note, failed);
  assert.deepEqual(done, ["a"], "at once");
  order.run(() => wait("b", 20), note, failed);
  order.run(() => "c", note, failed);
  order.run(() => wait("d", 1, true), note, failed);
  order.run(
    () => {
      throw new Error("e");
    },
    note,
    failed,
  );
  assert(order.isBusy);
  await new Promise<void>((resolve) => order.run(() => wait("f", 1), (value) => resolve(note(value)), failed));
  assert.deepEqual(done, ["a", "b", "c", "failed d", "failed e", "f"]);
  await Promise.resolve();
  await new Promise(setImmediate);
  assert(!order.isBusy);
  order.run(() => "g", note, failed);
  assert.equal(done.at(-1), "g");
});
