// Random messages of every type of some schemas, both ways between generated code and protobuf-es: in protobuf and in JSON. Then bytes
// and trees that are no messages.
//
// node interop.mjs DESCRIPTORS ROUNDS SEED MODULE...

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { create, createFileRegistry, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { FileDescriptorSetSchema, anyPack } from "@bufbuild/protobuf/wkt";
import { DecodeError, fromJson as fromOurJson, toJson as toOurJson } from "msip/message";

const [descriptors, rounds, seed, ...modules] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));

// A generator whose numbers depend on the seed alone (mulberry32).
let state = Number(seed) >>> 0;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (count) => Math.floor(random() * count);
const one = (list) => list[below(list.length)];

const TEXTS = ["", "ada", "größe", "日本語", "😀 two", "a\u0000b", "\"\\\n", "__proto__", "constructor", "x".repeat(32), "y".repeat(33), "é".repeat(64), "z".repeat(20_000)];

function bits(count, signed) {
  const edges = signed
    ? [0n, -1n, 1n, 127n, 128n, -(2n ** BigInt(count - 1)), 2n ** BigInt(count - 1) - 1n]
    : [0n, 1n, 127n, 128n, 16_384n, 2n ** BigInt(count) - 1n];
  const wild = (BigInt(below(2 ** 32)) << 32n) | BigInt(below(2 ** 32));
  const value = random() < 0.5 ? one(edges) : wild >> BigInt(below(64));
  return signed ? BigInt.asIntN(count, value) : BigInt.asUintN(count, value);
}

// By protobuf's numbers of scalar types.
const SCALARS = {
  1: () => one([0, -0, 1.5, -2.25, 1e300, 5e-324, NaN, Infinity, -Infinity, random()]),
  2: () => one([0, -0, 1.5, -2.25, Math.fround(0.1), Math.fround(3.4e38), NaN, Infinity, -Infinity, Math.fround(random())]),
  3: () => bits(64, true),
  4: () => bits(64, false),
  5: () => Number(bits(32, true)),
  6: () => bits(64, false),
  7: () => Number(bits(32, false)),
  8: () => random() < 0.5,
  9: () => one(TEXTS),
  12: () => Uint8Array.from({ length: one([0, 1, 2, 3, 200]) }, () => below(256)),
  13: () => Number(bits(32, false)),
  15: () => Number(bits(32, true)),
  16: () => bits(64, true),
  17: () => Number(bits(32, true)),
  18: () => bits(64, true),
};

function randomEnum(type) {
  // Numbers that the schema does not know are kept.
  if (type.typeName === "google.protobuf.NullValue") return 0;
  return random() < 0.8 ? one(type.values).number : below(1000) - 500;
}

function randomJson(depth) {
  const kind = below(depth > 3 ? 4 : 6);
  if (kind === 4) return Array.from({ length: below(3) }, () => randomJson(depth + 1));
  if (kind === 5) return Object.fromEntries(Array.from({ length: below(3) }, (_, at) => [`k${at}`, randomJson(depth + 1)]));
  return [null, random() < 0.5, Math.round(random() * 1e6) / 8, one(TEXTS)][kind];
}

function randomMessage(type, depth) {
  const name = type.typeName;
  if (/^google\.protobuf\.(?:Value|Struct|ListValue)$/.test(name)) {
    const json = { Value: () => randomJson(0), Struct: () => ({ a: randomJson(0) }), ListValue: () => [randomJson(0)] };
    return fromJson(type, json[name.slice(16)]());
  }
  const message = create(type);
  if (name === "google.protobuf.Timestamp" || name === "google.protobuf.Duration") {
    const isTime = name.endsWith("p");
    message.seconds = BigInt(isTime ? below(315_537_897_599) - 62_135_596_800 : below(1e9) + 1);
    message.nanos = one([0, 1, 500_000_000, 1_000, 999_999_999]);
    return message;
  }
  if (name === "google.protobuf.FieldMask") {
    message.paths = ["user_name", "a.b_c"].slice(below(3));
    return message;
  }
  if (name === "google.protobuf.Any") {
    const known = [...registry].filter((one) => one.kind === "message" && MODULES_BY_NAME.has(one.typeName));
    if (depth > 2 || known.length === 0) return message;
    const held = one(known);
    return anyPack(held, randomMessage(held, depth + 1));
  }
  const view = reflect(type, message);
  const value = (field) => {
    if (field.message !== undefined) return reflect(field.message, randomMessage(field.message, depth + 1));
    return field.enum !== undefined ? randomEnum(field.enum) : SCALARS[field.scalar]();
  };
  for (const field of type.fields) {
    if (random() < (depth > 2 ? 0.8 : 0.3)) continue;
    if (field.oneof !== undefined && view.oneofCase(field.oneof) !== undefined) continue;
    if (field.fieldKind === "list") {
      const list = view.get(field);
      for (let count = below(4); count > 0; count--) list.add(listItem(field, depth));
    } else if (field.fieldKind === "map") {
      const map = view.get(field);
      for (let count = below(4); count > 0; count--) map.set(SCALARS[field.mapKey](), listItem(field, depth));
    } else if (field.fieldKind !== "message" || depth < 4) {
      view.set(field, value(field));
    }
  }
  return message;
}

