/** What the sessions of a server hold together: measured, bounded, and free again. */

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";

import { Status } from "../src/index.js";
import { transport } from "../src/node/index.js";
import { Budget, FLOOR, SUSPENDED_SESSION, heldBy } from "../src/session/index.js";
import type { ByteStream } from "../src/transport/transport.js";
import { CALL, NOTE, Pair } from "./session/pair.js";
import { LabClient, LabServer, Recorder, handlers, signalled } from "./lab.js";

const MIB = 2 ** 20;
const SHORT = "memory is short: 1048576 bytes (max_memory)";

/** A client and a server, and the budget of the server. */
function pair(): { pair: Pair; budget: Budget } {
  const budget = new Budget(MIB);
  return { pair: new Pair({}, { budget }).connect(), budget };
}

test("what a session holds is counted", () => {
  const { pair: both } = pair();
  const { client } = both;
  const body = (size: number): Uint8Array => new Uint8Array(size).fill(7);
  assert.equal(heldBy(both.server), 0);
  client.call(CALL, body(1000), both.now);
  client.send(NOTE, body(500), both.now);
  both.run();
  assert.equal(heldBy(both.server), 1002 + 502);
  for (const event of both.atServer) {
    if (event.type === "request") both.server.answer(event.id, body(100));
    else if (event.type === "message") both.server.finished(event, both.now);
  }
  assert.equal(heldBy(both.server), 100 + 24 + 64);
  both.server.lost(both.now);
  assert.equal(heldBy(both.server), SUSPENDED_SESSION + 100 + 24 + 64);
  both.server.close(new Status("UNAVAILABLE", "over"), both.now);
  assert.equal(heldBy(both.server), 0);
});

test("calls are refused beyond the floor while memory is short, and served up to it", () => {
  const { pair: both, budget } = pair();
  budget.change(2 * MIB);
  for (let call = 0; call < 2; call++) both.client.call(CALL, new Uint8Array(FLOOR).fill(7), both.now);
  both.run();
  assert.equal(both.atServer.filter(({ type }) => type === "request").length, 1);
  const failed = both.atClient.filter((event) => event.type === "failed");
  assert.deepEqual(failed.map(({ status }) => [status.code, status.message]), [["RESOURCE_EXHAUSTED", SHORT]]);
  budget.change(-2 * MIB);
  both.client.call(CALL, new Uint8Array(FLOOR).fill(7), both.now);
  both.run();
  assert.equal(both.atServer.filter(({ type }) => type === "request").length, 2);
});

test("senders and handlers wait beyond the floor", () => {
  const { pair: both, budget } = pair();
  const { server } = both;
  budget.change(2 * MIB);
  assert.ok(server.canSend(NOTE, 10));
  server.send(NOTE, new Uint8Array(FLOOR).fill(7), both.now);
  assert.ok(!server.canSend(NOTE, 10));
  assert.ok(!server.canSend(CALL, 10));
  both.run();
  assert.ok(both.atServer.some(({ type }) => type === "writable"));
  assert.ok(server.canSend(NOTE, 10));
  // A handler does not begin while its connection has so much of answers queued.
  for (let call = 0; call < 2; call++) both.client.call(CALL, new Uint8Array([7]), both.now);
  both.run();
  const [first] = both.atServer.filter((event) => event.type === "request");
  assert.ok(first);
  server.answer(first.id, new Uint8Array(FLOOR).fill(7));
  both.client.call(CALL, new Uint8Array([7]), both.now);
  server.receive(both.client.transmit(), both.now);
  assert.equal(server.poll(), undefined);
  server.transmit();
  assert.equal(server.transmit().length > 0, true);
  assert.equal(server.poll()?.type, "request");
});

test("sessions without a connection make room, the oldest first", async () => {
  const gone = new Recorder<string>();
  const disconnected = new Recorder<string>();
  const handler = {
    ...handlers,
    onClientDisconnected: (_: unknown, reason: Error) => disconnected.record(reason.message),
    onClientGone: (_: unknown, reason: Error) => gone.record(reason.message),
  };
  const server = await LabServer.listen("tcp://127.0.0.1:0", handler, { maxMemory: MIB });
  const streams: ByteStream[] = [];
  const clients: LabClient[] = [];
  const endpoint = transport(server.urls[0] ?? "");
  const once = {
    ...endpoint,
    addresses: endpoint.addresses,
    settings: endpoint.settings,
    connect: async (address: string, signal: AbortSignal) => {
      const stream = await endpoint.connect(address, signal);
      streams.push(stream);
      return stream;
    },
  };
  const count = 80;
  for (let client = 0; client < count; client++) {
    clients.push(await LabClient.connect(once, { writeTimeoutMs: 50 }));
  }
  // As if the network had gone.
  for (const stream of streams) stream.destroy();
  await disconnected.until(count);
  await gone.until(count - MIB / SUSPENDED_SESSION);
  assert.deepEqual(new Set(gone.all), new Set(["memory is short (max_memory)"]));
  assert.ok(server.memory <= MIB, `${server.memory} bytes are held`);
  for (const client of clients) void client.close();
  await server.close();
  assert.equal(server.memory, 0);
});

test("messages that wait count, and are free again", async () => {
  const gate = signalled();
  const notes = new Recorder<number>();
  const onNote = async (message: string): Promise<void> => {
    await gate.promise;
    notes.record(message.length);
  };
  const server = await LabServer.listen("tcp://127.0.0.1:0?max_memory=2MiB", { ...handlers, onNote });
  const client = await LabClient.connect(transport(server.urls[0] ?? ""));
  for (let note = 0; note < 15; note++) await client.note("x".repeat(60_000));
  while (server.memory < MIB / 2) await turn();
  gate.happened();
  await notes.until(15);
  assert.equal(await client.echo("hi"), "hi");
  while (server.memory > MIB / 2) await client.echo("hi");
  await client.close();
  while (server.memory !== 0) await turn();
  await server.close();
});

test("the limit is a setting of servers", async () => {
  await assert.rejects(LabServer.listen("tcp://127.0.0.1:0?max_memory=1KiB", handlers), { name: "SettingError", message: /setting `max_memory`/ });
  const [one, other] = [await LabServer.listen("tcp://127.0.0.1:0", handlers), await LabServer.listen("tcp://127.0.0.1:0", handlers)];
  assert.equal(one.memory, other.memory, "the budget of all who keep the default");
  await one.close();
  await other.close();
});
