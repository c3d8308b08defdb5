// What generated messages do with values that do not fit, with bytes and JSON that are no messages, and with what they do not know.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as core from "msip/message";
import * as pantry from "./tests/pantry_v1.js";

const { DecodeError, EncodeError, PackedFloat } = core;
const { createJar, decodeJar, encodeJar, jarFromJson, jarToJson } = pantry;

const bytes = (...parts) => Uint8Array.from(parts.flat());
const utf8 = (text) => [...Buffer.from(text)];
const hex = (bytes) => Buffer.from(bytes).toString("hex");

/** A field of bytes, of text or a message. */
function delimited(number, content) {
  return [...varint((number << 3) | 2), ...varint(content.length), ...content];
}

function varint(value) {
  const bytes = [];
  for (let left = BigInt.asUintN(64, BigInt(value)); ; left >>= 7n) {
    if (left < 0x80n) return [...bytes, Number(left)];
    bytes.push(Number(left & 0x7fn) | 0x80);
  }
}

function encodeError(message, text) {
  assert.throws(() => encodeJar(message), (error) => {
    assert.ok(error instanceof EncodeError, String(error));
    assert.equal(error.message, text);
    return true;
  });
}

function decodeError(input, text) {
  assert.throws(() => decodeJar(input), (error) => {
    assert.ok(error instanceof DecodeError, String(error));
    assert.equal(error.message, text);
    return true;
  }, text);
}

test("what is left out is zero, empty or absent", () => {
  assert.equal(encodeJar({}).length, 0);
  const jar = createJar({ inner: { s: "x" } });
  assert.equal(jar.i64, 0n);
  assert.deepEqual(jar.numbers, []);
  assert.deepEqual(jar.byName, new Map());
  assert.equal("nick" in jar, false);
  assert.equal("label" in jar, false);
  assert.equal(jar.inner.s, "x");
  assert.equal(jar.inner.b, false);
  assert.deepEqual(decodeJar(bytes()), createJar());
  // Undefined is absence too; zero is none where absence is told from it.
  assert.equal(encodeJar({ nick: undefined, s: undefined }).length, 0);
  assert.equal(decodeJar(encodeJar({ nick: "" })).nick, "");
});

test("a value that its field cannot hold is refused with the field and the value", () => {
  for (const [message, text] of [
    [{ i32: 2 ** 31 }, "pantry.v1.Jar.i32: expected a whole number from -2147483648 to 2147483647, found 2147483648"],
    [{ i32: 1.5 }, "pantry.v1.Jar.i32: expected a whole number from -2147483648 to 2147483647, found 1.5"],
    [{ i32: NaN }, "pantry.v1.Jar.i32: expected a whole number from -2147483648 to 2147483647, found NaN"],
    [{ u32: -1 }, "pantry.v1.Jar.u32: expected a whole number from 0 to 4294967295, found -1"],
    [{ i64: 5 }, "pantry.v1.Jar.i64: expected a bigint from -2n ** 63n to 2n ** 63n - 1n, found 5"],
    [{ i64: 2n ** 63n }, "pantry.v1.Jar.i64: expected a bigint from -2n ** 63n to 2n ** 63n - 1n, found 9223372036854775808n"],
    [{ u64: -1n }, "pantry.v1.Jar.u64: expected a bigint from 0n to 2n ** 64n - 1n, found -1n"],
    [{ f: 1e300 }, "pantry.v1.Jar.f: expected a number of at most 3.4028234663852886e38, found 1e+300"],
    [{ d: "1" }, "pantry.v1.Jar.d: expected a number, found \"1\""],
    [{ b: 1 }, "pantry.v1.Jar.b: expected true or false, found 1"],
    [{ s: 7 }, "pantry.v1.Jar.s: expected text, found 7"],
    [{ s: "a\ud800" }, "pantry.v1.Jar.s: text with half of a surrogate pair"],
    [{ s: "\udc00\ud800" }, "pantry.v1.Jar.s: text with half of a surrogate pair"],
    [{ s: "x".repeat(50) + "\ud83d" }, "pantry.v1.Jar.s: text with half of a surrogate pair"],
    [{ content: [1, 2] }, "pantry.v1.Jar.content: expected a Uint8Array, found an array"],
    [{ inner: 5 }, "pantry.v1.Jar.inner: expected a message, found 5"],
    [{ inner: null }, "pantry.v1.Jar.inner: expected a message, found null"],
    [{ inner: { numbers: [1n, 2] } }, "pantry.v1.Jar.numbers: expected a bigint from -2n ** 63n to 2n ** 63n - 1n, found 2"],
    [{ byNumber: new Map([[1n, 1.5]]) }, "pantry.v1.Jar.by_number: expected a whole number from -2147483648 to 2147483647, found 1.5"],
    [{ kind: 2 ** 40 }, "pantry.v1.Jar.kind: expected a whole number from -2147483648 to 2147483647, found 1099511627776"],
    [{ label: { case: "text", value: 5 } }, "pantry.v1.Jar.text: expected text, found 5"],
    [{ wInt64: 1 }, "google.protobuf.Int64Value: expected a bigint from -2n ** 63n to 2n ** 63n - 1n, found 1"],
  ]) {
    encodeError(message, text);
  }
  // What is thrown leaves nothing behind.
  assert.equal(hex(encodeJar({ s: "a" })), "620161");
});

