/** The comparison of schemas: the same as that of Rust, in the same words, and within limits. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { compare } from "../src/schema/compare.js";
import { summary, type Comparison } from "../src/schema/comparison.js";
import type { Description } from "../src/schema/description.js";
import { canonicalForm, fingerprintOf } from "../src/schema/fingerprint.js";
import { LogLimit } from "../src/schema/log-limit.js";
import { Pace } from "../src/schema/pace.js";
import { MAX_DESCRIPTION, readDescription } from "../src/schema/read.js";

const root = process.env["MSIP_ROOT"] ?? process.cwd();

function read(text: string): Description {
  return readDescription(new TextEncoder().encode(text));
}

async function compared(ours: Description, theirs: Description): Promise<Comparison> {
  return compare(ours, theirs, { ours: "before", theirs: "now" }, new Pace());
}

async function hexFingerprint(description: Description): Promise<string> {
  return (await fingerprintOf(description, new Pace())).toString(16).padStart(16, "0");
}

/** What Rust says of two versions of one schema. */
interface Comparisons {
  readonly ours: string;
  readonly fingerprint: string;
  readonly changes: readonly {
    readonly name: string;
    readonly theirs: string;
    readonly fingerprint: string;
    readonly protobuf: boolean;
    readonly names: boolean;
    readonly differences: readonly string[];
  }[];
}

const comparisons = JSON.parse(readFileSync(join(root, "languages/comparisons.json"), "utf8")) as Comparisons;

describe("each change is what it is in Rust", () => {
  const ours = read(comparisons.ours);

  test("a schema does not differ from itself", async () => {
    assert.equal(await hexFingerprint(ours), comparisons.fingerprint);
    assert.equal(summary(await compared(ours, ours)), "nothing differs");
  });

  for (const { name, theirs: text, fingerprint, protobuf, names, differences } of comparisons.changes) {
    test(name, async () => {
      const theirs = read(text);
      assert.equal(await hexFingerprint(theirs), fingerprint);
      const comparison = await compared(ours, theirs);
      assert.deepEqual(comparison.differences.map((difference) => difference.text), differences);
      assert.equal(comparison.breaks, (names ? 1 : 0) + (protobuf ? 2 : 0));
      const reverse = await compared(theirs, ours);
      assert.equal(reverse.count, comparison.count);
      assert.equal(reverse.breaks, comparison.breaks);
    });
  }
});

