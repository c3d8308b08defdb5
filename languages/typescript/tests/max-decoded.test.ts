/** `maxDecoded` bounds what a received message takes in memory; that memory is counted well is tested with generated messages. */

import assert from "node:assert/strict";
import { test } from "node:test";
import zlib from "node:zlib";

import { Bodies } from "../src/connection/bodies.js";
import { protobuf, zlibGzip } from "../src/codec/index.js";
import { TooLargeError, decodeListValue, decodeStruct, encodeListValue, encodeStruct, type Memory } from "../src/message/index.js";
import { parseJson } from "../src/codec/json-text.js";
import { packTree, unpackTree } from "../src/codec/msgpack.js";
import { transport } from "../src/node/index.js";
import { Status, type Member } from "../src/index.js";
import { LAB, LabClient, LabServer, Recorder, handlers } from "./lab.js";

const LIMIT = 64 * 1024;
const LARGE = "x".repeat(2 * LIMIT);

function isTooLarge(code: string, what: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Status, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, new RegExp(`${what} would take more than ${LIMIT} bytes decoded \\(max_decoded\\)`));
    return true;
  };
}

test("a server refuses what is too large, and the connection goes on", async () => {
  const notes = new Recorder<string>();
  const server = await LabServer.listen(`tcp://127.0.0.1:0?max_decoded=${LIMIT}`, {
    ...handlers,
    onNote: (message) => notes.record(message),
    onSave: () => {},
  }, { compressions: [zlibGzip(zlib)] });
  try {
    for (const compress of [undefined, zlibGzip(zlib)]) {
      const client = await LabClient.connect(transport(server.urls[0] ?? ""), { compress });
      await assert.rejects(client.echo(LARGE), isTooLarge("RESOURCE_EXHAUSTED", "echo \\(1\\)"));
      await assert.rejects(client.save(LARGE), isTooLarge("RESOURCE_EXHAUSTED", "save \\(3\\)"));
      await client.note(LARGE);
      await client.note("small");
      assert.equal(await client.join(["a", "b"]), "a b");
      await assert.rejects(client.join(["a", LARGE]), isTooLarge("RESOURCE_EXHAUSTED", "join \\(6\\)"));
      assert.equal(await client.echo("hi"), "hi");
      await client.close();
    }
    assert.deepEqual(notes.all, ["small", "small"]);
  } finally {
    await server.close();
  }
});

test("a client refuses what is too large, and the connection goes on", async () => {
  const asked = new Recorder<unknown>();
  const server = await LabServer.listen("tcp://127.0.0.1:0", {
    ...handlers,
    onEcho: () => LARGE,
    async *onShout() {
      yield "small";
      yield LARGE;
    },
    onNote: async (message, { peer }) => {
      await peer.note(LARGE);
      asked.record(await peer.ask(message).catch((error: unknown) => error));
    },
  });
  try {
    const notes: string[] = [];
    const handler = { onAsk: (request: string) => request, onNote: (message: string) => void notes.push(message) };
    const client = await LabClient.connect(transport(server.urls[0] ?? ""), { maxDecoded: LIMIT, handler });
    await assert.rejects(client.echo("hi"), isTooLarge("INTERNAL", "the answer cannot be read: echoed \\(1\\)"));
    const items = client.shout([]);
    assert.deepEqual(await items.next(), { done: false, value: "small" });
    await assert.rejects(items.next(), isTooLarge("INTERNAL", "the answer cannot be read: shouted \\(4\\)"));
    await client.note(LARGE);
    await client.note("small");
    const [large, small] = await asked.until(2);
    assert.ok(isTooLarge("RESOURCE_EXHAUSTED", "ask \\(6\\)")(large));
    assert.equal(small, "small");
    assert.deepEqual(notes, []);
    await client.close();
  } finally {
    await server.close();
  }
});

test("the default is 16 times the largest body, and at least 64 MiB", () => {
  const limits: number[] = [];
  const message = { name: "lab.Text", encode: () => new Uint8Array(0), decode: (_: Uint8Array, max = Infinity) => limits.push(max) };
  const member: Member = { ...(LAB.clientToServer[0] as Member), message };
  for (const [maxDecoded, maxBody] of [[0, 1024], [0, 2 ** 30], [5000, 2 ** 30]] as const) {
    new Bodies(protobuf.bind(LAB), undefined, { compressThreshold: 1024, maxBody, maxDecoded }).decode(member, new Uint8Array([10, 0]), false);
  }
  assert.deepEqual(limits, [64 * 2 ** 20, 16 * 2 ** 30, 5000]);
});

const memory = (max: number): Memory => ({ used: 0, max });

test("reading ends at the limit, in every form", () => {
  const tree = Array.from({ length: 1000 }, () => ({}));
  const text = JSON.stringify(tree);
  for (const read of [
    (max: number) => parseJson(text, memory(max)),
    (max: number) => parseJson(text.replaceAll("{}", '"a"'), memory(max)),
    (max: number) => parseJson(text.replaceAll("{}", "12345678901234567890"), memory(max)),
    (max: number) => unpackTree(packTree(tree), memory(max)),
    (max: number) => unpackTree(packTree(tree.map(() => "a")), memory(max)),
    (max: number) => unpackTree(packTree(tree.map(() => new Uint8Array(1))), memory(max)),
    (max: number) => unpackTree(packTree(tree.map(() => 2n ** 63n)), memory(max)),
    (max: number) => decodeListValue(encodeListValue(tree), max),
    (max: number) => decodeStruct(encodeStruct({ a: tree }), max),
  ]) {
    assert.throws(() => read(30_000), TooLargeError, String(read));
    assert.doesNotThrow(() => read(400_000), String(read));
  }
});