test("numbers at the edges of their types come back", () => {
  for (const jar of [
    { i32: -(2 ** 31), u32: 2 ** 32 - 1, i64: -(2n ** 63n), u64: 2n ** 64n - 1n, s64: -(2n ** 63n) },
    { i32: 2 ** 31 - 1, i64: 2n ** 63n - 1n, s64: 2n ** 63n - 1n, f64: 2n ** 64n - 1n, sf32: -(2 ** 31), sf64: -(2n ** 63n) },
    { d: -0, f: -0 },
    { d: NaN, f: Infinity },
    { i64: 2n ** 32n, u64: 2n ** 35n, s64: 2n ** 31n },
  ]) {
    const back = decodeJar(encodeJar(jar));
    for (const [name, value] of Object.entries(jar)) assert.ok(Object.is(back[name], value), `${name}: ${back[name]}`);
  }
});

test("text of every length comes back, in one to four bytes a character", () => {
  for (const unit of ["a", "é", "日", "😀", "aé日😀"]) {
    for (const count of [1, 5, 10, 11, 12, 13, 16, 31, 32, 33, 42, 43, 63, 64, 127, 128, 5000, 5461, 5462, 16_384]) {
      const s = unit.repeat(count);
      assert.equal(decodeJar(encodeJar({ s })).s, s);
      assert.equal(encodeJar({ s }).length, 1 + varint(Buffer.byteLength(s)).length + Buffer.byteLength(s));
    }
  }
  // A mark of the order of bytes at the start is text.
  assert.equal(decodeJar(encodeJar({ s: "\ufeffa".repeat(9) })).s, "\ufeffa".repeat(9));
});

test("sub-messages of every length come back", () => {
  for (const count of [0, 124, 125, 126, 127, 128, 129, 16_380, 16_381, 16_382, 2_097_150]) {
    const jar = { inner: { inner: { content: new Uint8Array(count).fill(7) } }, s: "behind" };
    const back = decodeJar(encodeJar(jar));
    assert.equal(back.inner.inner.content.length, count);
    assert.equal(back.s, "behind");
  }
});

test("bytes of a message are its own", () => {
  const encoded = Buffer.from(encodeJar({ content: bytes(1, 2, 3) }));
  const around = Buffer.concat([Buffer.from("xx"), encoded, Buffer.from("yy")]);
  const jar = decodeJar(around.subarray(2, -2));
  around.fill(0);
  assert.deepEqual(jar.content, bytes(1, 2, 3));
  const first = encodeJar({ s: "first" });
  encodeJar({ s: "other" });
  assert.equal(decodeJar(first).s, "first");
});

