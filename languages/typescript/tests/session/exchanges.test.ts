/** Every shape of an exchange, from either side. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Status, canSendItem, endAnswers, sendAnswerItem, sendItem, type Session } from "../../src/session/index.js";
import { BOTH, CALL, NOTE, ORDER, Pair, UPLOAD, WATCH, bytes, take, text } from "./pair.js";
import type { Event } from "../../src/session/index.js";

/** Runs a test with the client as the caller, and with the server. */
function fromEitherSide(name: string, run: (pair: Pair, caller: Session, callee: Session, atCaller: Event[], atCallee: Event[]) => void): void {
  test(`${name}, from the client`, () => {
    const pair = new Pair().connect();
    run(pair, pair.client, pair.server, pair.atClient, pair.atServer);
  });
  test(`${name}, from the server`, () => {
    const pair = new Pair().connect();
    run(pair, pair.server, pair.client, pair.atServer, pair.atClient);
  });
}

fromEitherSide("a call is answered", (pair, caller, callee, atCaller, atCallee) => {
  const id = caller.call(CALL, bytes("ask"), pair.now);
  pair.run();
  const [request] = take(atCallee, "request");
  assert(request);
  assert.equal(text(request.body), "ask");
  assert.equal(request.member, CALL);
  assert.equal(request.deadline, pair.now + 30_000);
  callee.answer(request.id, bytes("told"));
  pair.run();
  const [answer] = take(atCaller, "answer");
  assert(answer);
  assert.equal(answer.id, id);
  assert.equal(text(answer.body), "told");
});

fromEitherSide("a call fails with a status, its headers and details", (pair, caller, callee, atCaller, atCallee) => {
  caller.call(CALL, bytes("ask"), pair.now, { metadata: { headers: new Map([["lang", "en"]]) } });
  pair.run();
  const [request] = take(atCallee, "request");
  assert.equal(request?.metadata?.headers?.get("lang"), "en");
  assert(request.metadata?.requestTimeUs);
  const details = [{ typeName: "test.Retry", value: bytes("x") }];
  callee.fail(request.id, new Status("NOT_FOUND", "no room", { headers: new Map([["a", "b"]]), details }));
  pair.run();
  const [failed] = take(atCaller, "failed");
  assert.equal(failed?.status.code, "NOT_FOUND");
  assert.equal(failed.status.message, "no room");
  assert.equal(failed.status.headers.get("a"), "b");
  assert.deepEqual(failed.status.details, details);
  assert.equal(failed.repeatable, false);
});

fromEitherSide("an answer of a timed call has its time and headers", (pair, caller, callee, atCaller, atCallee) => {
  caller.call(CALL, bytes("ask"), pair.now, { metadata: { correlationId: "c" } });
  pair.run();
  callee.answer(take(atCallee, "request")[0]!.id, bytes("told"), { metadata: { headers: new Map([["a", "b"]]) } });
  pair.run();
  const [answer] = take(atCaller, "answer");
  assert(answer?.metadata?.responseTimeUs);
  assert.equal(answer.metadata.headers?.get("a"), "b");
});

for (const count of [0, 1, 100]) {
  fromEitherSide(`a stream of ${count} answers`, (pair, caller, callee, atCaller, atCallee) => {
    caller.call(WATCH, bytes("ask"), pair.now);
    pair.run();
    const { id } = take(atCallee, "request")[0]!;
    const heard: string[] = [];
    for (let sent = 0; sent < count; ) {
      if (canSendItem(callee, id, 10)) sendAnswerItem(callee, id, bytes(String(sent++)));
      else pair.run();
      for (const item of take(atCaller, "answerItem")) {
        heard.push(text(item.body));
        caller.finished(item, pair.now);
      }
    }
    endAnswers(callee, id, { headers: new Map([["n", "1"]]) });
    pair.run();
    heard.push(...take(atCaller, "answerItem").map((item) => text(item.body)));
    assert.deepEqual(heard, Array.from({ length: count }, (_, n) => String(n)));
    assert.equal(take(atCaller, "answerEnd")[0]?.metadata?.headers?.get("n"), "1");
  });

  fromEitherSide(`a stream of ${count} requests`, (pair, caller, callee, atCaller, atCallee) => {
    const id = caller.call(UPLOAD, bytes(""), pair.now);
    const heard: string[] = [];
    for (let sent = 0; sent < count; ) {
      if (canSendItem(caller, id, 10)) sendItem(caller, id, bytes(String(sent++)), false);
      else pair.run();
      for (const item of take(atCallee, "requestItem")) {
        heard.push(text(item.body));
        callee.finished(item, pair.now);
      }
    }
    sendItem(caller, id, bytes(""), true);
    pair.run();
    heard.push(...take(atCallee, "requestItem").map((item) => text(item.body)));
    assert.deepEqual(heard, Array.from({ length: count }, (_, n) => String(n)));
    assert.equal(take(atCallee, "requestEnd").length, 1);
    callee.answer(take(atCallee, "request")[0]!.id, bytes("done"));
    pair.run();
    assert.equal(text(take(atCaller, "answer")[0]!.body), "done");
  });
}

