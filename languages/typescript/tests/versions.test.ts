/** Clients and servers of different versions of a schema: what they learn of each other, and who is served. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { ConnectError, Status, type ClientHandler, type ClientOptions, type Protocol } from "../src/index.js";
import { transport } from "../src/node/index.js";
import { SchemaComparison, type SchemaDifference } from "../src/schema/index.js";
import { Recorder, signalled } from "./lab.js";
import { NotesClient, NotesServer, version, type NotesHandler, type NotesPeer } from "./versions.js";

const OLD = await version("1 text implicit string");
const NEW = await version("1 text implicit string\n2 size implicit int32");
const BROKEN = await version("1 text implicit bytes");

const HARMLESS = "client-to-server `ask_req`, field `size` (2): only";
const BREAKING = "client-to-server `ask_req`, field `text` (1): string on the server, bytes on the client [wire-breaking]";

/** Connects a client of a version. */
type Connect = (protocol: Protocol, options: ClientOptions<ClientHandler<NotesClient>>) => Promise<NotesClient>;

/** Runs a conversation with a server of the old version. */
async function serve(
  handler: NotesHandler,
  schema: "any" | "compatible",
  body: (connect: Connect, differences: readonly SchemaDifference[], server: NotesServer) => Promise<void>,
  options: { maxBody?: number; protocol?: typeof OLD } = {},
): Promise<void> {
  const differences: SchemaDifference[] = [];
  const { protocol = OLD, ...more } = options;
  const server = await NotesServer.listen(protocol, { onAskReq: (request) => request, ...handler }, { ...more, schema, onSchemaDifference: (difference) => differences.push(difference) });
  const clients: NotesClient[] = [];
  const connect: Connect = async (protocol, options) => {
    const client = await NotesClient.connect(protocol, transport(server.urls[0] ?? ""), options);
    clients.push(client);
    return client;
  };
  try {
    await body(connect, differences, server);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
    await server.close();
  }
}

function hasText(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Status, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };
}

/** The options of a client that compares, and what it has been told. */
function comparing(description: string): { schemas: SchemaComparison; told: SchemaDifference[] } {
  const told: SchemaDifference[] = [];
  return { schemas: new SchemaComparison(description, { onDifference: (difference) => told.push(difference) }), told };
}

test("both sides learn what differs, and go on", async () => {
  let peer: NotesPeer | undefined;
  await serve({ onClientConnected: (connected) => void (peer = connected) }, "any", async (connect, differences) => {
    const { schemas, told } = comparing(NEW.description);
    const client = await connect(NEW, { description: schemas });
    const difference = await schemas.compared(client.connection);
    assert.equal(String(difference), `${HARMLESS} on the client [harmless]`);
    assert.equal(schemas.difference(client.connection), difference);
    assert.equal(difference?.isWireBreaking, false);
    assert.deepEqual([difference?.ourFingerprint, difference?.theirFingerprint], [NEW.fingerprint, OLD.fingerprint]);
    const [first] = difference?.differences ?? [];
    assert.deepEqual([first?.direction, first?.member, first?.fields], ["client-to-server", "ask_req", ["size"]]);
    assert.deepEqual(told, [difference]);
    const seen = await peer?.connection.schemaCompared();
    assert.equal(String(seen), `${HARMLESS} on the client [harmless]`);
    assert.equal(peer?.connection.schemaDifference, seen);
    assert.deepEqual(differences, [seen]);
    assert.equal(await client.askReq("hi"), "hi");
    // Another of the same version is not asked again, and nothing is said of it.
    await connect(NEW, { description: NEW.description });
    assert.equal(String(await peer?.connection.schemaCompared()), String(seen));
    assert.equal(differences.length, 1);
  });
});

test("nothing is compared where both have the same schema", async () => {
  let peer: NotesPeer | undefined;
  await serve({ onClientConnected: (connected) => void (peer = connected) }, "compatible", async (connect, differences) => {
    const { schemas, told } = comparing(OLD.description);
    const client = await connect(OLD, { description: schemas });
    assert.equal(await schemas.compared(client.connection), undefined);
    assert.equal(await peer?.connection.schemaCompared(), undefined);
    assert.deepEqual([differences, told], [[], []]);
  });
});

test("a server that has no description is not compared with", async () => {
  const { description: _, ...silent } = OLD;
  await serve(
    {},
    "any",
    async (connect) => {
      const { schemas, told } = comparing(NEW.description);
      const client = await connect(NEW, { description: schemas });
      const difference = await schemas.compared(client.connection);
      assert.equal(difference?.notCompared, "the server cannot describe its schema");
      assert.deepEqual([difference.isWireBreaking, difference.count, told.length], [false, 0, 1]);
    },
    { protocol: silent as typeof OLD },
  );
});

