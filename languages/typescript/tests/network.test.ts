/** Clients and servers of this package talk with each other, over each transport. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

import { Status, type ClientOptions } from "../src/index.js";
import { transport } from "../src/node/index.js";
import type { ServerOptions } from "../src/server/index.js";
import { LabClient, LabServer, Recorder, UNREADABLE, UNWRITABLE, handlers, signalled, type LabClientHandler, type LabServerHandler } from "./lab.js";

/** Runs a conversation between a server and a client, and closes both. */
async function talk(
  url: string,
  { handler = handlers, client = {}, server = {} }: { handler?: LabServerHandler; client?: ClientOptions<LabClientHandler>; server?: ServerOptions },
  body: (client: LabClient, server: LabServer) => Promise<void>,
): Promise<void> {
  const serving = await LabServer.listen(url, handler, server);
  try {
    const connected = await LabClient.connect(transport(serving.urls[0] ?? ""), client);
    try {
      await body(connected, serving);
    } finally {
      await connected.close();
    }
  } finally {
    await serving.close();
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function hasCode(code: string, text?: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Status, String(error));
    assert.equal(error.code, code, error.message);
    if (text !== undefined) assert.match(error.message, text);
    return true;
  };
}

const TCP = "tcp://127.0.0.1:0";

describe("everything is said over each transport", async () => {
  const folder = await mkdtemp(join(tmpdir(), "msip-"));
  for (const url of [TCP, "ws://127.0.0.1:0/lab", `unix://${join(folder, "lab.sock")}`]) {
    test(new URL(url).protocol, async () => {
      const notes = new Recorder<string>();
      const saved = new Recorder<string>();
      const told = new Recorder<string>();
      const handler: LabServerHandler = {
        ...handlers,
        onNote: (message) => notes.record(message),
        onSave: (message, { peer }) => {
          saved.record(message);
          if (message === "13") throw new Status("FAILED_PRECONDITION", "not thirteen");
          return peer.note(`saved ${message}`);
        },
        onTick: () => notes.record("tick"),
      };
      const client: ClientOptions<LabClientHandler> = {
        handler: { onNote: (message) => told.record(message), onAsk: (request) => `${request}!` },
      };
      await talk(url, { handler, client }, async (lab, server) => {
        assert.equal(await lab.echo("hi"), "hi");
        const long = "x".repeat(1_000_000);
        assert.equal(await lab.echo(long), long);
        await lab.note("one");
        await lab.tick();
        await lab.save("12");
        await assert.rejects(lab.save("13"), hasCode("FAILED_PRECONDITION", /not thirteen/));
        assert.deepEqual(await notes.until(2), ["one", "tick"]);
        assert.deepEqual(saved.all, ["12", "13"]);
        assert.deepEqual(await told.until(1), ["saved 12"]);
        assert.deepEqual(await collect(lab.count("100")), Array.from({ length: 100 }, (_, number) => String(number)));
        assert.equal(await lab.join(["a", "b", "c"]), "a b c");
        assert.equal(await lab.join([]), "");
        assert.deepEqual(await collect(lab.shout(["a", "b"])), ["A", "B"]);
        const [peer] = server.peers;
        assert.equal(await peer?.ask("there"), "there!");
        assert.equal(server.everyone().note("all"), 1);
        assert.deepEqual(await told.until(2), ["saved 12", "all"]);
        assert.ok((await lab.connection.ping()) >= 0);
      });
    });
  }
  test.after(() => rm(folder, { recursive: true }));
});

test("a call ends by its signal, and its handler is told", async () => {
  const begun = signalled();
  const ended = signalled<unknown>();
  const handler: LabServerHandler = {
    onEcho: (_, { signal }) => {
      begun.happened();
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          ended.happened(signal.reason);
          reject(signal.reason as Error);
        });
      });
    },
  };
  await talk(TCP, { handler }, async (lab) => {
    const abort = new AbortController();
    const call = lab.echo("hi", { signal: abort.signal });
    await begun.promise;
    abort.abort(new Error("enough"));
    await assert.rejects(call, (error: Status) => error.code === "CANCELLED" && (error.cause as Error).message === "enough");
    assert.equal(((await ended.promise) as Status).code, "CANCELLED");
    await assert.rejects(lab.echo("hi", { signal: abort.signal }), hasCode("CANCELLED"), "one that is aborted is not sent");
  });
});

