/** Connections that are lost, sessions that go on, and what is left after a close. */

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";

import { Status, type ClientOptions } from "../src/index.js";
import { transport } from "../src/node/index.js";
import { Cuttable } from "./cuttable.js";
import { LabClient, LabServer, Recorder, handlers, signalled, type LabClientHandler, type LabServerHandler } from "./lab.js";

const TCP = "tcp://127.0.0.1:0";

async function connect(url: string, handler: LabClientHandler = {}, options: ClientOptions<LabClientHandler> = {}): Promise<{ lab: LabClient; way: Cuttable }> {
  const way = new Cuttable(url);
  const lab = await LabClient.connect(way, { reconnectMinMs: 1, reconnectMaxMs: 5, ...options, handler });
  return { lab, way };
}

test("a session goes on after its connection was cut: each delivery is handled once, and calls are answered", async () => {
  const saved: string[] = [];
  const gate = signalled();
  const begun = signalled();
  const serving = await LabServer.listen(TCP, {
    ...handlers,
    onSave: (message) => {
      saved.push(message);
    },
    onEcho: async (request) => {
      if (request !== "slow") return request;
      begun.happened();
      await gate.promise;
      return "at last";
    },
  });
  const connected = new Recorder<boolean>();
  const lost: string[] = [];
  const { lab, way } = await connect(serving.urls[0] ?? "", {
    onConnected: (_, { resumed }) => connected.record(resumed),
    onSessionLost: ({ message }) => lost.push(message),
  });
  const peerId = lab.connection.peerId;
  const slow = lab.echo("slow");
  await begun.promise;
  for (let round = 0; round < 5; round++) {
    const saves = Array.from({ length: 20 }, (_, number) => lab.save(`${round} ${number}`));
    // Some were written, and their answers are under way.
    await Promise.resolve();
    way.cut();
    await Promise.all(saves);
    await connected.until(round + 2);
  }
  gate.happened();
  assert.equal(await slow, "at last");
  assert.deepEqual(saved, Array.from({ length: 100 }, (_, at) => `${Math.floor(at / 20)} ${at % 20}`));
  assert.deepEqual(connected.all, [false, true, true, true, true, true]);
  assert.deepEqual(lost, []);
  assert.equal(lab.connection.peerId, peerId);
  await lab.close();
  await serving.close();
});

test("a stream fails with its connection, and the next call goes out on the next one", async () => {
  const serving = await LabServer.listen(TCP, handlers);
  const reconnected = new Recorder<void>();
  const { lab, way } = await connect(serving.urls[0] ?? "", { onConnected: () => reconnected.record() });
  const stream = lab.count("0");
  await stream.next();
  way.cut();
  await assert.rejects(async () => {
    for await (const _ of stream);
  }, Status);
  await reconnected.until(2);
  assert.equal(await lab.echo("hi"), "hi");
  await lab.close();
  await serving.close();
});

test("a server that has forgotten the session is told of, and what was open fails", async () => {
  const first = await LabServer.listen(TCP, { onEcho: () => new Promise(() => {}) }, { drainTimeoutMs: 0 });
  const [url = ""] = first.urls;
  const lost = signalled<Status>();
  const connected = new Recorder<boolean>();
  const failures = new Recorder<number>();
  const { lab } = await connect(url, {
    onConnected: (_, { resumed }) => connected.record(resumed),
    onSessionLost: lost.happened,
    onConnectFailure: (_, attempt) => {
      failures.record(attempt);
      return "backoff";
    },
  });
  const call = lab.echo("hi");
  const failed = assert.rejects(call, Status);
  await lab.connection.ping();
  await first.close();
  await failed;
  await failures.until(3);
  assert.deepEqual(failures.all.slice(0, 3), [1, 2, 3]);
  const second = await LabServer.listen(url, handlers);
  await connected.until(2);
  assert.deepEqual(connected.all, [false, false]);
  assert.ok((await lost.promise) instanceof Status);
  assert.equal(await lab.echo("hi"), "hi");
  await lab.close();
  await second.close();
});

test("a client may give up, and a call fails at once where there is no connection", async () => {
  const serving = await LabServer.listen(TCP, handlers);
  const { lab, way } = await connect(serving.urls[0] ?? "", { onConnectFailure: (_, attempt) => (attempt === 2 ? "stop" : "backoff") });
  way.isBlocked = true;
  way.cut();
  assert.match((await lab.connection.closed).message, /blocked by the test/);
  assert.equal(lab.connection.state, "closed");
  await assert.rejects(lab.echo("hi"), Status);
  await serving.close();
});