function listItem(field, depth) {
  if (field.message === undefined) return field.enum !== undefined ? randomEnum(field.enum) : SCALARS[field.scalar]();
  return reflect(field.message, depth > 3 ? create(field.message) : randomMessage(field.message, depth + 1));
}

/** A tree with some of its values replaced. */
function changed(tree) {
  if (random() < 0.1) return one([null, [], {}, -1, 1e300, "x", true, 0.5]);
  if (Array.isArray(tree)) return tree.map(changed);
  if (typeof tree !== "object" || tree === null) return tree;
  return Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, changed(value)]));
}

const hex = (bytes) => Buffer.from(bytes).toString("hex");

function same(what, ours, theirs) {
  if (ours !== theirs) throw new Error(`${what}:\n ${ours.slice(0, 2000)}\n ${theirs.slice(0, 2000)}`);
}

/** Runs what may throw a DecodeError, and nothing else. */
function decodes(what, run) {
  try {
    run();
    return 1;
  } catch (error) {
    if (error instanceof DecodeError) return 0;
    throw new Error(`${what} threw another error`, { cause: error });
  }
}

const MODULES_BY_NAME = new Map();
for (const path of modules) {
  const module = await import(pathToFileURL(path));
  for (const value of Object.values(module)) {
    if (typeof value === "object" && typeof value.encode === "function") MODULES_BY_NAME.set(value.name, { module, type: value });
  }
}

let messages = 0;
let accepted = 0;
let refused = 0;
for (const [name, { module, type }] of MODULES_BY_NAME) {
  const schema = registry.getMessage(name);
  if (schema === undefined) throw new Error(`no descriptor of ${name}`);
  const fields = Object.values(module).find((value) => value?.name === name && Array.isArray(value.fields));
  const any = [...MODULES_BY_NAME.values()].map((known) => ({
    type: known.type,
    fields: Object.values(known.module).find((value) => value?.name === known.type.name && Array.isArray(value.fields)),
  }));
  for (let round = 0; round < Number(rounds); round++) {
    const original = randomMessage(schema, 0);
    const bytes = toBinary(schema, original);
    const message = type.decode(bytes);
    const again = type.encode(message);
    // Lists are packed where theirs are, which reading does not tell.
    same(`${name} in bytes`, String(again.length), String(bytes.length));
    same(`${name} in protobuf`, hex(toBinary(schema, fromBinary(schema, again))), hex(bytes));

    const json = JSON.stringify(toOurJson(fields, message, { any }));
    const theirs = JSON.stringify(toJson(schema, original, { registry }));
    const read = fromJson(schema, JSON.parse(json), { registry });
    const readByUs = type.encode(fromOurJson(fields, JSON.parse(theirs), { any }));
    const roundTrip = type.encode(fromOurJson(fields, JSON.parse(json), { any }));
    // Minus zero is the one number that their JSON loses.
    const withoutSigns = (bytes) => hex(toBinary(schema, fromJson(schema, JSON.parse(JSON.stringify(toJson(schema, fromBinary(schema, bytes), { registry }))), { registry })));
    same(`${name} from our JSON ${json}`, hex(toBinary(schema, read)), hex(bytes));
    same(`${name} there and back in JSON ${json}`, hex(toBinary(schema, fromBinary(schema, roundTrip))), hex(bytes));
    same(`${name} from their JSON ${theirs}`, withoutSigns(readByUs), withoutSigns(bytes));
    messages++;

    for (let change = 0; change < 4 && bytes.length > 0; change++) {
      const broken = new Uint8Array(bytes);
      if (change === 0) broken[below(broken.length)] = below(256);
      else for (let count = 0; count < change; count++) broken[below(broken.length)] ^= 1 << below(8);
      const cut = change === 3 ? broken.subarray(0, below(broken.length)) : broken;
      const isRead = decodes(`${name} from ${hex(cut)}`, () => type.encode(type.decode(cut)));
      accepted += isRead;
      refused += 1 - isRead;
    }
    const tree = changed(JSON.parse(json));
    decodes(`${name} from ${JSON.stringify(tree)}`, () => fromOurJson(fields, tree, { any }));
  }
}
if (refused === 0 || accepted === 0) throw new Error("broken bytes are all alike");
console.log(`${messages} messages of ${MODULES_BY_NAME.size} types`);