test("a call ends by its time, and its handler is told", async () => {
  const ended = signalled<unknown>();
  let timeoutMs = 50;
  let hasBegun = false;
  const handler: LabServerHandler = {
    onEcho: (text, { signal, remainingMs }) => {
      if (text !== "hi") return text;
      hasBegun = true;
      assert.ok(remainingMs <= timeoutMs);
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          ended.happened(signal.reason);
          reject(signal.reason as Error);
        });
      });
    },
  };
  await talk(TCP, { handler }, async (lab) => {
    for (;;) {
      await assert.rejects(lab.echo("hi", { timeoutMs }), hasCode("DEADLINE_EXCEEDED"));
      await lab.echo("has it come?");
      if (hasBegun) break;
      // On a busy machine its time was up before it was sent.
      timeoutMs *= 4;
    }
    assert.ok((await ended.promise) instanceof Status);
  });
});

test("leaving a loop cancels its stream, and the server's generator ends", async () => {
  const ended = signalled();
  let yielded = 0;
  const handler: LabServerHandler = {
    async *onCount() {
      try {
        for (;;) yield String(yielded++);
      } finally {
        ended.happened();
      }
    },
  };
  await talk(TCP, { handler }, async (lab) => {
    const seen: string[] = [];
    for await (const number of lab.count("0")) {
      seen.push(number);
      if (seen.length === 5) break;
    }
    assert.deepEqual(seen, ["0", "1", "2", "3", "4"]);
    await ended.promise;
  });
});

test("a fast server is held by credit, whoever reads", async () => {
  let yielded = 0;
  const handler: LabServerHandler = {
    onEcho: () => String(yielded),
    async *onCount() {
      for (;;) yield String(yielded++);
    },
  };
  await talk(TCP, { handler }, async (lab) => {
    const stream = lab.count("0");
    for (let number = 0; number < 3; number++) await stream.next();
    // What a call says is behind what the stream has sent.
    await lab.echo("");
    const before = Number(await lab.echo(""));
    assert.ok(before <= 3 + 16 + 16, `${before} items were sent to one who has read 3`);
    stream.cancel();
  });
});

test("a fast client is held by credit", async () => {
  const gate = signalled();
  const handler: LabServerHandler = {
    ...handlers,
    async onJoin(requests) {
      await gate.promise;
      let count = 0;
      for await (const _ of requests) count++;
      return String(count);
    },
  };
  await talk(TCP, { handler }, async (lab) => {
    let sent = 0;
    function* items(): Iterable<string> {
      while (sent < 1000) yield String(sent++);
    }
    const joined = lab.join(items());
    await lab.echo("");
    await lab.echo("");
    assert.ok(sent <= 20, `${sent} items were taken for a handler that reads none`);
    gate.happened();
    assert.equal(await joined, "1000");
  });
});

test("items that fail end their call on both sides", async () => {
  const begun = signalled();
  const ended = signalled<unknown>();
  const handler: LabServerHandler = {
    ...handlers,
    async onJoin(requests) {
      try {
        for await (const _ of requests) begun.happened();
      } catch (error) {
        ended.happened(error);
        throw error;
      }
      return "";
    },
    async *onCount() {
      yield "0";
      throw new Status("DATA_LOSS", "no more");
    },
  };
  await talk(TCP, { handler }, async (lab) => {
    async function* broken(): AsyncIterable<string> {
      yield "a";
      // A call that is given up before it was sent is never sent.
      await begun.promise;
      throw new Error("the source is broken");
    }
    await assert.rejects(lab.join(broken()), /the source is broken/);
    assert.equal(((await ended.promise) as Status).code, "CANCELLED");
    const stream = lab.count("");
    assert.deepEqual(await stream.next(), { done: false, value: "0" });
    await assert.rejects(stream.next(), hasCode("DATA_LOSS", /no more/));
    assert.equal((await stream.next()).done, true, "an error is told once");
  });
});