test("the last one wins, sub-messages merge, and both forms of lists are read", () => {
  const text = (s) => delimited(12, utf8(s));
  assert.equal(decodeJar(bytes(text("a"), text("b"))).s, "b");
  const inner = (...fields) => delimited(15, fields.flat());
  const merged = decodeJar(bytes(inner(text("a"), [0x18, 5]), inner([0x18, 6]), inner(delimited(16, [1, 2])), inner([0x80, 1, 3])));
  assert.equal(merged.inner.s, "a");
  assert.equal(merged.inner.i32, 6);
  assert.deepEqual(merged.inner.numbers, [1n, 2n, 3n]);
  // Of a oneof too, as long as no other member comes between.
  const lid = (...content) => delimited(23, content.flat());
  const turns = [0x08, 5];
  assert.equal(decodeJar(bytes(lid(turns), delimited(21, utf8("t")))).label.case, "text");
  assert.equal(decodeJar(bytes(lid(turns), lid())).label.value.turns, 5);
  assert.equal(decodeJar(bytes(lid(turns), delimited(21, []), lid())).label.value.turns, 0);
});

test("entries of maps may lack their parts, and the last of a key wins", () => {
  const entry = (...content) => delimited(17, content.flat());
  const jar = decodeJar(bytes(entry(), entry(delimited(1, utf8("k")), delimited(2, delimited(12, utf8("x")))), entry(delimited(1, utf8("k")))));
  assert.deepEqual([...jar.byName.keys()], ["", "k"]);
  assert.equal(jar.byName.get("k").s, "");
  const strange = { byName: new Map([["__proto__", { s: "p" }], ["constructor", {}]]), extra: JSON.parse("{\"__proto__\": {\"a\": 1}}") };
  const back = decodeJar(encodeJar(strange));
  assert.equal(back.byName.get("__proto__").s, "p");
  assert.deepEqual(Object.keys(back.extra), ["__proto__"]);
  assert.equal(Object.getPrototypeOf(back.extra), Object.prototype);
  const json = JSON.parse(JSON.stringify(jarToJson(back)));
  assert.deepEqual(Object.keys(json.byName), ["__proto__", "constructor"]);
  assert.deepEqual(jarFromJson(json), back);
  assert.equal({}.a, undefined);
});

test("what is not known is kept, in sub-messages too", () => {
  const unknown = [...delimited(1000, [1, 2]), ...varint((1001 << 3) | 0), 5];
  const group = [...varint((1002 << 3) | 3), 0x08, 1, ...varint((1002 << 3) | 4)];
  const input = bytes(unknown, delimited(12, utf8("s")), group, delimited(15, unknown));
  const jar = decodeJar(input);
  assert.deepEqual(jar.$unknown, bytes(unknown, group));
  assert.deepEqual(jar.inner.$unknown, bytes(unknown));
  const again = decodeJar(encodeJar(jar));
  assert.deepEqual(again, jar);
  // The wire type is a part of what is known.
  assert.deepEqual(decodeJar(bytes(0x60, 1)).$unknown, bytes(0x60, 1));
});

test("many fields that are not known cost no more than their bytes", () => {
  const piece = [...varint((1001 << 3) | 0), 5, 0x18, 1];
  const input = new Uint8Array(piece.length * 200_000);
  for (let at = 0; at < input.length; at += piece.length) input.set(piece, at);
  const jar = decodeJar(input);
  assert.equal(jar.i32, 1);
  assert.equal(jar.$unknown.length, 3 * 200_000);
  const inner = delimited(15, piece);
  const many = new Uint8Array(inner.length * 100_000);
  for (let at = 0; at < many.length; at += inner.length) many.set(inner, at);
  assert.equal(decodeJar(many).inner.$unknown.length, 3 * 100_000);
});

test("a hundred messages may be within each other, and no more", () => {
  const nested = (count) => {
    let content = [];
    for (let level = 1; level < count; level++) content = delimited(15, content);
    return bytes(content);
  };
  assert.equal(decodeJar(encodeJar(decodeJar(nested(100)))).s, "");
  assert.throws(() => decodeJar(nested(101)), /^DecodeError: (?:inner\.){99}inner: more than 100 messages within each other$/);
  assert.throws(() => decodeJar(nested(5000)), DecodeError);
  let jar = {};
  for (let level = 1; level < 100; level++) jar = { inner: jar };
  assert.equal(encodeJar(jar).length, nested(100).length);
  encodeError({ inner: jar }, "pantry.v1.Jar.inner: more than 100 messages within each other");
  const ring = {};
  ring.inner = ring;
  encodeError(ring, "pantry.v1.Jar.inner: more than 100 messages within each other");
  const groups = bytes(Array.from({ length: 20_000 }, () => varint((1002 << 3) | 3)).flat());
  decodeError(groups, "field 1002: more than 100 messages within each other");
});