test("a login that fails is an attempt that failed, and others wait for one that takes long", async () => {
  const serving = await LabServer.listen(TCP, { ...handlers, onClientConnected: (peer) => peer.note("welcome") });
  const [url = ""] = serving.urls;
  await assert.rejects(
    LabClient.connect(transport(url), {
      handler: {
        onConnected: () => {
          throw new Status("PERMISSION_DENIED", "no such user");
        },
      },
    }),
    (error: Status) => error.code === "PERMISSION_DENIED" && error.message === "the login has failed: no such user",
  );
  await assert.rejects(
    LabClient.connect(transport(url), { loginTimeoutMs: 20, handler: { onConnected: () => new Promise(() => {}) } }),
    (error: Status) => error.code === "DEADLINE_EXCEEDED",
  );
  const log: string[] = [];
  const gate = signalled();
  let logins = 0;
  const connected = new Recorder<void>();
  const { lab, way } = await connect(url, {
    onConnected: async (client) => {
      connected.record();
      if (++logins === 2) await gate.promise;
      log.push(await client.echo(`login ${logins}`));
    },
    onNote: (message) => {
      log.push(message);
    },
  });
  way.cut();
  await connected.until(2);
  const call = lab.echo("call").then((answer) => log.push(answer));
  gate.happened();
  await call;
  assert.deepEqual(log.filter((line) => line !== "welcome"), ["login 1", "login 2", "call"]);
  assert.equal(log[0], "login 1", "nothing is handled before the login is over");
  await lab.close();
  await serving.close();
});

test("a server that falls silent is found, and one whose writes stall too", async () => {
  const serving = await LabServer.listen(TCP, handlers);
  const { lab, way } = await connect(serving.urls[0] ?? "", {}, { pingIntervalMs: 300, writeTimeoutMs: 300 });
  // Nothing of ours arrives: the server's silence, or our own, ends the connection.
  way.isStalled = true;
  lab.echo("hi").catch(() => {});
  await new Promise<void>((resolve) => {
    const look = setInterval(() => {
      if (lab.connection.state !== "connected") {
        clearInterval(look);
        resolve();
      }
    }, 5);
  });
  way.isStalled = false;
  await way.opened.until(2);
  await lab.close();
  await serving.close();
});

test("a place that accepts and says nothing is given up in time", async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as { port: number };
  await assert.rejects(LabClient.connect(transport(`tcp://127.0.0.1:${port}?handshake_timeout=20ms`)), Status);
  await assert.rejects(LabClient.connect(transport(`ws://127.0.0.1:${port}/?connect_timeout=20ms`)), (error: Status) => error.code === "DEADLINE_EXCEEDED");
  silent.close();
});

test("sessions without a connection are bounded, and the oldest ends", async () => {
  const disconnected = new Recorder<void>();
  const serving = await LabServer.listen(TCP, { ...handlers, onClientDisconnected: () => disconnected.record() }, { maxDetachedSessions: 1 });
  const [url = ""] = serving.urls;
  const resumed: Record<string, boolean[]> = { a: [], b: [] };
  const connected = new Recorder<void>();
  const client = (name: string) =>
    connect(url, {
      onConnected: (_, event) => {
        resumed[name]?.push(event.resumed);
        connected.record();
      },
    });
  const [a, b] = [await client("a"), await client("b")];
  a.way.isBlocked = b.way.isBlocked = true;
  a.way.cut();
  await disconnected.until(1);
  b.way.cut();
  await disconnected.until(2);
  a.way.isBlocked = b.way.isBlocked = false;
  await connected.until(4);
  assert.deepEqual(resumed, { a: [false, false], b: [false, true] });
  await Promise.all([a.lab.close(), b.lab.close()]);
  await serving.close();
});

test("a session is resumed by its own subject alone", async () => {
  const serving = await LabServer.listen(TCP, handlers, {
    authenticate: ({ credential }) => ({ user: Buffer.from(credential).toString() }),
  });
  let user = "ada";
  const failures = new Recorder<string>();
  const { lab, way } = await connect(
    serving.urls[0] ?? "",
    {
      onConnectFailure: ({ code }) => {
        failures.record(code);
        return "stop";
      },
    },
    { credential: () => user },
  );
  user = "eve";
  way.cut();
  await failures.until(1);
  assert.deepEqual(failures.all, ["UNAUTHENTICATED"]);
  await lab.close();
  await serving.close();
});

test("a client that reads nothing holds up nobody else, and is cut off", async () => {
  const disconnected = signalled<Status>();
  const handler: LabServerHandler = { ...handlers, onClientDisconnected: (_, reason) => disconnected.happened(reason) };
  const serving = await LabServer.listen(TCP, handler, { writeTimeoutMs: 200, pingIntervalMs: 60_000, sessionExpiryMs: 0 });
  const [url = ""] = serving.urls;
  const { way: slowWay, lab: slow } = await connect(url, { onConnectFailure: () => "stop" }, { pingIntervalMs: 60_000 });
  const quick = await LabClient.connect(transport(url));
  const [peer] = serving.peers;
  assert.ok(peer !== undefined);
  slowWay.opened.all[0]?.pause();
  slowWay.isBlocked = true;
  const large = "x".repeat(200_000);
  // More than the system holds: then senders wait.
  const sent = Array.from({ length: 200 }, () => peer.ask(large).catch((error: Status) => error.code));
  assert.equal(await quick.echo("hi"), "hi");
  await disconnected.promise;
  assert.ok(!(await Promise.all(sent)).includes(""));
  assert.equal(await quick.echo("hi"), "hi");
  await quick.close();
  slowWay.opened.all[0]?.resume();
  await slow.close();
  await serving.close();
});