test("a handler that fails is no end of the connection, and its text stays here", async () => {
  const errors = new Recorder<string>();
  const handler: LabServerHandler = {
    onEcho: (request) => {
      if (request === "fail") throw new Error("the password of the database is wrong");
      return request;
    },
  };
  const server: ServerOptions = { onError: (error, what) => errors.record(`${what}: ${(error as Error).message}`) };
  await talk(TCP, { handler, server }, async (lab) => {
    await assert.rejects(lab.echo("fail"), hasCode("INTERNAL", /^the handler failed$/));
    assert.deepEqual(errors.all, ["the handler of echo failed: the password of the database is wrong"]);
    await assert.rejects(lab.join(["a"]), hasCode("UNIMPLEMENTED", /there is no handler for join/));
    assert.equal(await lab.echo("hi"), "hi");
  });
});

test("headers go with a call and its answer", async () => {
  const handler: LabServerHandler = {
    ...handlers,
    onEcho: (request, { metadata, responseHeaders }) => {
      responseHeaders.set("answered-by", "lab");
      if (request === "fail") throw new Status("NOT_FOUND", "nothing");
      return metadata.headers?.get("lang") ?? "";
    },
    async *onCount(_, { responseHeaders }) {
      yield "0";
      responseHeaders.set("total", "1");
    },
  };
  await talk(TCP, { handler }, async (lab) => {
    let headers: ReadonlyMap<string, string> | undefined;
    const onHeaders = (given: ReadonlyMap<string, string>): void => {
      headers = given;
    };
    assert.equal(await lab.echo("", { metadata: { headers: new Map([["lang", "en"]]) }, onHeaders }), "en");
    assert.equal(headers?.get("answered-by"), "lab");
    await assert.rejects(lab.echo("fail"), (error: Status) => error.headers.get("answered-by") === "lab");
    const stream = lab.count("");
    await collect(stream);
    assert.equal(stream.headers.get("total"), "1");
  });
});

test("one-way messages are handled in order, and a call begins behind those before it", async () => {
  const log: string[] = [];
  const gate = signalled();
  const handler: LabServerHandler = {
    onNote: async (message) => {
      if (message === "0") await gate.promise;
      log.push(message);
    },
    onEcho: (request) => {
      log.push(request);
      return request;
    },
  };
  await talk(TCP, { handler }, async (lab) => {
    for (let number = 0; number < 10; number++) await lab.note(String(number));
    const call = lab.echo("call");
    await lab.connection.ping();
    assert.deepEqual(log, []);
    gate.happened();
    await call;
    assert.deepEqual(log, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "call"]);
  });
});

test("a server says who it is to, whom it serves, and whom it refuses", async () => {
  const disconnected = signalled<Status>();
  const handler: LabServerHandler = {
    onEcho: (_, { identity, peer }) => `${identity?.user} ${peer.connection.clientName} ${identity?.roles?.join()}`,
    onClientDisconnected: (_, reason) => disconnected.happened(reason),
  };
  const server: ServerOptions = {
    name: "the lab",
    authenticate: ({ credential }) => {
      const token = Buffer.from(credential).toString();
      if (token === "banned") throw new Status("PERMISSION_DENIED", "you are banned");
      if (token !== "open sesame") throw new Status("UNAUTHENTICATED", "the token of ada is another one");
      return { user: "ada", roles: ["operator"] };
    },
  };
  await talk(TCP, { handler, server, client: { credential: "open sesame", name: "tester" } }, async (lab, serving) => {
    assert.equal(lab.connection.serverName, "the lab");
    assert.equal(await lab.echo(""), "ada tester operator");
    const [url = ""] = serving.urls;
    await assert.rejects(LabClient.connect(transport(url)), hasCode("UNAUTHENTICATED", /^the credential is not accepted$/));
    await assert.rejects(LabClient.connect(transport(url), { credential: "banned" }), hasCode("PERMISSION_DENIED", /you are banned/));
    // A function is asked at each attempt, and once more where what it gave is refused.
    let asked = 0;
    const late = await LabClient.connect(transport(url), {
      credential: async () => (++asked === 1 ? "stale" : "open sesame"),
    });
    assert.equal(asked, 2);
    await late.close();
  });
  assert.ok((await disconnected.promise) instanceof Status);
});

