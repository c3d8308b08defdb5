/** Services and clients of a broker, which the tests of Rust start: `MSIP_TEST_BROKER` says where it listens. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Status, type ClientOptions } from "../src/index.js";
import { transport } from "../src/node/index.js";
import type { AttachOptions } from "../src/server/index.js";
import { LabClient, LabServer, Recorder, handlers, signalled, type LabClientHandler, type LabServerHandler } from "./lab.js";

const broker = process.env["MSIP_TEST_BROKER"] ?? "";
let topics = 0;

/** A topic of its own for each test. */
function topic(): string {
  topics += 1;
  return `test-${process.pid}-${topics}`;
}

function connect(topic: string, options: ClientOptions<LabClientHandler> = {}): Promise<LabClient> {
  return LabClient.connect(transport(`${broker}/${topic}`), options);
}

/** Runs a conversation of a service and clients of a topic, and closes all. */
async function serve(
  handler: LabServerHandler,
  body: (service: LabServer, join: (options?: ClientOptions<LabClientHandler>) => Promise<LabClient>) => Promise<void>,
  { at = topic(), serves = at, options = {} }: { at?: string; serves?: string; options?: AttachOptions } = {},
): Promise<void> {
  const service = await LabServer.attach(`${broker}/${serves}`, { ...handlers, ...handler }, options);
  const clients: LabClient[] = [];
  try {
    await body(service, async (options) => {
      const client = await connect(at, options);
      clients.push(client);
      return client;
    });
  } finally {
    await Promise.all(clients.map((client) => client.close()));
    await service.close();
  }
}