test("with `compatible` a client waits until it is compared, and nothing of it is lost", async () => {
  const events = new Recorder<string>();
  const peers: NotesPeer[] = [];
  await serve(
    {
      async onClientConnected(peer) {
        peers.push(peer);
        events.record(`connected, compared ${peer.connection.schemaDifference !== undefined}`);
        await Promise.resolve();
      },
      onNoteInd: (message) => events.record(message),
      onClientGone: () => events.record("gone"),
    },
    "compatible",
    async (connect, _, server) => {
      const client = await connect(NEW, { description: NEW.description });
      await client.noteInd("first");
      const answer = client.askReq("hi");
      await client.noteInd("second");
      assert.equal(await answer, "hi");
      assert.deepEqual(await events.until(3), ["connected, compared true", "first", "second"]);
      assert.deepEqual(server.peers, peers);
      await client.close();
      assert.equal((await events.until(4))[3], "gone");
    },
  );
});

test("with `compatible` a client of a schema that breaks is told why, and no handler hears of it", async () => {
  const heard: string[] = [];
  const handler: NotesHandler = {
    onClientConnected: () => void heard.push("connected"),
    onClientDisconnected: () => void heard.push("disconnected"),
    onClientGone: () => void heard.push("gone"),
    onNoteInd: () => void heard.push("note"),
    onAskReq: (request) => (heard.push("ask"), request),
  };
  await serve(handler, "compatible", async (connect, differences, server) => {
    const closed = signalled<Status>();
    const client = await connect(BROKEN, {
      description: BROKEN.description,
      handler: { onClosedByServer: (status) => (closed.happened(status), "stop") },
    });
    await client.noteInd("lost");
    const isRefused = hasText("FAILED_PRECONDITION", /^the schemas are not compatible, which this server requires: client-to-server `ask_req`, field `text`/);
    // What reaches the server in time is answered with the reason, and later calls are not sent.
    await assert.rejects(Promise.all([client.askReq("a"), client.askReq("b")]), isRefused);
    assert.ok(isRefused(await closed.promise));
    assert.ok(isRefused(await client.connection.closed));
    assert.equal(differences[0]?.isWireBreaking, true);
    assert.ok(String(differences[0]).startsWith(BREAKING), String(differences[0]));
    assert.deepEqual([heard, server.peers], [[], []]);
  });
});

describe("with `compatible` a client is refused that cannot be compared:", () => {
  test("it has no description", async () => {
    await serve({}, "compatible", async (connect) => {
      const connecting = connect(NEW, {});
      await assert.rejects(connecting, (error) => error instanceof ConnectError && hasText("FAILED_PRECONDITION", /, and the client cannot describe its own$/)(error));
    });
  });

  test("the server has none", async () => {
    const { description: _, ...silent } = OLD;
    await serve(
      {},
      "compatible",
      async (connect) => {
        const connecting = connect(NEW, { description: NEW.description });
        await assert.rejects(connecting, hasText("FAILED_PRECONDITION", /, and the server cannot compare them$/));
      },
      { protocol: silent as typeof OLD },
    );
  });

  for (const [name, description, maxBody, expected] of [
    ["it describes another schema than its own", OLD.description, undefined, /the client's description is of another schema than its fingerprint/],
    ["what it tells is no description", "hello\u0007\n", undefined, /the client's description cannot be read: line 1: /],
    ["it has more to tell than the server accepts", `${NEW.description}${"x".repeat(2000)}`, 1024, /the client does not describe its schema: a schema of \d+ bytes/],
  ] as const) {
    test(name, async () => {
      await serve(
        {},
        "compatible",
        async (connect) => {
          const client = await connect(NEW, { description });
          const reason = await client.connection.closed;
          assert.ok(hasText("FAILED_PRECONDITION", /^the schemas cannot be compared, which this server requires: /)(reason));
          assert.match(reason.message, expected);
        },
        maxBody === undefined ? {} : { maxBody },
      );
    });
  }
});

const broker = process.env["MSIP_TEST_BROKER"] ?? "";

test("through a broker both sides learn what differs", { skip: broker === "" && "there is no broker: MSIP_TEST_BROKER" }, async () => {
  const at = `versions-${process.pid}`;
  const { schemas, told } = comparing(NEW.description);
  const told1 = signalled<SchemaDifference>();
  const early = await NotesClient.connect(NEW, transport(`${broker}/${at}`), {
    description: new SchemaComparison(NEW.description, { onDifference: told1.happened }),
  });
  const peers = new Recorder<NotesPeer>();
  const differences: SchemaDifference[] = [];
  const service = await NotesServer.attach(
    OLD,
    `${broker}/${at}`,
    { onClientConnected: (peer) => peers.record(peer), onAskReq: (request) => request },
    { onSchemaDifference: (difference) => differences.push(difference) },
  );
  const late = await NotesClient.connect(NEW, transport(`${broker}/${at}`), { description: schemas });
  try {
    // One was there before the service, and the other hears of it as it subscribes.
    assert.equal(String(await told1.promise), `${HARMLESS} on the client [harmless]`);
    assert.equal(String(await schemas.compared(late.connection)), `${HARMLESS} on the client [harmless]`);
    assert.equal(told.length, 1);
    assert.equal(await late.askReq("hi"), "hi");
    const [peer] = await peers.until(1);
    const difference = await peer?.connection.schemaCompared();
    assert.equal(String(difference), `${HARMLESS} on the client [harmless]`);
    assert.equal(peer?.connection.schemaDifference, difference);
    assert.deepEqual(differences, [difference]);
  } finally {
    await Promise.all([early.close(), late.close()]);
    await service.close();
  }
});