test("an identity ends with its time, and the client comes back with another credential", async () => {
  const connected = new Recorder<void>();
  const server: ServerOptions = { authenticate: () => ({ user: "ada", expiresAt: new Date(Date.now() + 500) }) };
  const client: ClientOptions<LabClientHandler> = {
    credential: () => "token",
    handler: { onConnected: () => connected.record() },
    reconnectMinMs: 1,
  };
  await talk(TCP, { server, client }, async () => {
    await connected.until(2);
  });
});

test("a server that stops lets calls finish, and its clients look for another", async () => {
  const begun = signalled();
  const gate = signalled();
  const serving = await LabServer.listen(TCP, {
    onEcho: async (request) => {
      begun.happened();
      await gate.promise;
      return request;
    },
  });
  const [url = ""] = serving.urls;
  const disconnected = signalled<Error>();
  const lab = await LabClient.connect(transport(url), { handler: { onDisconnected: disconnected.happened } });
  const call = lab.echo("hi");
  await begun.promise;
  const closing = serving.close();
  gate.happened();
  assert.equal(await call, "hi");
  assert.equal(await closing, 0);
  assert.equal(((await disconnected.promise) as Status).code, "UNAVAILABLE");
  assert.equal(lab.connection.state, "connecting");
  await lab.close();
  assert.equal(lab.connection.state, "closed");
});

test("a client that is thrown out stays away, and one that asks to come back does", async () => {
  const connected = new Recorder<string>();
  const handler: LabServerHandler = { ...handlers, onClientConnected: (peer) => connected.record(peer.connection.clientName) };
  await talk(TCP, { handler, client: { name: "first" } }, async (lab, serving) => {
    serving.peers[0]?.disconnect(new Status("PERMISSION_DENIED", "out"));
    assert.equal((await lab.connection.closed).code, "PERMISSION_DENIED");
    await assert.rejects(lab.echo("hi"), hasCode("UNAVAILABLE"));
    const stubborn = await LabClient.connect(transport(serving.urls[0] ?? ""), {
      name: "second",
      handler: { onClosedByServer: () => ({ afterMs: 1 }) },
    });
    serving.peers[0]?.disconnect(new Status("PERMISSION_DENIED", "out"));
    await connected.until(3);
    await stubborn.close();
  });
  assert.deepEqual(connected.all, ["first", "second", "second"]);
});

test("a server with others speaks the same protocol to each, and broadcasts", async () => {
  const told = new Recorder<string>();
  await talk(TCP, {}, async (_, serving) => {
    const [url = ""] = serving.urls;
    const clients = await Promise.all(
      ["a", "b", "c"].map((name) => LabClient.connect(transport(url), { name, handler: { onNote: (message) => told.record(`${name} ${message}`) } })),
    );
    const b = serving.peers.find(({ connection }) => connection.clientName === "b");
    assert.ok(b !== undefined);
    assert.equal(serving.others(b).note("hello"), 3, "the first client has no name here");
    assert.deepEqual([...(await told.until(2))].sort(), ["a hello", "c hello"]);
    await Promise.all(clients.map((client) => client.close()));
  });
});

test("one more connection than there may be is refused by name", async () => {
  await talk(TCP, { server: { maxConnections: 1 } }, async (lab, serving) => {
    await assert.rejects(LabClient.connect(transport(serving.urls[0] ?? "")), hasCode("RESOURCE_EXHAUSTED", /too many connections: this server takes 1 at once/));
    assert.equal(await lab.echo("hi"), "hi");
  });
});

test("a server does not listen where others can read, nor a client tell who it is", async () => {
  await assert.rejects(LabServer.listen("tcp://0.0.0.0:0", {}), /others could read what is sent/);
  const serving = await LabServer.listen("tcp://0.0.0.0:0?insecure=true", handlers);
  await serving.close();
});