test("malformed bytes are refused with the field", () => {
  for (const [input, text] of [
    [[0x18], "i32: ends too early"],
    [[0x18, 0x80], "i32: ends too early"],
    [[0x18, ...Array(10).fill(0xff), 1], "i32: a number of more than 64 bits"],
    [[0x18, ...Array(9).fill(0xff), 2], "i32: a number of more than 64 bits"],
    [[0x09, 1, 2, 3], "d: ends too early"],
    [[0x62, 5, 0x61], "s: ends too early"],
    [[0x62, 0xff, 0xff, 0xff, 0xff, 0x7f], "s: ends too early"],
    [[0x62, 1, 0xff], "s: text that is not UTF-8"],
    [[0x62, 3, 0xed, 0xa0, 0x80], "s: text that is not UTF-8"],
    [[0x62, 20, ...Array(19).fill(0x61), 0xc3], "s: text that is not UTF-8"],
    [[0x7a, 2, 0x62, 5], "inner.s: ends too early"],
    [[0x82, 1, 1, 0x80], "numbers: ends too early"],
    [[0x00], "invalid tag at byte 0"],
    [[0x62, 0, 0x05], "invalid tag at byte 2"],
    [[0x80, 0x80, 0x80, 0x80, 0x10], "invalid tag at byte 0"],
    [[...varint((1001 << 3) | 6), 1], "field 1001: unknown wire type 6"],
    [varint((1001 << 3) | 4), "field 1001: unknown wire type 4"],
    [[...varint((1001 << 3) | 3), ...varint((1002 << 3) | 4)], "field 1001: the end of another group"],
    [varint((1001 << 3) | 3), "field 1001: ends too early"],
    [delimited(17, [0x0a, 9]), "byName: ends too early"],
    [delimited(36, [0x0a, 1, 0xff]), "wString.value: text that is not UTF-8"],
  ]) {
    decodeError(bytes(input), text);
  }
});

test("numbers that an enum does not know are kept, and names are not", () => {
  const jar = decodeJar(encodeJar({ kind: 77, byNumber: new Map([[1n, -5]]) }));
  assert.equal(jar.kind, 77);
  assert.deepEqual(jarToJson(jar), { kind: 77, byNumber: { 1: -5 } });
  assert.equal(jarFromJson({ kind: "PICKLES" }).kind, pantry.Kind.PICKLES);
  const newer = jarFromJson({ kind: "KETCHUP", byNumber: { 1: "KETCHUP", 2: "JAM" } });
  assert.equal(newer.kind, 0);
  assert.deepEqual(newer.byNumber, new Map([[2n, pantry.Kind.JAM]]));
});

test("JSON is read in every form that docs/codecs.md has", () => {
  for (const [json, expected] of [
    [{ i32: "1e2", u32: 7.0, i64: "9007199254740993", u64: 5 }, { i32: 100, u32: 7, i64: 9007199254740993n, u64: 5n }],
    [{ i32: "-7.0", s64: "12.50e1" }, { i32: -7, s64: 125n }],
    [{ d: "NaN", f: "-Infinity" }, { d: NaN, f: -Infinity }],
    [{ d: "1.5", f: 0.1 }, { d: 1.5, f: Math.fround(0.1) }],
    [{ content: "-_8" }, { content: bytes(0xfb, 0xff) }],
    [{ content: "+/8=" }, { content: bytes(0xfb, 0xff) }],
    [{ "@named": "x" }, { named: "x" }],
    [{ named: "x" }, { named: "x" }],
    [{ by_flag: { true: "t" } }, { byFlag: new Map([[true, "t"]]) }],
    [{ s: null, inner: null, numbers: null }, {}],
    [{ unheard: [{ of: 1 }] }, {}],
    [{ value: null }, { value: null }],
    [{ nothing: null }, {}],
    [{ wString: null, wDouble: 0 }, { wDouble: 0 }],
    [{ made: "2024-02-29T12:00:00.5+01:00" }, { made: { seconds: 1709204400n, nanos: 500_000_000 } }],
    [{ keeps: "-1.5s" }, { keeps: { seconds: -1n, nanos: -500_000_000 } }],
    [{ mask: "userName,a.b" }, { mask: { paths: ["user_name", "a.b"] } }],
    [{ any: { "@type": "type.googleapis.com/google.protobuf.Duration", value: "1s" } }, { any: core.packAny({ name: "google.protobuf.Duration", encode: core.encodeDuration }, { seconds: 1n }) }],
  ]) {
    assert.deepEqual(jarFromJson(json), createJar(expected), JSON.stringify(json));
  }
});