test("the schema of the page has the canonical form of the page", async () => {
  const page = readFileSync(join(root, "docs/schema.md"), "utf8");
  const vector = (name: string): string => {
    const [, after = ""] = page.split(`<!-- vector: ${name} -->`);
    return /```text\n([^`]*)```/.exec(after)?.[1] ?? "";
  };
  const description = read(vector("description"));
  assert.equal(await canonicalForm(description, new Pace()), vector("canonical form"));
  assert.equal(await hexFingerprint(description), vector("fingerprint").trim());
  const ofNode = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();
  assert.equal(await fingerprintOf(description, new Pace(), ofNode), BigInt(`0x${vector("fingerprint").trim()}`));
});

const HEAD = "msip-description 1\npackage p\nclient-to-server\n1 a EVENT one-way .p.T0\nserver-to-client\ntypes\n";

test("malformed text is refused with its line", () => {
  const members = (line: string): string => `msip-description 1\npackage p\nclient-to-server\n${line}\nserver-to-client\n1 r EVENT answer empty\ntypes\n`;
  const types = (lines: string): string => `${HEAD}${lines}\n`;
  const member = /^line 4: expected a member/;
  const field = /^line 8: expected a field/;
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ["nothing", "", /^line 1: expected `msip-description 1`/],
    ["another version", "msip-description 2\n", /^line 1: /],
    ["no package", "msip-description 1\npackage \n", /^line 2: expected `package`/],
    ["a package with a space", "msip-description 1\npackage a b\n", /^line 2: /],
    ["the end", "msip-description 1\npackage p\nclient-to-server\n", member],
    ["member 0", members("0 a EVENT one-way empty"), member],
    ["member 65536", members("65536 a EVENT one-way empty"), member],
    ["an unknown kind", members("1 a FEAST one-way empty"), member],
    ["an unknown exchange", members("1 a EVENT two-way empty"), member],
    ["a name with a control character", members("1 a\u001b[2J EVENT one-way empty"), member],
    ["a call without its answer", members("1 a COMMAND call single single"), member],
    ["a call with another shape", members("1 a COMMAND call single double 1 empty"), member],
    ["no such answer", members("1 a COMMAND call single single 7 empty"), /^line 7: expected each call's answer to be a member/],
    ["more at the end", members("1 a EVENT one-way empty empty"), member],
    ["members out of order", members("2 a EVENT one-way empty\n1 b EVENT one-way empty"), /^line 5: expected a member/],
    ["an unknown declaration", types("service p.T0"), /^line 7: expected `message` or `enum`/],
    ["a type twice", types("message p.T0\nmessage p.T0"), /^line 8: expected `message`/],
    ["a well-known type", types("message google.protobuf.Any"), /^line 7: /],
    ["an unknown scalar", types("message p.T0\n1 a implicit int128"), field],
    ["an unknown presence", types("message p.T0\n1 a perhaps int32"), field],
    ["a map of messages", types("message p.T0\n1 a map:.p.T0 int32"), field],
    ["fields out of order", types("message p.T0\n2 a implicit int32\n1 b implicit int32"), /^line 9: expected a field/],
    ["a oneof named by a later field", types("message p.T0\n1 a oneof:2 int32"), field],
    ["a name in JSON with a bell", types("message p.T0\n1 a implicit int32 \u0007"), field],
    ["a type that is not there", types("message p.T0\n1 a optional .p.T1"), /^line 9: expected each type/],
    ["a message where an enum is mentioned", types("message p.T0\n1 a implicit enum:.p.T0"), /^line 9: /],
    ["a member whose message is not there", HEAD, /^line 7: expected each type/],
    ["a value without a number", types("enum p.T0\n- A"), /^line 8: expected the number and the name of a value/],
    ["a value beyond 32 bits", types("enum p.T0\n2147483648 A"), /^line 8: /],
  ];
  for (const [name, text, expected] of cases) assert.throws(() => read(text), { name: "RangeError", message: expected }, name);
  assert.throws(() => readDescription(Uint8Array.of(0xff, 0xfe)), { message: "it is not UTF-8" });
});

test("too much is refused before it is kept", () => {
  assert.throws(() => readDescription(new Uint8Array(MAX_DESCRIPTION + 1)), { message: /262145 bytes, where 262144 are allowed/ });
  const many = (count: number, line: (index: number) => string): string => Array.from({ length: count }, (_, index) => line(index)).join("");
  assert.throws(() => read(HEAD + many(5000, (index) => `message p.T${index}\n`)), { message: "more than 4096 types" });
  assert.throws(() => read(`${HEAD}message p.T0\nenum p.T1\n${many(17_000, (index) => `${index} A\n`)}`), { message: "more than 16384 members, fields and values" });
  assert.throws(() => read(`${HEAD}message p.T0\n1 ${"n".repeat(1000)} implicit int32\n`), { message: /^line 8: / });
});

/** Messages that refer to each other in such a way that each could correspond to each. */
function tangle(count: number, step: number): Description {
  let text = HEAD;
  for (let index = 0; index < count; index++) {
    text += `message p.T${index}\n`;
    for (let field = 1; field <= 8; field++) text += `${field} f${field} optional .p.T${(index * step + field) % count}\n`;
  }
  return read(text);
}

test("a tangle is not followed to its end, and others have their turns meanwhile", async () => {
  const [ours, theirs] = [tangle(1000, 3), tangle(999, 7)];
  let turns = 0;
  const ticking = setInterval(() => (turns += 1));
  const comparison = await compared(ours, theirs);
  clearInterval(ticking);
  assert.ok(turns > 0, "nothing else ran");
  assert.ok(comparison.isCutShort);
  assert.match(summary(comparison), /the rest was too complex to be compared$/);
  // With itself it is no more work than it is long.
  const same = await compared(ours, ours);
  assert.ok(!same.isCutShort && same.count === 0);
});

test("types may be nested as deep as they like", async () => {
  const chain = (end: string): Description => {
    const links = Array.from({ length: 4000 }, (_, index) => `message p.T${index}\n1 f optional .p.T${index + 1}\n`);
    return read(`${HEAD}${links.join("")}message p.T4000\n1 f implicit ${end}\n`);
  };
  const comparison = await compared(chain("string"), chain("bytes"));
  assert.equal(comparison.breaks, 3);
  const [difference] = comparison.differences;
  assert.equal(difference?.fields.length, 4001);
  assert.equal(difference?.text, "client-to-server `a`, field `f.f.f.f…f.f.f.f` (1): string before, bytes now [wire-breaking]");
});

test("each version is logged once, and of many a few", () => {
  const limit = new LogLimit();
  assert.equal(limit.mayLog(1n, false, 0), 0);
  assert.equal(limit.mayLog(1n, false, 0), undefined);
  assert.equal(limit.mayLog(1n, true, 0), 0, "it is compared now");
  const logged = Array.from({ length: 98 }, (_, index) => limit.mayLog(BigInt(index + 2), true, 0)).filter((unsaid) => unsaid !== undefined);
  assert.equal(logged.length, 14);
  assert.equal(limit.mayLog(100n, true, 60_000), 84);
});