test("settings of servers that cannot be used are errors that name them", async () => {
  for (const [url, text] of [
    ["tcp://127.0.0.1:0?sesion_expiry=1s", /unknown setting `sesion_expiry`/],
    ["tcp://127.0.0.1:0?connect_timeout=1s", /unknown setting `connect_timeout`/],
    ["tls://127.0.0.1:0", /needs a certificate and its key/],
    ["udp://127.0.0.1:0", /a server listens at tcp/],
    ["unix:///tmp?mode=999", /setting `mode`/],
    ["unix:///tmp", /is not a socket/],
  ] as const) {
    await assert.rejects(LabServer.listen(url, {}), text, url);
  }
  await assert.rejects(LabServer.listen(TCP, {}, { also: ["tcp://127.0.0.1:0?max_body=1MiB"] }), /unknown setting `max_body`/);
});

test("what cannot be connected to says why", async () => {
  const folder = await mkdtemp(join(tmpdir(), "msip-"));
  await assert.rejects(LabClient.connect(transport("tcp://127.0.0.1:1")), hasCode("UNAVAILABLE", /nobody listens there/));
  await assert.rejects(LabClient.connect(transport(`unix://${folder}/none.sock`)), hasCode("UNAVAILABLE", /there is no socket/));
  await assert.rejects(LabClient.connect(transport("tcp://127.0.0.1:1,127.0.0.1:2")), hasCode("UNAVAILABLE", /no address can be connected to: .*:1.*:2/));
  await rm(folder, { recursive: true });
  await talk("ws://127.0.0.1:0/lab", {}, async (_, serving) => {
    const [url = ""] = serving.urls;
    await assert.rejects(LabClient.connect(transport(url.replace("/lab", "/other"))), hasCode("UNAVAILABLE", /404 Not Found: there is nothing at "\/other"/));
    await assert.rejects(LabClient.connect(transport(url.replace("ws:", "tcp:").replace("/lab", ""))), Status);
  });
  await talk(TCP, {}, async (_, serving) => {
    const [url = ""] = serving.urls;
    await assert.rejects(LabClient.connect(transport(url.replace("tcp:", "ws:"))), Status);
    await assert.rejects(LabClient.connect(transport(url.replace("tcp:", "tls:"))), Status);
    await assert.rejects(LabClient.connect(transport(`${url}?topic=room`)), hasCode("FAILED_PRECONDITION", /is no broker/));
  });
});

test("an answer that cannot be read is a fault of the peer, not of the request", async () => {
  const handler: LabServerHandler = { onEcho: () => UNREADABLE, onCount: () => [UNREADABLE], onJoin: () => UNREADABLE };
  await talk(TCP, { handler }, async (lab) => {
    const isFault = hasCode("INTERNAL", /^the answer cannot be read: .*field 1 is cut off$/);
    await assert.rejects(lab.echo("hi"), isFault);
    await assert.rejects(lab.count("1").next(), isFault);
    await assert.rejects(lab.join(["a"]), isFault);
    await assert.rejects(lab.echo(UNREADABLE), hasCode("INVALID_ARGUMENT"));
  });
});

test("a message that cannot be written is a fault of whoever writes it", async () => {
  const handler: LabServerHandler = { onEcho: () => UNWRITABLE, onCount: () => [UNWRITABLE], onJoin: () => UNWRITABLE };
  const told = new Recorder<string>();
  const server: ServerOptions = { onError: (error, what) => told.record(`${what}: ${(error as Error).message}`) };
  await talk(TCP, { handler, server }, async (lab) => {
    const isFault = hasCode("INTERNAL", /^cannot encode (echoed|counted|joined) \(\d\): lab\.Text\.size: expected/);
    await assert.rejects(lab.echo("hi"), isFault);
    await assert.rejects(lab.count("1").next(), isFault);
    await assert.rejects(lab.join(["a"]), isFault);
    assert.deepEqual(told.all.map((text) => /^the handler of (\w+) failed: cannot encode \w+ \(\d\): lab\.Text\.size/.exec(text)?.[1]), ["echo", "count", "join"]);
    await assert.rejects(lab.note(UNWRITABLE), hasCode("INTERNAL", /^cannot encode note \(2\): /));
  });
});