test("JSON that is no message is refused with the path", () => {
  let deep = {};
  for (let level = 0; level < 200; level++) deep = { inner: deep };
  for (const [json, text] of [
    [[], "expected an object, found an array"],
    ["x", "expected an object, found \"x\""],
    [{ s: 1 }, "s: expected text, found 1"],
    [{ s: "\ud800" }, "s: text with half of a surrogate pair"],
    [{ b: "true" }, "b: expected true or false, found \"true\""],
    [{ i32: 1.5 }, "i32: expected a whole number, found 1.5"],
    [{ i32: 2 ** 31 }, "i32: expected a whole number from -2147483648 to 2147483647, found 2147483648"],
    [{ u64: "-1" }, "u64: expected a whole number from 0 to 18446744073709551615, found \"-1\""],
    [{ i32: "" }, "i32: expected a whole number, found \"\""],
    [{ i64: "1e999" }, "i64: expected a whole number from -9223372036854775808 to 9223372036854775807, found \"1e999\""],
    [{ f: 1e300 }, "f: expected a number of 32 bits, found 1e+300"],
    [{ d: "0x10" }, "d: expected a number, found \"0x10\""],
    [{ content: "a" }, "content: expected base64, found \"a\""],
    [{ content: "a$==" }, "content: expected base64, found \"a$==\""],
    [{ kind: true }, "kind: expected a value of its enum, found true"],
    [{ inner: { numbers: [1, "x"] } }, "inner.numbers[1]: expected a whole number, found \"x\""],
    [{ byName: { "a b": { s: 1 } } }, "byName[\"a b\"].s: expected text, found 1"],
    [{ byFlag: { yes: "x" } }, "byFlag[\"yes\"]: expected true or false, found \"yes\""],
    [{ byNumber: { 1: 0, "1.0": 0 } }, "byNumber[\"1.0\"]: occurs twice"],
    [{ numbers: {} }, "numbers: expected an array, found an object"],
    [{ numbers: [null] }, "numbers[0]: expected a whole number, found null"],
    [{ by_name: {}, byName: {} }, "by_name: occurs twice"],
    [{ text: "a", picture: "" }, "picture: another member of its oneof is set too"],
    [{ made: "2024-02-30T12:00:00Z" }, "made: \"2024-02-30T12:00:00Z\" is not a time such as \"2024-02-29T12:00:00Z\""],
    [{ keeps: "1" }, "keeps: \"1\" is not a duration such as \"1.5s\""],
    [{ mask: "user_name" }, "mask: \"user_name\" is not a list of camel case paths"],
    [{ any: { "@type": "x/y.Z" } }, "any: unknown type \"x/y.Z\""],
    [{ any: { "@type": 5 } }, "any: expected the type of an Any, found 5"],
    [deep, `${"inner.".repeat(99)}inner: nested deeper than 100 levels`],
  ]) {
    assert.throws(() => jarFromJson(json), (error) => {
      assert.ok(error instanceof DecodeError, String(error));
      assert.equal(error.message, text);
      return true;
    }, text);
  }
});

