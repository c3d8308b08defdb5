/** The call by which a peer asks for the schema. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Member } from "../../src/protocol.js";
import { Accepting, ClientSession, ServerSession, everyPart, type Event, type Session } from "../../src/session/index.js";
import { CALL, Pair, PROTOCOL, take, text } from "./pair.js";

const DESCRIPTION = "msip-description 1\npackage test.v1\n";
const DESCRIBED = { ...PROTOCOL, description: DESCRIPTION };
/** As a caller has it: the variant that no member has. */
const ASK: Member = { ...CALL, name: "describe", number: 65_535, answer: 65_535 };

/** A pair whose client is described, and whose server is not. */
function pair(settings: { maxBody?: number } = {}): Pair {
  const pair = new Pair({}, settings);
  Object.assign(pair, { client: new ClientSession(DESCRIBED, {}, everyPart) });
  return pair.connect();
}

function ask({ now }: Pair, of: Session, run: () => void, events: Event[], topic?: string): Event | undefined {
  of.call(ASK, new Uint8Array(), now, topic === undefined ? {} : { topic });
  run();
  return take(events, "answer")[0] ?? take(events, "failed")[0];
}

test("a side that has a description says so, and is asked four times at most", () => {
  const talk = pair();
  const asked = (): Event | undefined => ask(talk, talk.server, () => talk.run(), talk.atServer);
  for (let time = 0; time < 4; time++) {
    const answer = asked();
    assert(answer?.type === "answer");
    assert.equal(text(answer.body), DESCRIPTION);
  }
  const refused = asked();
  assert(refused?.type === "failed");
  assert.equal(refused.status.message, "the schema was sent 4 times already");
  assert.equal(take(talk.atClient, "request").length, 0, "no handler has seen it");
});

test("a side without one does not answer, and does not say that it would", () => {
  const talk = pair();
  const refused = ask(talk, talk.client, () => talk.run(), talk.atClient);
  assert(refused?.type === "failed");
  assert.equal(refused.status.code, "UNIMPLEMENTED");
  const extensions = (protocol: typeof PROTOCOL): string[] => {
    const client = new ClientSession(protocol, {}, everyPart);
    client.begin(0);
    const hello = new Accepting(0).receive(client.transmit());
    return [...(hello?.extensions?.keys() ?? [])];
  };
  assert.deepEqual(extensions(DESCRIBED), ["ends-cancelled", "error-metadata", "schema-description"]);
  assert.deepEqual(extensions(PROTOCOL), ["ends-cancelled", "error-metadata"]);
});

test("a description that is too large for its reader is not sent", () => {
  const talk = new Pair({}, { maxBody: 20 });
  Object.assign(talk, { client: new ClientSession(DESCRIBED, {}, everyPart) });
  talk.connect();
  const refused = ask(talk, talk.server, () => talk.run(), talk.atServer);
  assert(refused?.type === "failed");
  assert.match(refused.status.message, /a schema of 35 bytes, where the caller accepts 20/);
});

test("frames of no exchange have no flags: HELLO and its answer, PING and PONG", () => {
  const flagsOf = (bytes: Uint8Array): number[] => {
    const flags = [];
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let at = 0; at < bytes.length; at += 24 + view.getUint32(at + 12)) flags.push(view.getUint16(at + 6), view.getUint8(at + 5));
    return flags;
  };
  const client = new ClientSession(PROTOCOL, {}, everyPart);
  client.begin(0);
  const bytes = client.transmit();
  assert.deepEqual(flagsOf(bytes), [1, 0]);
  const hello = new Accepting(0).receive(bytes);
  assert(hello);
  const server = ServerSession.accept(PROTOCOL, {}, hello, { codec: 1 }, 0);
  const welcome = server.transmit();
  assert.deepEqual(flagsOf(welcome), [6, 0]);
  client.receive(welcome, 0);
  client.ping(0);
  const ping = client.transmit();
  assert.deepEqual(flagsOf(ping), [8, 0]);
  server.receive(ping, 0);
  assert.deepEqual(flagsOf(server.transmit()), [9, 0]);
  const due = client.timeout() ?? 0;
  client.receive(new Uint8Array(), due);
  client.handleTimeout(client.timeout() ?? 0);
  assert.deepEqual(flagsOf(client.transmit()), [8, 0], "the one of its own keepalive");
});
