/** Clients that are made of their core alone: what they do, and what they refuse by its name. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { SettingError, Status, StreamingClient, deliveries, inboundCalls, inboundMessages, plainUrls, type ClientOptions, type Transport } from "../src/index.js";
import { Cuttable } from "./cuttable.js";
import { LAB, LabClient, LabServer, Recorder, handlers, signalled, type LabClientHandler } from "./lab.js";

const TCP = "tcp://127.0.0.1:0";

class CoreClient extends LabClient {
  static override connect(endpoint: string | Transport, options?: ClientOptions<LabClientHandler>): Promise<CoreClient> {
    return StreamingClient.open(CoreClient, LAB, endpoint, options, { inboundMessages, inboundCalls, deliveries, urls: plainUrls });
  }
}

/** One that the server does not call. */
class CallingClient extends LabClient {
  static override connect(endpoint: string | Transport, options?: ClientOptions<LabClientHandler>): Promise<CallingClient> {
    return StreamingClient.open(CallingClient, LAB, endpoint, options, { inboundMessages, deliveries, urls: plainUrls });
  }
}

/** One that the server sends nothing but answers. */
class AskingClient extends LabClient {
  static override connect(endpoint: string | Transport, options?: ClientOptions<LabClientHandler>): Promise<AskingClient> {
    return StreamingClient.open(AskingClient, LAB, endpoint, options, { deliveries, urls: plainUrls });
  }
}

function isStatus(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof Status && error.code === code && text.test(error.message);
}

test("a client without parts calls and is called, with streams, deliveries and deadlines", async () => {
  const saved: string[] = [];
  const serving = await LabServer.listen(TCP, { ...handlers, onSave: (message) => void saved.push(message) });
  let remaining = Infinity;
  const client = await CoreClient.connect(new Cuttable(serving.urls[0] ?? ""), {
    handler: {
      onAsk: (request, { metadata, remainingMs }) => {
        remaining = remainingMs;
        assert.deepEqual(metadata.headers, undefined);
        return `${request} yes`;
      },
    },
  });
  assert.equal(await client.echo("hi", { timeoutMs: 5000 }), "hi");
  const counted: string[] = [];
  for await (const number of client.count("3")) counted.push(number);
  assert.deepEqual(counted, ["0", "1", "2"]);
  assert.equal(await client.join(["a", "b"]), "a b");
  await client.save("this");
  assert.deepEqual(saved, ["this"]);
  const [peer] = serving.peers;
  assert.equal(await peer?.ask("well?", { timeoutMs: 20_000, metadata: { headers: new Map([["lang", "en"]]) } }), "well? yes");
  assert.ok(remaining <= 20_000, `${remaining}`);
  await client.close();
  await serving.close();
});

test("what is no part of a client is refused by its name", async () => {
  const serving = await LabServer.listen(TCP, handlers);
  const [url = ""] = serving.urls;
  const client = await CoreClient.connect(new Cuttable(url));
  await assert.rejects(client.echo("hi", { metadata: { correlationId: "1" } }), isStatus("UNIMPLEMENTED", /^metadata /));
  await assert.rejects(client.note("hi", { topic: "room1" }), isStatus("UNIMPLEMENTED", /^topics /));
  await assert.rejects(client.connection.subscribe("room1"), isStatus("UNIMPLEMENTED", /^topics /));
  await assert.rejects(CoreClient.connect(new Cuttable(`${url}?max_calls=1`)), SettingError);
  await assert.rejects(CoreClient.connect("ws://127.0.0.1:1/?max_calls=1"), SettingError);
  await assert.rejects(CoreClient.connect(new Cuttable(url), { topic: "room1" }), isStatus("UNIMPLEMENTED", /^topics /));
  await assert.rejects(CoreClient.connect(new Cuttable(url), { maxCalls: -1 }), SettingError);
  assert.equal(await client.echo("still here"), "still here");
  await client.close();
  await serving.close();
});

test("without inbound calls the server is told that there are none, and all else goes on", async () => {
  const serving = await LabServer.listen(TCP, handlers);
  const noted = signalled<string>();
  const client = await CallingClient.connect(new Cuttable(serving.urls[0] ?? ""), {
    handler: { onAsk: () => assert.fail("it is not called"), onNote: noted.happened },
  });
  const [peer] = serving.peers;
  assert.ok(peer !== undefined);
  await assert.rejects(peer.ask("well?"), isStatus("UNIMPLEMENTED", /^calls /));
  await peer.note("hi");
  assert.equal(await noted.promise, "hi");
  const counted: string[] = [];
  for await (const number of client.count("2")) counted.push(number);
  assert.deepEqual(counted, ["0", "1"]);
  await client.close();
  await serving.close();
});

test("without inbound messages nothing is heard of the server but answers, and none of its messages holds it up", async () => {
  const serving = await LabServer.listen(TCP, handlers);
  const client = await AskingClient.connect(new Cuttable(serving.urls[0] ?? ""), {
    handler: { onNote: () => assert.fail("it is not called"), onDrive: () => assert.fail("it is not called") },
  });
  const [peer] = serving.peers;
  assert.ok(peer !== undefined);
  await assert.rejects(peer.drive("7:on"), isStatus("UNIMPLEMENTED", /^messages /));
  // More than a window has.
  for (let number = 0; number < 3000; number++) await peer.note("hi");
  await assert.rejects(peer.ask("well?"), isStatus("UNIMPLEMENTED", /^calls /));
  assert.equal(await client.echo("hi"), "hi");
  await client.close();
  await serving.close();
});

test("without resumption what is open fails with its connection, and the next one begins another session", async () => {
  const begun = signalled();
  const serving = await LabServer.listen(TCP, {
    ...handlers,
    onEcho: (request) => {
      if (request !== "slow") return request;
      begun.happened();
      return new Promise<string>(() => {});
    },
  });
  const way = new Cuttable(serving.urls[0] ?? "");
  const connected = new Recorder<boolean>();
  const lost: string[] = [];
  const client = await CoreClient.connect(way, {
    reconnectMinMs: 1,
    reconnectMaxMs: 5,
    handler: {
      onConnected: (_, { resumed }) => connected.record(resumed),
      onSessionLost: ({ code }) => void lost.push(code),
    },
  });
  const { peerId } = client.connection;
  const slow = client.echo("slow");
  await begun.promise;
  way.cut();
  await assert.rejects(slow, isStatus("UNKNOWN", /it may have been handled/));
  await connected.until(2);
  assert.deepEqual(connected.all, [false, false]);
  assert.deepEqual(lost, ["UNAVAILABLE"]);
  assert.notEqual(client.connection.peerId, peerId);
  assert.equal(await client.echo("again"), "again");
  await client.close();
  await serving.close();
});