test("what JSON has no form for is refused with the field", () => {
  for (const [message, text] of [
    [{ made: { seconds: 253_402_300_800n } }, "google.protobuf.Timestamp: outside of the years 1 to 9999: 253402300800 s and 0 ns"],
    [{ keeps: { seconds: 1n, nanos: -1 } }, "google.protobuf.Duration: of two signs, or more than 10,000 years: 1 s and -1 ns"],
    [{ mask: { paths: ["userName"] } }, "google.protobuf.FieldMask: \"userName\" would not survive camel case"],
    [{ value: NaN }, "google.protobuf.Value: NaN, which JSON does not have"],
    [{ any: { typeUrl: "x/y.Z" } }, "google.protobuf.Any: unknown type \"x/y.Z\""],
    [{ i32: 2 ** 31 }, "pantry.v1.Jar.i32: expected a whole number from -2147483648 to 2147483647, found 2147483648"],
    [{ s: "\ud800" }, "pantry.v1.Jar.s: text with half of a surrogate pair"],
  ]) {
    assert.throws(() => jarToJson(message), (error) => {
      assert.ok(error instanceof EncodeError, String(error));
      assert.equal(error.message, text);
      return true;
    }, text);
  }
});

test("JSON has the fewest digits, and names for what is no number", () => {
  const json = jarToJson({ f: Math.fround(0.1), d: 0.1, i64: -1n, content: bytes(0xfb, 0xff), wInt64: 0n });
  assert.equal(JSON.stringify(json), "{\"d\":0.1,\"f\":0.1,\"i64\":\"-1\",\"content\":\"+/8=\",\"wInt64\":\"0\"}");
  assert.deepEqual(jarToJson({ d: -0, f: Infinity }), { d: "-0", f: "Infinity" });
  assert.ok(Object.is(jarFromJson({ d: "-0" }).d, -0));
});

test("MessagePack's trees have integers, floats and bytes of their own", () => {
  const tree = core.toTree(pantry.Jar_fields, { d: 1, f: 2, i32: 3, i64: 4n, content: bytes(1), wDouble: 5, value: 6 }, "msgpack");
  assert.deepEqual(tree, {
    d: new PackedFloat(1, 64),
    f: new PackedFloat(2, 32),
    i32: 3,
    i64: 4n,
    content: bytes(1),
    wDouble: new PackedFloat(5, 64),
    value: new PackedFloat(6, 64),
  });
  const read = core.fromTree(pantry.Jar_fields, { ...tree, i64: 4, u64: 5.0, d: 1, s64: "7" }, "msgpack");
  assert.deepEqual(read, createJar({ d: 1, f: 2, i32: 3, i64: 4n, u64: 5n, s64: 7n, content: bytes(1), wDouble: 5, value: 6 }));
  assert.throws(() => core.fromTree(pantry.Jar_fields, { content: "AA==" }, "msgpack"), DecodeError);
});

test("times, durations and any", () => {
  const date = new Date("2024-02-29T12:00:00.123Z");
  assert.deepEqual(core.timestampToDate(core.timestampFromDate(date)), date);
  assert.deepEqual(core.timestampFromDate(new Date(-1)), { seconds: -1n, nanos: 999_000_000 });
  assert.throws(() => core.timestampFromDate(new Date(NaN)), EncodeError);
  assert.deepEqual(core.durationFromMs(-1500.25), { seconds: -1n, nanos: -500_250_000 });
  assert.equal(core.durationToMs({ seconds: 2n, nanos: 500_000 }), 2000.5);
  const any = core.packAny(pantry.Note_type, { text: "hello" });
  assert.equal(any.typeUrl, "type.googleapis.com/pantry.v1.Note");
  assert.deepEqual(core.unpackAny(pantry.Note_type, any), { text: "hello" });
  assert.equal(core.unpackAny(pantry.Jar_type, any), undefined);
  const known = { any: pantry.PANTRY_JSON.any() };
  const json = core.toJson(pantry.Jar_fields, { any }, known);
  assert.deepEqual(json, { any: { "@type": "type.googleapis.com/pantry.v1.Note", text: "hello" } });
  assert.deepEqual(core.fromJson(pantry.Jar_fields, json, known), createJar({ any }));
});