function hasCode(code: string, text?: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Status, String(error));
    assert.equal(error.code, code, error.message);
    if (text !== undefined) assert.match(error.message, text);
    return true;
  };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("through a broker", { skip: broker === "" && "there is no broker: MSIP_TEST_BROKER" }, () => {
  test("a service is called, and calls, in every shape", async () => {
    const notes = new Recorder<string>();
    const at = topic();
    await serve(
      {
        onNote: (message, context) => notes.record(`note ${message} at ${context.topic}`),
        onSave: (message) => notes.record(`save ${message}`),
        onTick: () => notes.record("tick"),
        async onEcho(request, { peer, responseHeaders, remainingMs }) {
          if (request === "fail") throw new Status("NOT_FOUND", "no such thing");
          if (request === "ask") return peer.ask("who?");
          if (request === "remaining") return String(remainingMs < 5000);
          responseHeaders.set("said", request);
          return request;
        },
      },
      async (_, join) => {
        const client = await join({ handler: { onAsk: (question) => `${question} me` } });
        let headers: ReadonlyMap<string, string> = new Map();
        assert.equal(await client.echo("hi", { onHeaders: (given) => (headers = given) }), "hi");
        assert.equal(headers.get("said"), "hi");
        assert.equal(await client.echo("ask"), "who? me");
        assert.equal(await client.echo("remaining", { timeoutMs: 5000 }), "true");
        await assert.rejects(client.echo("fail"), hasCode("NOT_FOUND", /no such thing/));
        await client.note("a");
        await client.save("b");
        await client.tick();
        assert.deepEqual([...(await notes.until(3))], [`note a at ${at}`, "save b", "tick"]);
        assert.equal((await collect(client.count("300"))).length, 300);
        assert.equal(await client.join(Array.from({ length: 100 }, (_, at) => String(at))), Array.from({ length: 100 }, (_, at) => at).join(" "));
        assert.deepEqual(await collect(client.shout(["a", "b"])), ["A", "B"]);
        const all = await Promise.all(Array.from({ length: 500 }, (_, at) => client.echo(String(at))));
        assert.deepEqual(all, Array.from({ length: 500 }, (_, at) => String(at)));
      },
      { at },
    );
  });

  test("a stream that is left ends at the service, and a call that is aborted is cancelled there", async () => {
    const ended = signalled();
    const begun = signalled();
    const aborted = signalled();
    await serve(
      {
        async *onCount() {
          try {
            for (let number = 0; ; number++) yield String(number);
          } finally {
            ended.happened();
          }
        },
        async onEcho(_, { signal }) {
          begun.happened();
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
          aborted.happened();
          return "";
        },
      },
      async (_, join) => {
        const client = await join();
        for await (const number of client.count("0")) if (number === "40") break;
        await ended.promise;
        const abort = new AbortController();
        const call = client.echo("hang", { signal: abort.signal });
        await begun.promise;
        abort.abort();
        await assert.rejects(call, hasCode("CANCELLED"));
        await aborted.promise;
      },
    );
  });

  test("a service speaks to everyone, to others and to one", async () => {
    await serve(
      {
        async onEcho(request, { peer }) {
          if (request === "me") await peer.note("to one");
          return request;
        },
      },
      async (service, join) => {
        const heard = [0, 1, 2].map(() => new Recorder<string>());
        const clients: LabClient[] = [];
        for (const recorder of heard) {
          const client = await join({ handler: { onNote: (message) => recorder.record(message) } });
          await client.echo("here");
          clients.push(client);
        }
        const first = service.peers.find(({ connection }) => connection.peerId === clients[0]?.connection.peerId);
        assert(first);
        assert.equal(service.everyone().note("to all"), 1, "one message, which the broker gives to all");
        assert.equal(service.others(first).note("to others"), 2);
        await clients[0]?.echo("me");
        assert.deepEqual([...((await heard[0]?.until(2)) ?? [])], ["to all", "to one"]);
        for (const other of [heard[1], heard[2]]) assert.deepEqual([...((await other?.until(2)) ?? [])], ["to all", "to others"]);
        assert.equal(service.peers.length, 3);
      },
    );
  });

  test("a service hears of clients that come and go", async () => {
    const seen = new Recorder<string>();
    const at = topic();
    await serve(
      {
        onClientConnected: async ({ connection }) => {
          // Nothing is handled before this has returned.
          await Promise.resolve();
          seen.record(`connected ${connection.clientName} at ${connection.topic}, ${String(connection.isConnected)}`);
        },
        onNote: (message) => seen.record(message),
        onClientDisconnected: ({ connection }, { code }) => seen.record(`disconnected ${code}, ${String(connection.isConnected)}`),
        onClientGone: () => seen.record("gone"),
      },
      async (service, join) => {
        const client = await join({ name: "ada" });
        await client.note("hi");
        await seen.until(2);
        const [peer] = service.peers;
        await client.close();
        assert.deepEqual([...(await seen.until(4))], [`connected ada at ${at}, true`, "hi", "disconnected UNAVAILABLE, false", "gone"]);
        assert.equal(service.peers.length, 0);
        await assert.rejects(peer?.ask("still there?") ?? Promise.resolve(), hasCode("UNAVAILABLE"));
      },
      { at },
    );
  });

  test("a client that is disconnected by a service hears why", async () => {
    const closed = signalled<Status>();
    await serve(
      { onNote: (_, { peer }) => peer.disconnect(new Status("PERMISSION_DENIED", "not you")) },
      async (_, join) => {
        const client = await join({ handler: { onClosedByServer: (status) => (closed.happened(status), "stop") } });
        await client.note("hi");
        const { code, message } = await closed.promise;
        assert.deepEqual([code, message], ["PERMISSION_DENIED", "not you"]);
      },
    );
  });

  test("a client that floods does not hold up another one", async () => {
    const release = signalled();
    let handled = 0;
    await serve(
      {
        async onNote() {
          await release.promise;
          handled += 1;
        },
      },
      async (_, join) => {
        const flood = await join();
        const other = await join();
        const sent = Promise.all(Array.from({ length: 3000 }, () => flood.note("x".repeat(100))));
        assert.equal(await other.echo("hi"), "hi");
        release.happened();
        await sent;
        // A call begins when the handlers of all messages before it have returned.
        assert.equal(await flood.echo("done"), "done");
        assert.equal(handled, 3000);
      },
    );
  });

  test("a service of many topics tells them apart", async () => {
    const at = topic();
    await serve(
      { onEcho: (_, { topic, peer }) => `${topic} ${peer.connection.topic}` },
      async (service, join) => {
        const here = await join();
        const there = await connect(`${at}/other/room`);
        assert.equal(await here.echo(""), `${at}/one/room ${at}/one/room`);
        assert.equal(await there.echo(""), `${at}/other/room ${at}/other/room`);
        assert.equal(service.everyone().note("hi"), 2, "one for each topic");
        await there.close();
      },
      { at: `${at}/one/room`, serves: `${at}/+/room` },
    );
  });

  test("instances share the calls, and one that is closed loses none", async () => {
    const at = topic();
    const second = await LabServer.attach(`${broker}/${at}`, { ...handlers, onEcho: (request) => Promise.resolve(`second ${request}`) });
    await serve(
      { onEcho: (request) => Promise.resolve(`first ${request}`) },
      async (_, join) => {
        const client = await join();
        const both = new Set((await Promise.all(Array.from({ length: 20 }, () => client.echo("hi")))).values());
        assert.deepEqual([...both].sort(), ["first hi", "second hi"]);
        const calls = Array.from({ length: 200 }, () => client.echo("go on"));
        assert.equal(await second.close(), 0);
        await Promise.all(calls);
        assert.equal(await client.echo("alone"), "first alone");
      },
      { at },
    );
  });

  test("a service that loses its connection goes on, and is heard by nobody to have done so", async () => {
    const at = topic();
    const to = transport(`${broker}/${at}`);
    const streams: { end(): void }[] = [];
    const connections = new Recorder<string>();
    const saved = new Recorder<string>();
    const service = await LabServer.attach(
      {
        addresses: to.addresses,
        settings: to.settings,
        connect: async (address, signal) => {
          const stream = await to.connect(address, signal);
          streams.push(stream);
          return stream;
        },
      },
      {
        ...handlers,
        onSave: (message) => saved.record(message),
        onClientConnected: () => connections.record("connected"),
        onClientGone: () => connections.record("gone"),
      },
      { reconnectMinMs: 1, reconnectMaxMs: 50 },
    );
    const client = await connect(at);
    assert.equal(await client.echo("before"), "before");
    for (let round = 1; round <= 5; round++) {
      const sent = Promise.all(Array.from({ length: 20 }, (_, number) => client.save(String(number))));
      streams.at(-1)?.end();
      await sent;
      // The broker has them by then, and the service once it is back, in their order.
      const those = (await saved.until(20 * round)).slice(-20).map(Number);
      assert.deepEqual(those, Array.from({ length: 20 }, (_, number) => number));
      assert.equal(await client.echo("after"), "after");
      assert.equal(streams.length, round + 1);
    }
    assert.deepEqual(connections.all, ["connected"]);
    assert.equal(service.peers.length, 1);
    await client.close();
    await connections.until(2);
    await service.close();
  });

  test("a service whose broker is gone closes without waiting for it", async () => {
    const to = transport(`${broker}/${topic()}`);
    const streams: { end(): void }[] = [];
    const failed = signalled();
    const service = await LabServer.attach(
      {
        addresses: to.addresses,
        settings: to.settings,
        connect: async (address, signal) => {
          if (streams.length > 0) throw new Error("the broker is gone");
          const stream = await to.connect(address, signal);
          streams.push(stream);
          return stream;
        },
      },
      handlers,
      {
        drainTimeoutMs: 3_600_000,
        onConnectFailure: () => {
          failed.happened();
          return "backoff";
        },
      },
    );
    streams[0]?.end();
    await failed.promise;
    assert.equal(await service.close(), 0);
  });

  test("a topic where something else is spoken, and a URL without one, are refused", async () => {
    const at = topic();
    await serve({}, async () => {
      const strict = LabServer.attach(`${broker}/${at}/$in`, handlers);
      await assert.rejects(strict, /the level `\$in` is the broker's/);
      await assert.rejects(LabServer.attach(broker, handlers), /a service needs a topic/);
      await assert.rejects(LabServer.attach(`${broker}/all/%23`, handlers), /a service says how many there are/);
    }, { at });
    const direct = await LabServer.listen("tcp://127.0.0.1:0", handlers);
    await assert.rejects(LabServer.attach(`${direct.urls[0] ?? ""}/room`, handlers), /\b(topics need a broker|this server speaks `lab`)/);
    await direct.close();
  });

  test("a broker keeps the newest STATE of each key, of clients, of a service and of its broadcasts", async () => {
    const at = topic();
    await serve({}, async (service, join) => {
      const publisher = await join();
      for (const value of [1, 2]) for (const name of ["oil", "water"]) await publisher.gauge(`${name}:${value}`, { topic: `${at}/gauges` });
      await publisher.gaugeSaved("oil:3", { topic: `${at}/gauges` });
      await publisher.gaugeSaved("water:3", { topic: `${at}/gauges` });
      await publisher.gauge("water:4", { topic: `${at}/gauges`, metadata: { key: "another" } });
      for (const value of [1, 2]) for (const name of ["oil", "water"]) service.everyone().gauge(`${name}:${value}`);
      // The broker has all of them by now.
      await publisher.save("done");
      const heard = new Recorder<string>();
      const listener = await join({
        handler: {
          onGauge: (message, { topic, metadata }) => heard.record(`${message} at ${topic}, ${metadata.key ?? ""}`),
          onGaugeSaved: (message, { metadata }) => heard.record(`saved ${message}, ${metadata.key ?? ""}`),
        },
      });
      await listener.connection.subscribe(`${at}/gauges`);
      assert.deepEqual(
        [...(await heard.until(7))].sort(),
        [
          `oil:2 at ${at}, oil`,
          `oil:2 at ${at}/gauges, oil`,
          `saved oil:3, oil`,
          `saved water:3, water`,
          `water:2 at ${at}, water`,
          `water:2 at ${at}/gauges, water`,
          `water:4 at ${at}/gauges, another`,
        ].sort(),
      );
    }, { at });
  });

  test("one instance gets all messages and calls of a key", async () => {
    const at = topic();
    const seen = new Map<string, Set<string>>();
    const instance = (name: string): LabServerHandler => ({
      ...handlers,
      onTurn(request, { metadata }) {
        const key = metadata.key ?? "";
        seen.set(key, (seen.get(key) ?? new Set()).add(name));
        return request;
      },
      onDrive(_, { metadata }) {
        const key = metadata.key ?? "";
        seen.set(key, (seen.get(key) ?? new Set()).add(name));
      },
    });
    const second = await LabServer.attach(`${broker}/${at}`, instance("second"));
    await serve(
      instance("first"),
      async (_, join) => {
        const client = await join();
        for (let round = 0; round < 10; round++) {
          const each = Array.from({ length: 16 }, (_, number) => `van ${number}`);
          await Promise.all(each.flatMap((van) => [client.turn(`${van}:${round}`), client.drive(`${van}:${round}`)]));
        }
        assert.deepEqual([...seen.keys()].sort(), Array.from({ length: 16 }, (_, number) => `van ${number}`).sort());
        for (const [key, names] of seen) assert.equal(names.size, 1, `${key}: ${[...names].join(", ")}`);
        assert.equal(new Set([...seen.values()].flatMap((names) => [...names])).size, 2, "both have some");
      },
      { at },
    );
    await second.close();
  });

  test("a service sends a key along with what it says to one client", async () => {
    await serve(
      {
        async onEcho(request, { peer }) {
          await peer.drive("van:1");
          await peer.gauge("oil:1");
          await peer.gauge(":2");
          return request;
        },
      },
      async (_, join) => {
        const heard = new Recorder<string>();
        const record = (message: string, { metadata }: { metadata: { key?: string } }): void => heard.record(`${message} ${metadata.key ?? "without"}`);
        const client = await join({ handler: { onDrive: record, onGauge: record } });
        await client.echo("hi");
        assert.deepEqual([...(await heard.until(3))], ["van:1 van", "oil:1 oil", ":2 without"]);
      },
    );
  });

  test("clients publish to each other", async () => {
    const at = topic();
    await serve({}, async (_, join) => {
      const heard = new Recorder<string>();
      const listener = await join({
        handler: {
          onNews: (message, { topic }) => heard.record(`${message} at ${topic}`),
          onUpdate: (message, { topic, metadata }) => heard.record(`${message} at ${topic}, ${metadata.headers?.get("lang") ?? ""}`),
        },
      });
      const publisher = await join();
      await listener.connection.subscribe(`${at}/news/+`);
      await publisher.news("one", { topic: `${at}/news/a` });
      await publisher.update("two", { topic: `${at}/news/b`, metadata: { headers: new Map([["lang", "en"]]) } });
      await publisher.update("elsewhere", { topic: `${at}/other` });
      assert.deepEqual([...(await heard.until(2))], [`one at ${at}/news/a`, `two at ${at}/news/b, en`]);
      await listener.connection.unsubscribe(`${at}/news/+`);
      await publisher.update("three", { topic: `${at}/news/a` });
      await listener.connection.subscribe(`${at}/news/+`);
      await publisher.update("four", { topic: `${at}/news/a` });
      assert.equal((await heard.until(3)).at(-1), `four at ${at}/news/a, `);
    }, { at });
  });
});
