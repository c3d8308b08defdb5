/** The vectors and malformed frames of docs/protocol.md, both ways. The repository is where `MSIP_ROOT` says. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { Accepting, ClientSession, ConnectError, ServerSession, everyPart } from "../../src/session/index.js";
import { OutFrame, Outgoing } from "../../src/session/outgoing.js";
import { readCredit, writeCredit } from "../../src/wire/credit.js";
import { Decoder, Frame } from "../../src/wire/decoder.js";
import { Fault, MessageFault } from "../../src/wire/fault.js";
import * as header from "../../src/wire/header.js";
import { readHello, readWelcome, writeHello, writeWelcome } from "../../src/wire/handshake.js";
import { SUBSCRIBE_FIELDS, type Hello, type Identity, type Metadata, type Subscribe, type Welcome } from "../../src/wire/messages.js";
import { NOTHING, prefix, readPayload } from "../../src/wire/payload.js";
import { decode, fromUtf8 } from "../../src/wire/proto.js";
import { readSubscribed, writeSubscribe } from "../../src/wire/subscribe.js";
import { readText, writeText } from "../../src/wire/text.js";
import type { Code } from "../../src/errors.js";
import { PROTOCOL } from "../session/pair.js";

const PAGE = readFileSync(join(process.env["MSIP_ROOT"] ?? ".", "docs/protocol.md"), "utf8");
const OPEN_PAYLOAD = 4_202_755;
const TYPES = ["", "HELLO", "SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH", "EVENT", "ACK", "ERROR", "PING", "PONG", "CLOSE", "CREDIT", "CANCEL"];
const KINDS = ["", "EVENT", "COMMAND", "STATE", "LOG", "METRIC"];
const FLAGS = ["ACK_REQUIRED", "COMPRESSED", "URGENT", "MORE", "META", "ITEM", "REDELIVERED"];
const CODECS = ["CODEC_UNSPECIFIED", "CODEC_PROTOBUF", "CODEC_JSON", "CODEC_MESSAGE_PACK"];
const COMPRESSIONS = ["COMPRESSION_NONE", "COMPRESSION_GZIP", "COMPRESSION_ZSTD", "COMPRESSION_LZ4"];

interface Block {
  readonly name: string;
  readonly fields: ReadonlyMap<string, string>;
  readonly bytes: Uint8Array;
}

function blocks(kind: string): Block[] {
  const found = [...PAGE.matchAll(new RegExp(`^\`\`\`${kind} name=(\\S+)\\n([^]*?)^\`\`\``, "gm"))];
  assert(found.length > 0, `${kind} blocks`);
  return found.map(([, name, text]) => {
    const [head, hex] = text!.split(/^hex:\s/m);
    const fields = new Map([...head!.matchAll(/^([\w.]+): ?(.*)$/gm)].map(([, key, value]) => [key!, value!]));
    return { name: name!, fields, bytes: unhex(hex!) };
  });
}

function unhex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s/g, ""), "hex"));
}

function hex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? NOTHING).toString("hex");
}

/** The frame in bytes that hold one. */
function frameOf(bytes: Uint8Array, maxPayload = OPEN_PAYLOAD): Frame {
  let found: Frame | undefined;
  new Decoder(maxPayload).push(bytes, 0, (frame) => {
    found = frame;
    return true;
  });
  assert(found, "a frame");
  return found;
}

/** The metadata that a vector names. */
function metadataOf(fields: ReadonlyMap<string, string>): Metadata | undefined {
  const named = [...fields].filter(([key]) => key.startsWith("meta."));
  if (named.length === 0) return undefined;
  const metadata: Record<string, unknown> = {};
  const identity: Record<string, unknown> = {};
  for (const [key, value] of named) {
    const name = key.slice(5).replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    if (name === "headers") metadata[name] = new Map([value.split("=") as [string, string]]);
    else if (name === "details") metadata[name] = [{ typeName: value.split("=")[0], value: unhex(value.split("=")[1]!) }];
    else if (name === "cleared") metadata[name] = unhex(value);
    else if (name === "identity.roles") identity["roles"] = value.split(", ");
    else if (name === "identity.user") identity["user"] = value;
    else metadata[name] = /^\d+$/.test(value) ? Number(value) : value === "true" ? true : value;
  }
  if (Object.keys(identity).length > 0) metadata["identity"] = identity as Identity;
  return metadata as Metadata;
}

