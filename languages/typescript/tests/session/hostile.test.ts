/** Hostile peers: nothing that they send throws, and nothing that they make grow has no limit. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Accepting, ConnectError, endAnswers, everyPart, type Session } from "../../src/session/index.js";
import { OutFrame, Outgoing } from "../../src/session/outgoing.js";
import * as h from "../../src/wire/header.js";
import { writeCredit } from "../../src/wire/credit.js";
import { NOTHING, NO_TOPIC } from "../../src/wire/payload.js";
import { BOTH, CALL, LOG, NOTE, ORDER, Pair, UPLOAD, WATCH, bytes, take } from "./pair.js";
import { Random } from "./world.js";

/** The bytes of frames. */
function raw(...frames: OutFrame[]): Uint8Array {
  const outgoing = new Outgoing();
  for (const frame of frames) outgoing.push(frame, false);
  const parts: Uint8Array[] = [];
  for (let part = outgoing.transmit(); part.length > 0; part = outgoing.transmit()) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

/** A frame of a client. */
function frame(type: number, id: bigint, flags = 0, body = NOTHING, variant = 0, kind = 3): OutFrame {
  return new OutFrame(type, flags, id, body, type === h.PUBLISH || type === h.EVENT ? NO_TOPIC : NOTHING, variant, kind);
}

function isBounded(session: Session): void {
  const { s } = session;
  assert(s.outgoing.cost < 20_000_000, `${s.outgoing.cost} bytes are queued`);
  const calls = s.inboundCalls?.open.size ?? 0;
  assert(calls <= 2048, `${calls} calls are open`);
  assert((s.deliveries?.inbound.size ?? 0) <= 16_384);
  assert(s.starved.size <= 2048);
  assert(s.blockedStreams.size <= 2048);
}

test("random bytes end a connection, and never throw", () => {
  const random = new Random(1);
  for (let round = 0; round < 500; round++) {
    const noise = Uint8Array.from({ length: 1 + random.below(60) }, (_, at) => (at < random.below(9) ? [0x4d, 0x53, 0x49, 0x50, 1, 0, 0, 4, 0][at]! : random.below(256)));
    try {
      new Accepting(0).receive(noise);
    } catch (error) {
      assert(error instanceof ConnectError);
    }
    const pair = new Pair().connect();
    pair.server.receive(noise, pair.now);
    pair.client.receive(noise, pair.now);
    pair.note();
  }
});

test("HELLOs that are cut, changed or longer are refused by name", () => {
  const random = new Random(2);
  const pair = new Pair();
  pair.client.begin(0);
  const hello = pair.client.transmit();
  for (let round = 0; round < 2000; round++) {
    const changed = hello.slice();
    for (let n = 1 + random.below(3); n > 0; n--) changed[random.below(changed.length)]! ^= 1 << random.below(8);
    const accepting = new Accepting(0);
    try {
      accepting.receive(changed);
    } catch (error) {
      assert(error instanceof ConnectError, String(error));
      assert(accepting.refuse(error).length > h.HEADER_LEN);
    }
  }
});

test("traffic that is changed anywhere never throws", () => {
  const random = new Random(3);
  for (let round = 0; round < 60; round++) {
    const pair = new Pair().connect();
    const { client, server } = pair;
    for (let step = 0; step < 30; step++) {
      for (const member of [CALL, WATCH, UPLOAD, BOTH, NOTE, ORDER, LOG]) {
        for (const side of [client, server]) {
          if (!side.canSend(member, 10) || !random.oneIn(2)) continue;
          const metadata = random.oneIn(3) ? { key: "k", headers: new Map([["a", "b"]]) } : undefined;
          if (member.answer) side.call(member, bytes("body"), pair.now, { metadata });
          else side.send(member, bytes("body"), pair.now, { metadata });
        }
      }
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        const written = from.transmit().slice();
        if (written.length > 0 && random.oneIn(3)) written[random.below(written.length)]! ^= 1 << random.below(8);
        to.receive(written, pair.now);
        isBounded(to);
      }
      for (const [side, events] of [
        [client, pair.atClient],
        [server, pair.atServer],
      ] as const) {
        pair.note();
        for (const request of take(events, "request")) {
          if (request.member.responseStream) endAnswers(side, request.id);
          else side.answer(request.id, bytes("answer"));
        }
      }
      pair.now += 10;
    }
  }
});

