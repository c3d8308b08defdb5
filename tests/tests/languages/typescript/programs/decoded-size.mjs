// What messages take in memory is counted while they are decoded, and not too low: compared with V8's heap, for which Node.js is run with
// --expose-gc.

import assert from "node:assert/strict";
import { test } from "node:test";
import { json, messagePack } from "msip";
import { TooLargeError, decodeFieldMask, decodeListValue, decodeStruct } from "msip/message";
import * as chat from "./chat/chat.js";
import * as sampler from "./tests/sampler.js";

const COUNT = 4_000;
const MIB = 2 ** 20;

function varint(value) {
  const bytes = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left];
    bytes.push((left % 128) | 128);
  }
}

/** A field that has a length. */
const field = (number, content) => Buffer.from([...varint(number * 8 + 2), ...varint(content.length), ...content]);
const many = (part) => Buffer.concat(Array.from({ length: COUNT }, (_, index) => (typeof part === "function" ? part(index) : part)));
const names = many((index) => field(1, field(1, Buffer.from(`name ${index}`))));
const listOf = (each) => Array.from({ length: COUNT }, (_, index) => each(index));
const kinds = (init) => [sampler.decodeKinds, sampler.encodeKinds(init)];

/** Bodies that take the more memory, the more of their parts there are. */
const BODIES = {
  "empty messages": [chat.decodeWhoRsp, many(field(1, []))],
  "empty messages with a list and bytes": [sampler.decodeChain, many(field(2, []))],
  "messages with a text": [chat.decodeWhoRsp, names],
  "messages inside of each other": [sampler.decodeChain, many(field(2, field(2, field(2, []))))],
  "messages whose lists have one element": [sampler.decodeChain, many(field(2, field(2, [])))],
  texts: [chat.decodeConnectRsp, many((index) => field(2, Buffer.from(`somebody ${index}`)))],
  "one text": [chat.decodeMessageInd, field(2, Buffer.alloc(100_000, "a"))],
  "one text with a character of four bytes": [chat.decodeMessageInd, field(2, Buffer.from(`${"a".repeat(100_000)}🦀`))],
  "small numbers": kinds({ manyInt32: listOf((index) => index % 100) }),
  "numbers of 64 bits": kinds({ manyUint64: listOf((index) => BigInt(index % 100)) }),
  "numbers of 64 bits and a fixed length": kinds({ manySfixed64: listOf((index) => BigInt(index)) }),
  doubles: kinds({ manyDouble: listOf((index) => index + 0.5) }),
  floats: kinds({ manyFloat: listOf((index) => index + 0.5) }),
  "numbers that are not packed": kinds({ looseInt32: listOf((index) => index) }),
  enums: kinds({ manyColor: listOf(() => 5) }),
  "empty bytes": kinds({ manyBytes: listOf(() => new Uint8Array(0)) }),
  "a map of messages": kinds({ bySint64: new Map(listOf((index) => [BigInt(index), {}])) }),
  "a map of texts": kinds({ byInt32: new Map(listOf((index) => [index, ""])) }),
  "messages with an unknown field": [chat.decodeWhoRsp, many(field(1, [0x38, 1]))],
  paths: [decodeFieldMask, many((index) => field(1, Buffer.from(`path.to_${index}`)))],
  "a JSON object": [decodeStruct, many((index) => field(1, [...field(1, Buffer.from(`key ${index}`)), ...field(2, [0x20, 1])]))],
  "JSON objects of one key": [decodeListValue, many((index) => field(1, field(5, field(1, field(1, Buffer.from(`key ${index}`))))))],
  "JSON arrays": [decodeListValue, many(field(1, field(6, [])))],
  "JSON arrays of one element": [decodeListValue, many(field(1, field(6, field(1, []))))],
  "JSON objects": [decodeListValue, many(field(1, field(5, [])))],
};

/** What one of the messages that a function makes takes on the heap, in bytes: of many, so that what V8 does besides makes no difference. */
function taken(make) {
  const copies = 20;
  const all = () => Array.from({ length: copies }, make);
  all();
  globalThis.gc();
  const before = process.memoryUsage();
  const kept = all();
  globalThis.gc();
  const after = process.memoryUsage();
  assert.equal(kept.length, copies);
  return (after.heapUsed - before.heapUsed + (after.external - before.external)) / copies;
}

/** What it is counted as: the least that it may take. */
function counted(decode) {
  let [low, high] = [0, 16 * MIB];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isTooLarge(() => decode(middle))) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isTooLarge(decode) {
  try {
    decode();
    return false;
  } catch (error) {
    assert.ok(error instanceof TooLargeError || error.code === "RESOURCE_EXHAUSTED", String(error));
    return true;
  }
}

for (const [name, [decode, bytes]] of Object.entries(BODIES)) {
  test(`protobuf: ${name}`, () => {
    const real = taken(() => decode(bytes));
    const count = counted((max) => decode(bytes, max));
    assert.ok(count * 1.1 + 2000 > real, `${count} is too little for ${real}`);
    assert.ok(count < 6 * real + 2000, `${count} is too much for ${real}`);
  });
}

const member = sampler.SAMPLER.clientToServer.find(({ name }) => name === "kinds_req");
const wellKnown = sampler.SAMPLER.clientToServer.find(({ name }) => name === "well_known_req");
const TREES = {
  "empty messages": [member, { manyLeaf: listOf(() => ({})) }],
  texts: [member, { manyString: listOf((index) => `text ${index}`) }],
  "numbers of 64 bits": [member, { manyUint64: listOf((index) => 2n ** 60n + BigInt(index)) }],
  "small numbers": [member, { manyInt32: listOf((index) => index % 100) }],
  "empty bytes": [member, { manyBytes: listOf(() => new Uint8Array(0)) }],
  "a map": [member, { byInt32: new Map(listOf((index) => [index, "x"])) }],
  "a JSON object": [wellKnown, { fields: Object.fromEntries(listOf((index) => [`key ${index}`, true])) }],
  "JSON arrays": [wellKnown, { list: listOf(() => []) }],
  "JSON objects": [wellKnown, { list: listOf(() => ({})) }],
  paths: [wellKnown, { mask: { paths: listOf((index) => `path${index}`) } }],
};

for (const codec of [json, messagePack]) {
  const bodies = codec(sampler.SAMPLER_JSON).bind(sampler.SAMPLER);
  for (const [name, [member, message]] of Object.entries(TREES)) {
    test(`${codec.name}: ${name}`, () => {
      const body = bodies.encode(member, message);
      const real = taken(() => bodies.decode(member, body, Infinity));
      const count = counted((max) => bodies.decode(member, body, max));
      assert.ok(count * 1.1 + 2000 > real, `${count} is too little for ${real}`);
      // The tree that the message is made of is counted too.
      assert.ok(count < 12 * real + 2000, `${count} is too much for ${real}`);
    });
  }
}

test("nothing more is decoded once it is too much", () => {
  const bytes = Buffer.concat([many(field(1, [])), field(1, [0x07])]);
  assert.throws(() => chat.decodeWhoRsp(bytes, 10_000), TooLargeError);
  assert.throws(() => chat.decodeWhoRsp(bytes, 100 * MIB), { name: "DecodeError" });
});