function handshakeOf(fields: ReadonlyMap<string, string>): Hello & Welcome {
  const message: Record<string, unknown> = {};
  for (const [key, value] of fields) {
    const name = key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    if (["fingerprint", "peerId"].includes(name)) message[name] = BigInt(value);
    else if (["protocol", "clientName", "clientVersion", "serverName", "serverVersion"].includes(name)) message[name] = value;
    else if (["keepaliveMs", "maxBody", "maxOpenCalls"].includes(name)) message[name] = Number(value);
    else if (["credential", "sessionSecret"].includes(name)) message[name] = unhex(value);
    else if (name === "codec") message[name] = CODECS.indexOf(value);
    else if (name === "compression") message[name] = COMPRESSIONS.indexOf(value);
    else if (name === "codecs") message[name] = value.split(", ").map((codec) => CODECS.indexOf(codec));
    else if (name === "compressions") message[name] = value.split(", ").map((compression) => COMPRESSIONS.indexOf(compression));
    else if (name === "awaited") message[name] = value.split(", ").map(BigInt);
    else if (name === "extensions") message[name] = new Map([[value.split("=")[0], unhex(value.split("=")[1] ?? "")]]);
  }
  return message as Hello & Welcome;
}

/** The payload that the fields of a vector say, as what stands before the body, and the body. */
function payloadOf({ fields }: Block, type: string): [prefix: Uint8Array, body: Uint8Array] {
  const body = fields.has("body") ? unhex(fields.get("body")!) : NOTHING;
  switch (type) {
    case "PUBLISH":
    case "EVENT":
      return [prefix(metadataOf(fields), fields.get("topic") ?? "", everyPart), body];
    case "ACK":
      if (fields.has("session_id")) return [NOTHING, writeWelcome(BigInt(fields.get("session_id")!), handshakeOf(fields))];
      return [prefix(metadataOf(fields), undefined, everyPart), body];
    case "HELLO":
      return [NOTHING, writeHello(BigInt(fields.get("session_id")!), handshakeOf(fields))];
    case "ERROR":
      return [prefix(metadataOf(fields), undefined, everyPart), writeText(fields.get("code") as Code, fields.get("message")!)];
    case "CLOSE":
      return [NOTHING, writeText(fields.get("code") as Code, fields.get("message")!)];
    case "CREDIT":
      return [NOTHING, writeCredit(Number(fields.get("items")), Number(fields.get("bytes")))];
    case "PING":
    case "PONG":
      return [NOTHING, unhex(fields.get("data")!)];
    case "SUBSCRIBE":
    case "UNSUBSCRIBE":
      return [NOTHING, writeSubscribe(fields.get("topic")!, subscribeOf(fields))];
    default:
      return [NOTHING, NOTHING];
  }
}

function subscribeOf(fields: ReadonlyMap<string, string>): Subscribe | undefined {
  const named = [...fields].filter(([key]) => key.startsWith("subscribe."));
  if (named.length === 0) return undefined;
  const subscribe: Record<string, unknown> = {};
  const grant: number[] = [];
  for (const [key, value] of named) {
    const name = key.slice(10);
    if (name === "fingerprint") subscribe[name] = BigInt(value);
    else if (name === "by_peer") subscribe["byPeer"] = value === "true";
    else if (name === "schema_rule") subscribe["schemaRule"] = value === "SCHEMA_RULE_STRICT" ? 1 : 0;
    else if (name.startsWith("grant.")) {
      const number = ["", "publish", "subscribe", "request"].indexOf(name.slice(6));
      grant.push((number << 3) | 2, value.length, ...Buffer.from(value));
    } else subscribe[name] = value;
  }
  if (grant.length > 0) subscribe["grant"] = Uint8Array.from(grant);
  return subscribe as Subscribe;
}