test("frames with any fields, in any order, never throw", () => {
  const random = new Random(4);
  for (let round = 0; round < 150; round++) {
    const pair = new Pair({}, { maxCalls: 8 }).connect();
    const ids = [0n, 1n, 5n, 9n, h.DELIVERY | 1n, h.DELIVERY | 2n, h.DELIVERY | 9000n, h.ACCEPTING | 1n, h.ACCEPTING | 2n, h.ACCEPTING | h.DELIVERY | 1n, h.SEQUENCE];
    pair.server.call(WATCH, bytes("x"), pair.now);
    pair.server.call(UPLOAD, bytes("x"), pair.now);
    pair.server.call(BOTH, bytes("x"), pair.now);
    pair.server.send(ORDER, bytes("x"), pair.now);
    for (let step = 0; step < 400 && pair.server.phase === "open"; step++) {
      const type = random.pick([h.PUBLISH, h.PUBLISH, h.PUBLISH, h.ACK, h.ERROR, h.CREDIT, h.CANCEL, h.PING, h.PONG, random.below(13)]);
      const body = type === h.CREDIT ? writeCredit(random.below(40), random.below(5000)) : random.oneIn(4) ? NOTHING : Uint8Array.from({ length: random.below(40) }, () => random.below(256));
      const flags = random.oneIn(2) ? random.below(128) : random.pick([0, h.ACK_REQUIRED, h.ACK_REQUIRED | h.MORE, h.ITEM | h.MORE, h.ITEM, h.MORE]);
      pair.server.receive(raw(frame(type, random.pick(ids), flags, body, random.below(12), random.below(7))), pair.now);
      isBounded(pair.server);
      for (let event = pair.server.poll(); event; event = pair.server.poll()) {
        if (event.type === "request" && random.oneIn(2)) pair.server.answer(event.id, bytes("x"));
        else if (event.type === "message" && event.delivery && random.oneIn(2)) pair.server.acknowledge(event.id);
        else if (event.type === "message" || event.type === "requestItem" || event.type === "answerItem") pair.server.finished(event, pair.now);
      }
      if (random.oneIn(3)) pair.server.transmit();
      pair.now += random.below(30);
      pair.server.handleTimeout(pair.now);
    }
  }
});

/** What a server says at the end of a connection on which these bytes come again and again, and nothing is read. */
function endOf(bytes: (n: number) => Uint8Array, most: number, prepare?: (pair: Pair) => void): string {
  const pair = new Pair().connect();
  prepare?.(pair);
  for (let n = 0; n < most && pair.server.phase === "open"; n++) {
    pair.server.receive(bytes(n), pair.now);
    pair.note();
    isBounded(pair.server);
  }
  const [closed] = take(pair.atServer, "closed");
  return closed ? `${closed.status.code}: ${closed.status.message}` : "";
}

test("without allowances a client ignores what leads to nothing", () => {
  const pair = new Pair({}, {}, { ...everyPart, allowances: undefined }).connect();
  const nothing = [frame(h.PONG, 7n), frame(h.PING, 8n), frame(h.ACK, 9n), frame(h.ERROR, 10n), frame(h.CANCEL, 11n), frame(h.CREDIT, 12n, 0, writeCredit(1, 0))];
  for (let round = 0; round < 3000; round++) pair.client.receive(raw(...nothing), pair.now);
  isBounded(pair.client);
  pair.run();
  assert.equal(pair.client.phase, "open");
  pair.client.call(CALL, bytes("still here"), pair.now);
  pair.run();
  assert.equal(take(pair.atServer, "request").length, 1);
});

test("without deliveries a client refuses those of the server, and sends none", () => {
  const pair = new Pair({}, {}, { ...everyPart, deliveries: undefined }).connect();
  pair.server.send(ORDER, bytes("one"), pair.now);
  pair.run();
  assert.deepEqual(take(pair.atServer, "failed").map(({ status }) => status.code), ["UNIMPLEMENTED"]);
  assert.equal(take(pair.atClient, "message").length, 0);
  assert.throws(() => pair.client.send(ORDER, bytes("two"), pair.now), { code: "UNIMPLEMENTED" });
});