fromEitherSide("streams both ways, of which an error ends both", (pair, caller, callee, atCaller, atCallee) => {
  const id = caller.call(BOTH, bytes("first"), pair.now);
  pair.run();
  const [request] = take(atCallee, "request");
  assert.equal(text(request!.body), "first");
  assert(request!.streaming);
  sendItem(caller, id, bytes("second"), false);
  sendAnswerItem(callee, request!.id, bytes("echo"));
  callee.fail(request!.id, new Status("OUT_OF_RANGE", "7 is not a number of a room"));
  pair.run();
  assert.equal(text(take(atCaller, "answerItem")[0]!.body), "echo");
  assert.equal(take(atCaller, "failed")[0]?.status.code, "OUT_OF_RANGE");
  sendItem(caller, id, bytes("late"), false);
  pair.run();
  assert.equal(pair.client.phase, "open");
});

fromEitherSide("one-way messages are held by credit", (pair, sender, receiver, atSender, atReceiver) => {
  let sent = 0;
  while (sender.canSend(NOTE, 5)) sender.send(NOTE, bytes(String(sent++)), pair.now);
  assert.equal(sent, 1024);
  pair.run();
  const messages = take(atReceiver, "message");
  assert.deepEqual(messages.map((message) => text(message.body)), Array.from({ length: 1024 }, (_, n) => String(n)));
  assert.throws(() => sender.send(NOTE, bytes("x"), pair.now), { code: "RESOURCE_EXHAUSTED" });
  for (const message of messages.slice(0, 511)) receiver.finished(message, pair.now);
  pair.run();
  assert.equal(take(atSender, "writable").length, 0);
  receiver.finished(messages[511]!, pair.now);
  pair.run();
  assert.deepEqual(take(atSender, "writable"), [{ type: "writable", id: 0n }]);
  assert(sender.canSend(NOTE, 5));
});

fromEitherSide("what was handled is granted in time, however little", (pair, sender, receiver, atSender, atReceiver) => {
  while (sender.canSend(NOTE, 5)) sender.send(NOTE, bytes("note"), pair.now);
  pair.run();
  const messages = take(atReceiver, "message");
  receiver.finished(messages[0]!, pair.now);
  pair.run();
  assert(!sender.canSend(NOTE, 5));
  pair.wait(100);
  assert.equal(take(atSender, "writable").length, 1);
  sender.send(NOTE, bytes("one"), pair.now);
  assert(!sender.canSend(NOTE, 5));
  pair.run().wait(100);
  receiver.finished(messages[1]!, pair.now);
  pair.run();
  assert.equal(take(atSender, "writable").length, 1, "it has been used up for long: at once");
});

fromEitherSide("a delivery is acknowledged, or refused", (pair, sender, receiver, atSender, atReceiver) => {
  const [first, second] = [sender.send(ORDER, bytes("1"), pair.now), sender.send(ORDER, bytes("2"), pair.now)];
  pair.run();
  const messages = take(atReceiver, "message");
  assert(messages.every((message) => message.delivery));
  receiver.acknowledge(messages[0]!.id);
  receiver.fail(messages[1]!.id, new Status("ABORTED", "no"));
  pair.run();
  assert.deepEqual(take(atSender, "acknowledged"), [{ type: "acknowledged", id: first }]);
  const [failed] = take(atSender, "failed");
  assert.equal(failed?.id, second);
  assert.equal(failed.status.code, "ABORTED");
});

fromEitherSide("a ping is answered", (pair, side, _, atSide) => {
  const id = side.ping(pair.now, bytes("x"));
  pair.run();
  assert.deepEqual(take(atSide, "pong"), [{ type: "pong", id }]);
});

fromEitherSide("a call beyond what the peer takes waits", (pair, caller, callee, atCaller, atCallee) => {
  for (let n = 0; n < 1024; n++) caller.call(CALL, bytes("x"), pair.now);
  assert(!caller.canSend(CALL, 1));
  pair.run();
  callee.answer(take(atCallee, "request")[0]!.id, bytes("y"));
  pair.run();
  assert.equal(take(atCaller, "writable").length, 1);
  assert(caller.canSend(CALL, 1));
});