for (const block of blocks("vector")) {
  const { name, fields, bytes } = block;
  test(`the vector ${name} is read`, () => {
    const frame = frameOf(bytes);
    assert.equal(TYPES[frame.type], fields.get("frame_type"));
    assert.equal(KINDS[frame.kind], fields.get("kind"));
    assert.equal(frame.variant, Number(fields.get("variant")));
    assert.equal(frame.end - frame.start, Number(fields.get("payload_len")));
    assert.equal(frame.id, BigInt(fields.get("msg_id")!));
    assert.equal(FLAGS.filter((_, bit) => frame.flags & (1 << bit)).join("|") || "none", fields.get("flags"));
    const type = fields.get("frame_type")!;
    const rest = frame.buffer.subarray(frame.start, frame.end);
    if (fields.has("session_id")) {
      const [sessionId, message] = type === "HELLO" ? readHello(frame) : readWelcome(frame);
      assert.equal(sessionId, BigInt(fields.get("session_id")!));
      for (const [key, value] of Object.entries(handshakeOf(fields))) {
        const zero = { boolean: false, number: 0 }[typeof value as string];
        assert.deepEqual((message as Record<string, unknown>)[key] ?? zero, value, key);
      }
    } else if (type === "CLOSE" || type === "ERROR") {
      const payload = type === "ERROR" ? readPayload(frame, 1000, everyPart) : { body: rest, metadata: undefined };
      assert.deepEqual(readText(payload.body), [fields.get("code"), fields.get("message")]);
      assert.deepEqual(payload.metadata, metadataOf(fields));
    } else if (type === "PUBLISH" || type === "EVENT" || type === "ACK") {
      const { metadata, topic, body } = readPayload(frame, 10_000, everyPart);
      assert.deepEqual(metadata, metadataOf(fields));
      assert.equal(topic, fields.get("topic") ?? "");
      if (fields.get("body.message") === "Subscribed") {
        assert.deepEqual(readSubscribed(body), { protocol: fields.get("body.protocol"), fingerprint: BigInt(fields.get("body.fingerprint")!) });
      } else if (!fields.has("body.message")) assert.equal(hex(body), fields.get("body") ?? "");
    } else if (type === "CREDIT") assert.deepEqual(readCredit(frame), [Number(fields.get("items")), Number(fields.get("bytes"))]);
    else if (type === "PING" || type === "PONG") assert.equal(hex(rest), fields.get("data"));
    else if (type.endsWith("SUBSCRIBE")) {
      const len = frame.flags & header.META ? frame.view.getUint16(frame.start) + 2 : 0;
      assert.equal(fromUtf8(rest.subarray(len)), fields.get("topic"));
      if (len > 0) assert.deepEqual(decode<Subscribe>(SUBSCRIBE_FIELDS, rest.subarray(2, len)), subscribeOf(fields));
    } else assert.equal(type, "CANCEL");
  });

  test(`the vector ${name} is written`, () => {
    const frame = frameOf(bytes);
    const [before, said] = payloadOf(block, fields.get("frame_type")!);
    // Messages of the broker's own protocol are not written here.
    const body = fields.has("body.message") ? readPayload(frame, 10_000, everyPart).body : said;
    const outgoing = new Outgoing();
    outgoing.push(new OutFrame(frame.type, frame.flags, frame.id, body, before, frame.variant, frame.kind));
    assert.equal(hex(outgoing.transmit()), hex(bytes));
  });

  test(`the vector ${name} is read in any pieces`, () => {
    const whole = new Uint8Array(2 * bytes.length);
    whole.set(bytes);
    whole.set(bytes, bytes.length);
    for (let cut = 1; cut < bytes.length; cut++) {
      const decoder = new Decoder(OPEN_PAYLOAD);
      const heard: string[] = [];
      for (let at = 0; at < whole.length; at += cut) {
        decoder.push(whole.subarray(at, at + cut), 0, (frame) => {
          heard.push(hex(frame.buffer.subarray(frame.start - header.HEADER_LEN, frame.end)));
          return true;
        });
      }
      assert.deepEqual(heard, [hex(bytes), hex(bytes)], `in pieces of ${cut}`);
    }
  });
}

/** What a server says of these bytes of an open connection. */
function answerTo(bytes: Uint8Array): string {
  const client = new ClientSession(PROTOCOL, {}, everyPart);
  client.begin(0);
  const hello = new Accepting(0).receive(client.transmit())!;
  const server = ServerSession.accept(PROTOCOL, {}, hello, { codec: 1 }, 0);
  server.transmit();
  server.receive(bytes, 0);
  const answer = server.transmit();
  assert(answer.length > 0, "an answer");
  const frame = frameOf(answer.subarray(0, header.HEADER_LEN + new DataView(answer.buffer, answer.byteOffset).getUint32(12)));
  assert.equal(frame.type, header.ERROR);
  return readText(frame.buffer.subarray(frame.start, frame.end))[1];
}

function textOf({ fields, bytes }: Block): string {
  if (fields.get("answers") === "HELLO") {
    const client = new ClientSession(PROTOCOL, {}, everyPart);
    client.begin(0);
    client.transmit();
    client.receive(bytes, 0);
    const event = client.poll();
    assert(event?.type === "closed");
    return event.status.message;
  }
  try {
    const frame = frameOf(bytes, Number(fields.get("max_payload") ?? OPEN_PAYLOAD));
    if (frame.type === header.HELLO) new Accepting(0).receive(bytes);
    else if (frame.type === header.CREDIT) readCredit(frame);
    else if (frame.type !== header.PUBLISH) readPayload(frame, 10_000, everyPart);
    else return answerTo(bytes);
  } catch (error) {
    assert(error instanceof Fault || error instanceof MessageFault || error instanceof ConnectError, String(error));
    return error.message;
  }
  return "";
}

for (const block of blocks("malformed")) {
  test(`the malformed frame ${block.name} is named`, () => {
    assert.equal(textOf(block), block.fields.get("error"));
  });
}
