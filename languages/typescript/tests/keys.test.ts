/** The keys of messages: as text, and in what a session sends. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { Bodies } from "../src/connection/bodies.js";
import { encodeKeyed } from "../src/connection/keyed-body.js";
import { Kind, Shape, type Member } from "../src/protocol.js";
import { keyText } from "../src/message/index.js";
import { sha256 } from "../src/message/sha256.js";
import { transport } from "../src/node/index.js";
import { LabClient, LabServer, Recorder, handlers } from "./lab.js";

/** Field 3 with these bytes, between others. */
function message(bytes: Uint8Array): Uint8Array {
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
  return Uint8Array.of(0x08, 7, 0x1a, ...length, ...bytes, 0x22, 1, 0x61);
}

const text = (text: string): Uint8Array => message(new TextEncoder().encode(text));

test("the text of a key is readable, and different for each value", () => {
  const cases: readonly [string, readonly number[] | Uint8Array, string][] = [
    ["a number", [0x18, 0x96, 0x01], "150"],
    ["a negative one", [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "18446744073709551615"],
    ["a fixed one", [0x1d, 7, 0, 0, 0x80], "2147483655"],
    ["a longer one", [0x19, 0, 1, 0, 0, 0, 0, 0, 0], "256"],
    ["a text", text("van é"), "van é"],
    ["what looks like an escape", text("%0A"), "%250A"],
    ["a control character", text("a\nb"), "a%0Ab"],
    ["one of several bytes", text("\u0085"), "%C2%85"],
    ["a mark of byte order", text("\ufeffa"), "\ufeffa"],
    ["bytes", message(Uint8Array.of(0xff, 0, 0x7a)), "%FF%00z"],
    ["bytes that end early", message(Uint8Array.of(0x61, 0xe2, 0x82)), "a%E2%82"],
    ["text between bytes", message(Uint8Array.of(0xc0, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xed, 0xa0, 0x80)), "%C0€😀%ED%A0%80"],
    ["none", [0x08, 7], ""],
    ["an empty one", text(""), ""],
    ["two, of which the last counts", [0x18, 1, 0x18, 2], "2"],
    ["one behind another field", [0x22, 1, 0x61, 0x0d, 1, 2, 3, 4, 0x18, 9], "9"],
    ["a long one", text("k".repeat(256)), "k".repeat(256)],
    ["a longer one, by its hash", text("k".repeat(257)), `%sha256:${createHash("sha256").update("k".repeat(257)).digest("hex").toUpperCase()}`],
  ];
  for (const [what, encoded, expected] of cases) assert.equal(keyText(Uint8Array.from(encoded), 3), expected, what);
});

test("the hash is SHA-256, whatever the length", () => {
  for (let length = 0; length < 300; length++) {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 31 + length) & 255);
    assert.deepEqual(Buffer.from(sha256(bytes)), createHash("sha256").update(bytes).digest(), `${length} bytes`);
  }
});

test("a message has a key at a topic, and a STATE in queues too", () => {
  const bodies = new Bodies({ encode: () => Uint8Array.of(1), decode: () => undefined }, undefined, { compressThreshold: 1024, maxDecoded: 0, maxBody: 1024 });
  const keyed = (kind: Kind, topic: string, number: number): string | undefined => {
    const member: Member = {
      name: "gauge",
      number: 1,
      kind,
      shape: Shape.ONE_WAY,
      message: { name: "Gauge", encode: (given: number) => (given === 0 ? new Uint8Array(0) : Uint8Array.of(8, given)), decode: () => undefined },
      key: (encoded) => keyText(encoded, 1),
    };
    return encodeKeyed(bodies, member, number, topic).key;
  };
  assert.equal(keyed(Kind.EVENT, "", 5), undefined);
  assert.equal(keyed(Kind.EVENT, "room", 5), "5");
  assert.equal(keyed(Kind.COMMAND, "room", 0), "%default");
  assert.equal(keyed(Kind.STATE, "", 5), "5");
  assert.equal(keyed(Kind.STATE, "room", 0), "", "the STATE without a key");
});

test("in a queue a STATE replaces one of its key, and no other; on a direct connection the key is in the body alone", async () => {
  const heard = new Recorder<string>();
  const server = await LabServer.listen("tcp://127.0.0.1:0", {
    ...handlers,
    onGauge: (message, { metadata }) => heard.record(`${message} ${metadata.key ?? "and no key"}`),
  });
  const client = await LabClient.connect(transport(server.urls[0] ?? ""));
  // More than credit is there for, before anything is read.
  const sent: Promise<void>[] = [];
  for (let value = 0; value < 5000; value++) for (const name of ["oil", "water"]) sent.push(client.gauge(`${name}:${value}`));
  await Promise.all(sent);
  await client.gauge("end:0");
  for (let count = 1; heard.all.at(-1)?.startsWith("end") !== true; count++) await heard.until(count);
  assert(heard.all.length < 10_001, "some were replaced");
  assert.deepEqual(heard.all.slice(-3), ["oil:4999 and no key", "water:4999 and no key", "end:0 and no key"]);
  await client.close();
  await server.close();
});
