/** Frames of WebSockets, as clients and servers of Node read and write them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { FrameReader, WebSocketError, binaryFrames, closeFrame, type WebSocketRole } from "../src/node/websocket-frames.js";

/** What a reader makes of these bytes, given in pieces. */
function read(role: WebSocketRole, pieces: Iterable<Uint8Array>): { bytes: Buffer; answers: Uint8Array[]; isClosed: boolean; error?: WebSocketError } {
  const bytes: Uint8Array[] = [];
  const answers: Uint8Array[] = [];
  let isClosed = false;
  const reader = new FrameReader(role, {
    onBytes: (some) => bytes.push(some),
    onAnswer: (frame) => answers.push(frame),
    onClose: () => {
      isClosed = true;
    },
  });
  const result = () => ({ bytes: Buffer.concat(bytes), answers, isClosed });
  try {
    for (const piece of pieces) reader.push(piece, 0);
  } catch (error) {
    assert.ok(error instanceof WebSocketError, String(error));
    return { ...result(), error };
  }
  return result();
}

function* oneByOne(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) yield Uint8Array.of(...bytes.subarray(at, at + 1));
}

/** The vectors of docs/protocol.md, "WebSocket". */
const PAYLOAD = Buffer.from("4d53495001000008000300000000000000000000000000" + "03", "hex");
const FROM_CLIENT = "829837fa213d7aa9686d36fa213537f9213d37fa213d37fa213d37fa213e";

test("a frame of a client is unmasked, whole and byte by byte", () => {
  const frame = Buffer.from(FROM_CLIENT, "hex");
  assert.deepEqual(read("server", [Buffer.from(frame)]).bytes, PAYLOAD);
  assert.deepEqual(read("server", oneByOne(frame)).bytes, PAYLOAD);
});

test("bytes of any length arrive as they were, both ways, in messages of 64 KiB at most", () => {
  for (const role of ["client", "server"] as const) {
    for (const length of [0, 1, 125, 126, 65_535, 65_536, 65_537, 200_000]) {
      const bytes = Buffer.alloc(length, "msip");
      const frames = binaryFrames(role, bytes);
      assert.equal(frames.length, Math.ceil(length / 65_536));
      const found = read(role === "client" ? "server" : "client", frames.map((frame) => Buffer.from(frame)));
      assert.ok(found.bytes.equals(bytes), `${role}, ${length} bytes`);
    }
  }
});

test("fragments of a message are joined, and a control frame between them is answered", () => {
  const found = read("client", [Buffer.from("0201" + "61" + "8901" + "70" + "0001" + "62" + "8001" + "63", "hex")]);
  assert.equal(found.bytes.toString(), "abc");
  assert.equal(found.answers.length, 1);
  // A client's pong is masked at random.
  assert.match(Buffer.from(found.answers[0] ?? []).toString("hex"), /^8a81[0-9a-f]{10}$/);
});

test("a close frame ends it", () => {
  const found = read("client", [closeFrame("server", 1000), Buffer.from("820161", "hex")]);
  assert.ok(found.isClosed);
  assert.equal(found.bytes.length, 0, "nothing is read behind it");
});

test("what breaks the rules ends the connection with a status", () => {
  for (const [name, role, hex, status] of [
    ["a text", "client", "810161", 1003],
    ["a message of 65,537 bytes", "client", "827f0000000000010001", 1009],
    ["a frame of 2^63 - 1 bytes", "client", "827f7fffffffffffffff", 1009],
    ["a reserved bit", "client", "c20161", 1002],
    ["a server that masks", "client", "828100000000", 1002],
    ["a client that does not", "server", "820161", 1002],
    ["a continuation of nothing", "client", "800161", 1002],
    ["a message within a message", "client", "020161820161", 1002],
    ["a ping that is too long", "client", "897e00ff", 1002],
    ["a ping in fragments", "client", "0900", 1002],
    ["an unknown opcode", "client", "830161", 1002],
  ] as const) {
    assert.equal(read(role, [Buffer.from(hex, "hex")]).error?.status, status, name);
  }
  const fragments = [Buffer.from("027effff", "hex"), Buffer.alloc(65_535), Buffer.from("000261", "hex")];
  assert.equal(read("client", fragments).error?.status, 1009, "a message that is too long in fragments");
});

test("frames that carry nothing have an allowance", () => {
  const empty = Buffer.from("8200", "hex");
  assert.equal(read("client", Array.from({ length: 1000 }, () => empty)).error, undefined);
  assert.equal(read("client", Array.from({ length: 1001 }, () => empty)).error?.status, 1008);
});