test("floods end the connection", () => {
  const unwanted = "RESOURCE_EXHAUSTED: more than 200 unwanted frames a second";
  assert.equal(endOf((n) => raw(frame(h.PING, BigInt(n + 1))), 2100), unwanted);
  assert.equal(endOf((n) => raw(frame(h.PONG, BigInt(n + 1))), 2100), unwanted);
  assert.equal(endOf((n) => raw(frame(h.ACK, BigInt(n + 1))), 2100), unwanted);
  assert.equal(endOf((n) => raw(frame(h.ERROR, BigInt(n + 1))), 2100), unwanted);
  assert.equal(endOf((n) => raw(frame(h.CANCEL, BigInt(n + 1))), 2100), unwanted);
  assert.equal(endOf((n) => raw(frame(h.SUBSCRIBE, BigInt(n + 1), h.ACK_REQUIRED, bytes("t"))), 2100), unwanted);
  assert.equal(endOf((n) => raw(frame(h.PUBLISH, BigInt(n + 1), h.ACK_REQUIRED, bytes("x"), 99, 2)), 2100), unwanted);
  assert.equal(endOf((n) => raw(frame(h.PUBLISH, BigInt(n + 1), h.ACK_REQUIRED, bytes("x"), 1, 2)), 4000), unwanted, "calls beyond those that may be open");
  assert.equal(endOf(() => raw(frame(h.CREDIT, 0n, 0, writeCredit(1, 1))), 2100), "RESOURCE_EXHAUSTED: more than 200 CREDITs beyond one for each message a second");
  assert.equal(endOf(() => raw(frame(h.CLOSE, 0n, 0, bytes("UNAVAILABLE: x"))), 2100), "RESOURCE_EXHAUSTED: more than 200 ERRORs and CLOSEs of a connection a second");
  assert.match(endOf((n) => raw(frame(h.PUBLISH, BigInt(n + 1), 0, bytes("x"), 5, 1)), 2000), /beyond the credit/);
  const repeated = raw(frame(h.PUBLISH, h.DELIVERY | 1n, h.ACK_REQUIRED | h.REDELIVERED, bytes("x"), 6, 1));
  const handled = (pair: Pair): void => {
    pair.server.receive(repeated, pair.now);
    pair.note();
    pair.server.acknowledge(h.DELIVERY | 1n);
  };
  assert.match(endOf(() => repeated, 200_000, handled), /reads nothing/);
});

test("what breaks the protocol ends the connection by name", () => {
  const call = raw(frame(h.PUBLISH, 9n, h.ACK_REQUIRED | h.MORE, NOTHING, 3, 2));
  const cases: [Uint8Array, string][] = [
    [raw(frame(h.HELLO, 9n)), "a second HELLO on one connection"],
    [raw(frame(h.EVENT, 9n)), "EVENT in the wrong direction"],
    [raw(frame(h.PUBLISH, h.ACCEPTING | 9n)), "a message id that only the other side chooses"],
    [raw(frame(h.PUBLISH, 0n, h.ACK_REQUIRED)), "message id 0 on a message that is to be answered"],
    [raw(frame(h.CREDIT, 0n, 0, writeCredit(4_294_967_295, 1))), "a CREDIT that makes the window larger than 4294967295"],
    [raw(frame(h.CREDIT, 0n, 0, writeCredit(0, 0))), "a CREDIT of 0 items and 0 bytes adds nothing"],
    [Uint8Array.from([...call, ...raw(...Array.from({ length: 17 }, () => frame(h.PUBLISH, 9n, h.ITEM | h.MORE, bytes("x"), 3)))]), "an item beyond the credit"],
  ];
  for (const [bytes, text] of cases) assert.match(endOf(() => bytes, 1), new RegExp(text));
});

test("a frame that never ends, and a HELLO of which bytes follow, are given up", () => {
  const pair = new Pair().connect();
  pair.server.receive(raw(frame(h.PUBLISH, 9n, 0, new Uint8Array(100), 5, 1)).subarray(0, 50), pair.now);
  for (let n = 0; n < 40 && pair.server.phase === "open"; n++) {
    pair.now += 1000;
    pair.server.receive(new Uint8Array(1), pair.now);
    const due = pair.server.timeout();
    if (due !== undefined && due <= pair.now) pair.server.handleTimeout(pair.now);
  }
  pair.note();
  assert.equal(take(pair.atServer, "closed")[0]?.status.code, "DEADLINE_EXCEEDED");
  const client = new Pair().client;
  client.begin(0);
  const accepting = new Accepting(0);
  accepting.receive(client.transmit());
  assert.throws(() => accepting.receive(bytes("x")), { code: "FAILED_PRECONDITION" });
});

test("a large announcement takes no memory", () => {
  const pair = new Pair().connect();
  const header = raw(frame(h.PUBLISH, 9n, 0, new Uint8Array(4_000_000), 5, 1)).subarray(0, h.HEADER_LEN + 10);
  const before = process.memoryUsage().arrayBuffers;
  for (let n = 0; n < 20; n++) new Pair().connect().server.receive(header, pair.now);
  assert(process.memoryUsage().arrayBuffers - before < 20_000_000);
});
