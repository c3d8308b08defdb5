/** Deadlines, cancel, urgency, kinds under pressure, keepalive, drain, and sessions that are resumed or lost. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Accepting, ServerSession, Status, sendItem, subscribe, unsubscribe } from "../../src/session/index.js";
import { BOTH, CALL, LOG, NOTE, ORDER, PROTOCOL, Pair, STATE, URGENT_CALL, WATCH, bytes, take, text } from "./pair.js";

const CLOSE = new Status("UNAVAILABLE", "the server shuts down");

test("a call ends at its deadline, which travels where it is not the usual one", () => {
  const pair = new Pair().connect();
  const id = pair.client.call(CALL, bytes("x"), pair.now, { timeoutMs: 500 });
  pair.run();
  assert.equal(take(pair.atServer, "request")[0]?.deadline, pair.now + 500);
  pair.wait(499);
  assert.equal(take(pair.atClient, "failed").length, 0);
  pair.wait(1);
  const [failed] = take(pair.atClient, "failed");
  assert.equal(failed?.id, id);
  assert.equal(failed.status.code, "DEADLINE_EXCEEDED");
  assert.equal(pair.client.s.openCalls, 1, "it counts until the peer has ended it");
  pair.server.fail(id, new Status("DEADLINE_EXCEEDED", "too late"));
  pair.run();
  assert.equal(pair.client.s.openCalls, 0);
  assert.equal(take(pair.atClient, "failed").length, 0);
  assert.throws(() => pair.client.call(CALL, bytes("x"), pair.now, { timeoutMs: 0.5 }), { code: "DEADLINE_EXCEEDED" });
});

test("a stream whose deadline has passed is cancelled at the peer", () => {
  const pair = new Pair().connect();
  pair.client.call(WATCH, bytes("x"), pair.now, { timeoutMs: 500 });
  pair.run().wait(500);
  assert.equal(take(pair.atServer, "cancelled").length, 1);
});

test("a call that is given up before it is sent is not sent", () => {
  const pair = new Pair().connect();
  const id = pair.client.call(BOTH, bytes("x"), pair.now);
  sendItem(pair.client, id, bytes("item"), false);
  pair.client.cancel(id, pair.now);
  assert.equal(pair.client.transmit().length, 0);
  assert.equal(pair.client.s.openCalls, 0);
  assert.equal(pair.client.s.outgoing.cost, 0);
});

test("a call that is given up counts until its handler has ended", () => {
  const pair = new Pair().connect();
  const id = pair.client.call(CALL, bytes("x"), pair.now);
  pair.run();
  pair.client.cancel(id, pair.now);
  pair.run();
  assert.deepEqual(take(pair.atServer, "cancelled"), [{ type: "cancelled", id }]);
  assert.equal(pair.client.s.openCalls, 1);
  pair.server.answer(id, bytes("late"));
  pair.run();
  assert.equal(pair.client.s.openCalls, 0);
  assert.deepEqual(pair.atClient.map(({ type }) => type), ["connected"]);
});

test("a call whose CANCEL is read before its handler begins is not started", () => {
  const pair = new Pair().connect();
  const id = pair.client.call(CALL, bytes("x"), pair.now);
  pair.server.receive(pair.client.transmit(), pair.now);
  pair.client.cancel(id, pair.now);
  pair.run();
  assert.deepEqual(pair.atServer.map(({ type }) => type), ["connected"]);
  assert.equal(pair.client.s.openCalls, 0);
});

test("urgent frames overtake others, with half of the bytes", () => {
  const pair = new Pair().connect();
  for (let n = 0; n < 100; n++) pair.client.call(CALL, bytes("x".repeat(10_000)), pair.now);
  for (let n = 0; n < 100; n++) pair.client.call(URGENT_CALL, bytes("x".repeat(10_000)), pair.now);
  const order: boolean[] = [];
  for (let part = pair.client.transmit(); part.length > 0; part = pair.client.transmit()) {
    pair.server.receive(part, pair.now);
    pair.note();
    order.push(...take(pair.atServer, "request").map(({ member }) => member.urgent ?? false));
  }
  assert.equal(order.length, 200);
  assert.equal(order[0], true);
  for (let n = 2; n <= 200; n += 2) assert.equal(order.slice(0, n).filter(Boolean).length, n / 2);
});

test("large bodies are cut, and limits hold exactly", () => {
  const pair = new Pair({ maxBody: 100_000 }, { maxBody: 300_000 }).connect();
  pair.client.call(CALL, new Uint8Array(300_000).fill(7), pair.now);
  for (let part = pair.client.transmit(); part.length > 0; part = pair.client.transmit()) {
    assert(part.length <= 65_536);
    pair.server.receive(part, pair.now);
  }
  pair.note();
  const [request] = take(pair.atServer, "request");
  assert.deepEqual(request!.body, new Uint8Array(300_000).fill(7));
  assert.throws(() => pair.client.call(CALL, new Uint8Array(300_001), pair.now), { code: "RESOURCE_EXHAUSTED" });
  pair.server.answer(request!.id, new Uint8Array(100_001));
  pair.run();
  assert.equal(take(pair.atClient, "failed")[0]?.status.code, "RESOURCE_EXHAUSTED");
});

test("a STATE replaces an older one, and the oldest LOGs are dropped", () => {
  const pair = new Pair({ outgoingQueue: 8_000_000 }).connect();
  const { client } = pair;
  while (client.canSend(NOTE, 1)) client.send(NOTE, bytes("n"), pair.now);
  for (let n = 0; n < 100; n++) client.send(STATE, bytes(`a${n}`), pair.now, { key: "a" });
  for (let n = 0; n < 12; n++) client.send(LOG, bytes(`${n}`.padEnd(100_000)), pair.now);
  client.send(STATE, bytes("b"), pair.now, { key: "b" });
  assert(client.s.droppable!.size < 14);
  assert(client.canSend(LOG, 10));
  pair.run();
  for (const message of take(pair.atServer, "message")) pair.server.finished(message, pair.now);
  pair.run();
  const heard = take(pair.atServer, "message").map(({ body }) => text(body).trim());
  assert.equal(heard[0], "a99");
  assert.equal(heard.at(-1), "b");
  assert.equal(heard.at(-2), "11");
  assert.equal(client.dropped, 99 + 12 - (heard.length - 2));
});

test("an EVENT is not held up by LOGs", () => {
  const pair = new Pair().connect();
  const { client } = pair;
  while (client.canSend(NOTE, 1)) client.send(NOTE, bytes("n"), pair.now);
  for (let n = 0; n < 2000; n++) client.send(LOG, bytes("l"), pair.now);
  assert(!client.canSend(NOTE, 1));
  pair.run();
  for (const message of take(pair.atServer, "message").slice(0, 512)) pair.server.finished(message, pair.now);
  pair.run();
  assert.equal(client.dropped, 2000);
  assert.equal(take(pair.atClient, "writable").length, 1);
  assert(client.canSend(NOTE, 1));
});

test("a peer is pinged, and dead after two intervals of silence", () => {
  const pair = new Pair().connect();
  for (let n = 0; n < 100; n++) pair.wait(1000);
  assert.equal(pair.client.phase, "open");
  assert.deepEqual(pair.atServer.map(({ type }) => type), ["connected"]);
  pair.now += 10_000;
  pair.client.handleTimeout(pair.now);
  assert(pair.client.transmit().length > 0);
  pair.now += 10_000;
  pair.client.handleTimeout(pair.now);
  pair.note();
  assert.match(take(pair.atClient, "lost")[0]!.status.message, /dead/);
  assert.equal(pair.client.phase, "suspended");
  assert(pair.client.isFinished);
});

test("a process that was suspended asks before it gives up", () => {
  const pair = new Pair().connect();
  pair.wait(3_600_000);
  assert.equal(pair.client.phase, "open");
  pair.wait(10_000);
  assert.equal(pair.client.phase, "open");
});

test("a drain lets open calls finish, and refuses new ones by name", () => {
  const pair = new Pair().connect();
  const open = pair.client.call(CALL, bytes("open"), pair.now);
  pair.run();
  pair.server.close(CLOSE, pair.now);
  const late = pair.client.call(CALL, bytes("late"), pair.now);
  const order = pair.client.send(ORDER, bytes("late"), pair.now);
  pair.client.send(NOTE, bytes("late"), pair.now);
  pair.server.receive(pair.client.transmit(), pair.now);
  pair.run();
  assert.equal(take(pair.atClient, "draining")[0]?.status.message, CLOSE.message);
  const failed = take(pair.atClient, "failed");
  assert.deepEqual(failed.map(({ id, status, repeatable }) => [id, status.code, repeatable]), [
    [late, "UNAVAILABLE", true],
    [order, "UNAVAILABLE", true],
  ]);
  assert.equal(take(pair.atServer, "message").length, 1, "a one-way message is still accepted");
  assert.throws(() => pair.client.call(CALL, bytes("x"), pair.now), { code: "UNAVAILABLE" });
  assert(!pair.client.canSend(NOTE, 1));
  assert(!pair.client.isFinished);
  pair.server.answer(open, bytes("done"));
  pair.run();
  assert.equal(take(pair.atClient, "answer").length, 1);
  assert(pair.client.isFinished);
  assert(!pair.server.isFinished);
  pair.wait(500);
  assert(pair.server.isFinished);
  pair.cut();
  assert.equal(pair.client.phase, "over");
  assert.equal(pair.server.phase, "over");
});

test("a drain ends streams after a while, and all else in the end", () => {
  const pair = new Pair().connect();
  pair.client.call(WATCH, bytes("x"), pair.now);
  pair.server.call(WATCH, bytes("x"), pair.now);
  pair.client.call(CALL, bytes("x"), pair.now, { timeoutMs: Infinity });
  pair.run();
  pair.server.close(CLOSE, pair.now);
  pair.run().wait(250);
  assert.deepEqual(take(pair.atClient, "failed").map(({ status }) => status.message), ["the server shuts down: the stream was ended"]);
  assert.equal(take(pair.atServer, "cancelled").length, 1);
  assert.equal(take(pair.atClient, "cancelled").length, 1);
  assert.equal(take(pair.atServer, "failed").length, 1);
  for (let n = 0; n < 30; n++) pair.wait(1000);
  assert.equal(pair.server.phase, "over");
  assert.equal(take(pair.atServer, "closed").length, 1);
});

test("a handler's own words are not taken for the session's", () => {
  const pair = new Pair().connect();
  const id = pair.client.call(CALL, bytes("x"), pair.now);
  pair.run();
  pair.server.fail(id, new Status("UNAVAILABLE", "not accepted"));
  pair.server.close(CLOSE, pair.now);
  pair.run();
  const [failed] = take(pair.atClient, "failed");
  assert.equal(failed?.repeatable, false);
  assert.equal(failed.status.message, "not accepted, says the handler");
});

test("after a resume each call has its fate, and each delivery is handled once", () => {
  const pair = new Pair().connect();
  const { client, server } = pair;
  const running = client.call(CALL, bytes("running"), pair.now);
  const kept = client.call(CALL, bytes("kept"), pair.now);
  const lost = client.call(CALL, bytes("reply lost"), pair.now);
  const handled = client.send(ORDER, bytes("handled"), pair.now);
  const failed = client.send(ORDER, bytes("failed"), pair.now);
  const stream = client.call(WATCH, bytes("stream"), pair.now);
  pair.run();
  const never = client.call(CALL, bytes("not received"), pair.now);
  client.transmit();
  const unsent = client.call(CALL, bytes("unsent"), pair.now);
  const order = client.send(ORDER, bytes("unsent"), pair.now);
  server.answer(lost, bytes("lost"));
  server.acknowledge(handled);
  server.fail(failed, new Status("ABORTED", "no"));
  server.transmit();
  pair.cut();
  server.answer(kept, bytes("kept"));
  assert.deepEqual(take(pair.atClient, "failed").map(({ id, status }) => [id, status.code]), [[stream, "UNKNOWN"]]);
  assert.deepEqual(take(pair.atServer, "cancelled"), [{ type: "cancelled", id: stream }]);
  assert.equal(client.phase, "suspended");
  assert(!client.canSend(CALL, 1));
  assert.throws(() => client.call(CALL, bytes("x"), pair.now), { code: "UNAVAILABLE" });
  pair.wait(1000).connect();
  assert.deepEqual(take(pair.atClient, "connected").map(({ resumed }) => resumed), [false, true]);
  assert.deepEqual(take(pair.atClient, "answer").map(({ id, body }) => [id, text(body)]), [[kept, "kept"]]);
  const fates = take(pair.atClient, "failed").map(({ id, status, repeatable }) => [id, status.code, status.message, repeatable]);
  assert.deepEqual(fates, [
    [lost, "UNKNOWN", "reply lost", false],
    [never, "UNAVAILABLE", "not received", true],
    [failed, "ABORTED", "failed earlier", false],
  ]);
  assert.deepEqual(take(pair.atClient, "acknowledged"), [{ type: "acknowledged", id: handled }]);
  assert.deepEqual(take(pair.atServer, "message").map(({ body }) => text(body)), ["handled", "failed", "unsent"]);
  assert.deepEqual(take(pair.atServer, "request").map(({ body }) => text(body)), ["running", "kept", "reply lost", "stream", "unsent"]);
  server.answer(running, bytes("1"));
  server.answer(unsent, bytes("2"));
  server.acknowledge(order);
  pair.run();
  assert.deepEqual(take(pair.atClient, "answer").map(({ id }) => id), [running, unsent]);
  assert.equal(take(pair.atClient, "acknowledged").length, 1);
});

test("a session that is lost is told, and another begins", () => {
  const pair = new Pair().connect();
  const sent = pair.client.call(CALL, bytes("sent"), pair.now);
  pair.run();
  const unsent = pair.client.call(CALL, bytes("unsent"), pair.now);
  pair.client.lost(pair.now);
  pair.server = undefined as unknown as ServerSession;
  pair.connect();
  assert.deepEqual(take(pair.atClient, "failed").map(({ id, status, repeatable }) => [id, status.code, repeatable]), [
    [sent, "UNKNOWN", false],
    [unsent, "UNAVAILABLE", true],
  ]);
  assert.deepEqual(take(pair.atClient, "connected").map(({ resumed }) => resumed), [false, false]);
  pair.client.call(CALL, bytes("again"), pair.now);
  pair.run();
  assert.equal(text(take(pair.atServer, "request").at(-1)!.body), "again");
});

test("a session expires without a connection", () => {
  const pair = new Pair({}, { sessionExpiryMs: 1000 }).connect();
  pair.client.call(CALL, bytes("x"), pair.now);
  pair.run();
  pair.cut();
  pair.wait(1000);
  assert.equal(take(pair.atClient, "failed").length, 1);
  assert.equal(take(pair.atServer, "cancelled").length, 1);
  assert.equal(pair.client.phase, "over");
  assert.equal(pair.server.phase, "over");
  const before = pair.server;
  pair.connect();
  assert.notEqual(pair.server, before);
  assert.equal(pair.client.phase, "open");
});

test("a HELLO that is refused leaves the session to another one", () => {
  const pair = new Pair().connect();
  pair.client.call(CALL, bytes("x"), pair.now);
  pair.run();
  pair.cut();
  pair.client.begin(pair.now);
  const accepting = new Accepting(pair.now);
  accepting.receive(pair.client.transmit());
  pair.client.receive(accepting.refuse(new Status("RESOURCE_EXHAUSTED", "too many")), pair.now);
  pair.note();
  assert.equal(take(pair.atClient, "closed")[0]?.status.code, "RESOURCE_EXHAUSTED");
  assert.equal(pair.client.phase, "suspended");
  pair.connect();
  assert.equal(take(pair.atClient, "connected").at(-1)?.resumed, true);
});

test("a client that the server refuses is told so", () => {
  const pair = new Pair();
  pair.client.begin(0);
  const accepting = new Accepting(0);
  accepting.receive(pair.client.transmit());
  pair.client.receive(accepting.refuse(new Status("UNAUTHENTICATED", "no")), 0);
  const closed = pair.client.poll();
  assert(closed?.type === "closed");
  assert.equal(closed.status.code, "UNAUTHENTICATED");
  assert.equal(closed.status.name, "ConnectError");
  assert.equal(pair.client.phase, "over");
});

test("a HELLO without an answer is given up", () => {
  const pair = new Pair();
  pair.client.begin(0);
  assert.equal(pair.client.timeout(), 5000);
  pair.client.handleTimeout(5000);
  const closed = pair.client.poll();
  assert(closed?.type === "closed");
  assert.equal(closed.status.code, "DEADLINE_EXCEEDED");
});

test("a newer connection takes a session over", () => {
  const pair = new Pair().connect();
  pair.client.call(CALL, bytes("x"), pair.now);
  pair.run();
  pair.client.lost(pair.now);
  assert.equal(pair.server.phase, "open");
  pair.connect();
  assert.equal(take(pair.atClient, "connected").at(-1)?.resumed, true);
  pair.server.answer(take(pair.atServer, "request")[0]!.id, bytes("y"));
  pair.run();
  assert.equal(take(pair.atClient, "answer").length, 1);
});

test("topics need a broker", () => {
  const direct = new Pair().connect();
  assert.throws(() => subscribe(direct.client, "fleet/+", direct.now), { code: "UNIMPLEMENTED" });
  assert.throws(() => direct.client.call(CALL, bytes("x"), direct.now, { topic: "a\u0000" }), { code: "INVALID_ARGUMENT" });
  direct.client.call(CALL, bytes("x"), direct.now, { topic: "fleet" });
  direct.run();
  assert.equal(take(direct.atClient, "failed")[0]?.status.message, "a topic, and this is a direct connection");

  const pair = new Pair();
  pair.client.begin(0);
  const hello = new Accepting(0).receive(pair.client.transmit())!;
  pair.server = ServerSession.accept(PROTOCOL, {}, hello, { codec: 1, broker: true }, 0);
  pair.run();
  const id = subscribe(pair.client, "fleet/+", pair.now, { group: "g" });
  const other = unsubscribe(pair.client, "fleet/+", pair.now);
  pair.run();
  assert.deepEqual(take(pair.atClient, "failed").map(({ id, status }) => [id, status.code]), [
    [id, "UNIMPLEMENTED"],
    [other, "UNIMPLEMENTED"],
  ]);
  // What the broker says itself is no member of the protocol, whatever its number is.
  pair.server.send(NOTE, bytes("gone"), pair.now, { topic: "$broker" });
  pair.server.send(ORDER, bytes("there"), pair.now, { topic: "$presence/fleet" });
  pair.server.send(NOTE, bytes("note"), pair.now, { topic: "fleet/7" });
  pair.run();
  assert.deepEqual(take(pair.atClient, "notice").map(({ topic, variant, body }) => [topic, variant, text(body)]), [
    ["$broker", 5, "gone"],
    ["$presence/fleet", 6, "there"],
  ]);
  assert.deepEqual(take(pair.atClient, "message").map(({ topic }) => topic), ["fleet/7"]);
  assert.equal(take(pair.atServer, "acknowledged").length, 1);
});

test("each connection begins with the windows of a new one", () => {
  const pair = new Pair().connect();
  const { client, server } = pair;
  for (let round = 0; round < 3; round++) {
    while (client.canSend(NOTE, 1)) client.send(NOTE, bytes("n"), pair.now);
    pair.run();
    for (const message of take(pair.atServer, "message")) server.finished(message, pair.now);
    pair.run();
  }
  assert(client.s.sendWindow.items > 4096, "the window has grown");
  while (client.canSend(NOTE, 1)) client.send(NOTE, bytes("n"), pair.now);
  pair.run();
  const before = take(pair.atServer, "message");
  pair.cut();
  pair.connect();
  take(pair.atClient, "writable");
  let sent = 0;
  while (client.canSend(NOTE, 1)) client.send(NOTE, bytes(`${sent++}`), pair.now);
  assert.equal(sent, 1024);
  pair.run();
  assert.equal(take(pair.atServer, "message").length, 1024);
  for (const message of before) server.finished(message, pair.now);
  pair.run().wait(200);
  assert.equal(take(pair.atClient, "writable").length, 0, "credit of an earlier connection is not granted");
});

test("no handler begins while the peer is owed more than it reads, and then all do in their order", () => {
  const pair = new Pair({}, { outgoingQueue: 20_000 }).connect();
  const { client, server } = pair;
  const calls = (count: number): void => {
    for (let n = 0; n < count; n++) client.call(CALL, bytes(`${n}`), pair.now);
    client.send(NOTE, bytes("note"), pair.now);
    for (let part = client.transmit(); part.length > 0; part = client.transmit()) server.receive(part, pair.now);
    pair.note();
  };
  calls(5);
  for (const { id } of take(pair.atServer, "request")) server.answer(id, new Uint8Array(5000));
  assert.equal(take(pair.atServer, "message").length, 1);
  calls(3);
  assert.deepEqual(pair.atServer.map(({ type }) => type), ["connected"]);
  const given = client.call(CALL, bytes("given up"), pair.now);
  server.receive(client.transmit(), pair.now);
  pair.note();
  client.cancel(given, pair.now);
  server.receive(client.transmit(), pair.now);
  pair.run();
  assert.equal(take(pair.atClient, "answer").length, 5);
  assert.deepEqual(pair.atServer.map(({ type }) => type), ["connected", "request", "request", "request", "message"]);
  assert.equal(server.s.inboundCalls?.open.size, 3, "the one that was given up has ended without a handler");
  assert.equal(client.s.openCalls, 3);
});

test("a driver pauses while the peer reads nothing of what its frames lead to", () => {
  const pair = new Pair({}, { maxCalls: 1 }).connect();
  const { client, server } = pair;
  let sent = 0;
  client.s.peerMaxCalls = 100_000;
  while (!server.isPaused && server.phase === "open") {
    client.call(CALL, bytes("x"), pair.now);
    server.receive(client.transmit(), pair.now);
    pair.note();
    // So slowly that none of it is unwanted.
    pair.now += 10;
    sent++;
  }
  assert.equal(server.phase, "open");
  assert(sent > 1000);
  pair.run();
  assert(!server.isPaused);
  assert.equal(take(pair.atClient, "failed").length, sent - 1);
});

test("compressed bodies need an agreement", () => {
  const pair = new Pair({ compressions: [1] });
  pair.client.begin(0);
  const hello = new Accepting(0).receive(pair.client.transmit())!;
  assert.deepEqual(hello.compressions, [1]);
  pair.server = ServerSession.accept(PROTOCOL, {}, hello, { codec: 1, compression: 1 }, 0);
  pair.run();
  const id = pair.client.call(CALL, bytes("\u0001x"), pair.now, { compressed: true });
  pair.run();
  assert(take(pair.atServer, "request")[0]?.compressed);
  pair.server.answer(id, bytes("\u0001y"), { compressed: true });
  pair.run();
  assert(take(pair.atClient, "answer")[0]?.compressed);

  const without = new Pair().connect();
  without.client.call(CALL, bytes("\u0001x"), without.now, { compressed: true });
  without.run();
  assert.equal(take(without.atClient, "failed")[0]?.status.code, "INVALID_ARGUMENT");
  const wrong = new Pair();
  wrong.client.begin(0);
  wrong.server = ServerSession.accept(PROTOCOL, {}, new Accepting(0).receive(wrong.client.transmit())!, { codec: 2 }, 0);
  wrong.run();
  assert.match(take(wrong.atClient, "closed")[0]!.status.message, /not offered/);
});

test("metadata that cannot be sent is refused before anything is sent", () => {
  const pair = new Pair().connect();
  for (const metadata of [{ headers: new Map([["a b", "c"]]) }, { headers: new Map([["a", "\n"]]) }, { key: "\u0000" }, { correlationId: "x".repeat(9000) }]) {
    assert.throws(() => pair.client.call(CALL, bytes("x"), pair.now, { metadata }), { code: "INVALID_ARGUMENT" });
    assert.throws(() => pair.client.send(ORDER, bytes("x"), pair.now, { metadata }), { code: "INVALID_ARGUMENT" });
  }
  assert.equal(pair.client.s.openCalls, 0);
  assert.equal(pair.client.s.deliveries?.open.size, 0);
  const first = pair.client.send(ORDER, bytes("x"), pair.now);
  assert.equal(first & 0xffffn, 1n, "no delivery's number was lost");
});
