/** MessagePack and JSON as trees, and bodies in all codecs. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseJson } from "../../src/codec/json-text.js";
import { packTree, unpackTree } from "../../src/codec/msgpack.js";
import { protobuf } from "../../src/codec/protobuf.js";
import { PackedFloat, type Tree } from "../../src/message/json/tree.js";
import { Kind, Shape, type Member } from "../../src/protocol.js";
import { PROTOCOL } from "../session/pair.js";
import { Random } from "../session/world.js";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/ /g, ""), "hex"));

const PACKED: [Tree, string][] = [
  [null, "c0"],
  [true, "c3"],
  [false, "c2"],
  [0, "00"],
  [127, "7f"],
  [128, "cc80"],
  [65_535, "cdffff"],
  [65_536, "ce00010000"],
  [4_294_967_296, "cf0000000100000000"],
  [-1, "ff"],
  [-32, "e0"],
  [-33, "d0df"],
  [-129, "d1ff7f"],
  [-32_769, "d2ffff7fff"],
  [-2_147_483_649, "d3ffffffff7fffffff"],
  [18_446_744_073_709_551_615n, "cfffffffffffffffff"],
  [-9_223_372_036_854_775_808n, "d38000000000000000"],
  ["", "a0"],
  ["ü", "a2c3bc"],
  ["x".repeat(32), `d920${"78".repeat(32)}`],
  ["x".repeat(256), `da0100${"78".repeat(256)}`],
  [new Uint8Array([1, 2]), "c4020102"],
  [[1, "a"], "9201a161"],
  [Array.from({ length: 16 }, () => 0), `dc0010${"00".repeat(16)}`],
  [{ a: 1 }, "81a16101"],
];

test("MessagePack is written in its shortest form, and read", () => {
  for (const [tree, bytes] of PACKED) {
    assert.equal(hex(packTree(tree)), bytes);
    assert.deepEqual(unpackTree(unhex(bytes)), tree);
  }
  assert.equal(hex(packTree(new PackedFloat(1.5, 32))), "ca3fc00000");
  assert.equal(hex(packTree(new PackedFloat(1.5, 64))), "cb3ff8000000000000");
  assert.equal(unpackTree(unhex("cb3ff8000000000000")), 1.5);
  const many = Object.fromEntries(Array.from({ length: 70_000 }, (_, n) => [`k${n}`, n]));
  assert.deepEqual(unpackTree(packTree(many)), many);
});

test("names may be anything", () => {
  for (const read of [unpackTree(unhex("81a95f5f70726f746f5f5f01")), parseJson('{"__proto__":1}')]) {
    assert.deepEqual(Object.keys(read as object), ["__proto__"]);
    assert.equal(Object.getPrototypeOf(read), Object.prototype);
  }
  assert.deepEqual(unpackTree(unhex("82 01 02 c3 03")), { 1: 2, true: 3 });
});

test("malformed MessagePack is refused", () => {
  const deep = new Uint8Array(200).fill(0x91);
  for (const bytes of ["", "c1", "c7", "d40000", "a5", "dd ffffffff", "c6 ffffffff", "81", "81c001", "8190 01", "82a16101a16102", "0000", "a1ff"]) {
    assert.throws(() => unpackTree(unhex(bytes)), (error) => error instanceof RangeError || error instanceof TypeError, bytes);
  }
  assert.throws(() => unpackTree(deep), /more than 100/);
});

test("JSON is read as JSON.parse reads it, with whole integers", () => {
  for (const text of ['{"a":[1,-2.5e3,true,false,null,"x\\n\\u00fc\\"",{}],"b":{"c":[]}}', " [ ] ", '"a"', "0", "-0.0", '"\\ud83d\\ude00"', "1e400"]) {
    assert.deepEqual(parseJson(text), JSON.parse(text));
  }
  assert.equal(parseJson("18446744073709551615"), 18_446_744_073_709_551_615n);
  assert.equal((parseJson(`"${"x".repeat(3_000_000)}"`) as string).length, 3_000_000);
  assert.equal((parseJson(`"${"\\n".repeat(1_000_000)}"`) as string).length, 1_000_000);
});

test("malformed JSON is refused", () => {
  for (const text of ["", "{", "[1,]", "[1 2]", "{1:2}", '{"a"}', '{"a":1,}', '{"a":1,"a":2}', "tru", "01", "1.", "+1", ".5", '"\n"', '"\\x"', '"', "1 2", "[".repeat(200), "nul", "NaN"]) {
    assert.throws(() => parseJson(text), RangeError, text);
  }
});

test("any bytes are refused by name, or read", () => {
  const random = new Random(7);
  for (let round = 0; round < 20_000; round++) {
    const bytes = Uint8Array.from({ length: random.below(40) }, () => random.below(256));
    try {
      unpackTree(bytes);
    } catch (error) {
      assert(error instanceof RangeError || error instanceof TypeError, String(error));
    }
  }
});

test("the envelope of protobuf holds the member that its frame names", () => {
  const codec = protobuf.bind(PROTOCOL);
  const message = { name: "test.Text", encode: (bytes: Uint8Array) => bytes, decode: (bytes: Uint8Array) => hex(bytes) };
  const member: Member = { name: "text_ind", number: 20, message, kind: Kind.EVENT, shape: Shape.ONE_WAY };
  for (const len of [0, 1, 127, 128, 20_000]) {
    const bytes = new Uint8Array(len).fill(7);
    assert.equal(codec.decode(member, codec.encode(member, bytes), Infinity), hex(bytes));
  }
  assert.equal(hex(codec.encode({ ...member, message: undefined }, undefined)), "a20100");
  assert.equal(codec.decode({ ...member, message: undefined }, unhex("a20100"), Infinity), undefined);
  assert.equal(codec.decode(member, unhex("a2010105a2010106"), Infinity), "0506", "parts of a message are one");
  assert.equal(codec.decode(member, unhex("0801a2010105"), Infinity), "05", "unknown fields are skipped");
  for (const wrong of ["", "0a00", "a2010205", "a201", "a3", "a0", "ffffffffffffffffffffff", "a201ff"]) {
    assert.throws(() => codec.decode(member, unhex(wrong), Infinity), { code: "INVALID_ARGUMENT" }, wrong);
  }
});
