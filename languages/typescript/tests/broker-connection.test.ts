/** Many clients in one connection to a broker, which the tests of Rust start: `MSIP_TEST_BROKER` says where it listens. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { BrokerConnection, type BrokerOptions } from "../src/broker/index.js";
import { ConnectError, SettingError, Status } from "../src/index.js";
import { transport } from "../src/node/index.js";
import { SchemaComparison } from "../src/schema/index.js";
import { Cuttable } from "./cuttable.js";
import { LabClient, LabServer, Recorder, handlers, signalled, type LabPeer } from "./lab.js";
import { NotesClient, NotesServer, version } from "./versions.js";

const broker = process.env["MSIP_TEST_BROKER"] ?? "";
let topics = 0;

function topic(): string {
  topics += 1;
  return `shared-${process.pid}-${topics}`;
}

const OLD = await version("1 text implicit string");
const NEW = await version("1 text implicit string\n2 size implicit int32");

/** What is closed when the test is over, the last first. */
async function closing(body: (over: <C extends { close(): Promise<unknown> }>(what: C) => C) => Promise<void>): Promise<void> {
  const all: { close(): Promise<unknown> }[] = [];
  try {
    await body((what) => (all.push(what), what));
  } finally {
    for (const what of all.reverse()) await what.close();
  }
}

function share(options?: BrokerOptions): Promise<BrokerConnection> {
  return BrokerConnection.connect(transport(broker), options);
}

/** A client of the notes, as a generated class has it. */
const Notes = { connect: (...given: Parameters<typeof NotesClient.connect> extends [unknown, ...infer Rest] ? Rest : never) => NotesClient.connect(NEW, ...given) };

function hasCode(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Status, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };
}

describe("a shared connection", { skip: broker === "" && "there is no broker: MSIP_TEST_BROKER" }, () => {
  test("has clients of several protocols, each at its topic", async () => {
    await closing(async (over) => {
      const [labAt, notesAt] = [topic(), topic()];
      const peers = new Recorder<LabPeer>();
      const service = over(await LabServer.attach(`${broker}/${labAt}`, { ...handlers, onClientConnected: (peer) => peers.record(peer) }));
      over(await NotesServer.attach(OLD, `${broker}/${notesAt}`, { onAskReq: (request) => `noted ${request}` }, { onSchemaDifference: () => {} }));
      const shared = over(await share());
      const notes = new Recorder<string>();
      const lab = await shared.client(LabClient, labAt, { handler: { onNote: (note, { topic }) => notes.record(`${note} at ${topic}`), onAsk: (question) => `${question} me` } });
      const schemas = new SchemaComparison(NEW.description, { onDifference: () => {} });
      const client = await shared.client(Notes, notesAt, { description: schemas });
      assert.equal(await lab.echo("hi"), "hi");
      assert.equal(await client.askReq("hi"), "noted hi");
      const numbers: string[] = [];
      for await (const number of lab.count("300")) numbers.push(number);
      assert.equal(numbers.length, 300);
      assert.equal(await lab.join(["a", "b"]), "a b");
      const [peer] = await peers.until(1);
      assert.equal(await peer?.ask("who?"), "who? me");
      service.everyone().note("all");
      await peer?.note("you");
      assert.deepEqual(await notes.until(2), [`all at ${labAt}`, `you at ${labAt}/$to/${shared.connection.peerId.toString(16).padStart(16, "0")}`]);
      assert.match(String(await schemas.compared(client.connection)), /only on the client/);
      assert.deepEqual([client.connection.isOtherSchema, lab.connection.isOtherSchema], [true, false]);
      assert.equal(lab.connection.state, "connected");
      assert.ok((await lab.connection.ping()) >= 0);
    });
  });

  test("has one client at a topic, and one that is closed makes place for another", async () => {
    await closing(async (over) => {
      const at = topic();
      over(await LabServer.attach(`${broker}/${at}`, handlers));
      const shared = over(await share());
      const first = await shared.client(LabClient, at);
      await assert.rejects(shared.client(LabClient, at), (error) => error instanceof ConnectError && hasCode("ALREADY_EXISTS", /is at the topic/)(error));
      const answer = first.echo("open");
      await first.close();
      assert.equal(await answer, "open", "a call that was open is answered");
      assert.equal(first.connection.state, "closed");
      await assert.rejects(first.echo("late"), hasCode("CANCELLED", /the client is closed/));
      await assert.rejects(first.note("late"), hasCode("CANCELLED", /the client is closed/));
      await assert.rejects(first.count("1").next(), hasCode("CANCELLED", /the client is closed/));
      const second = await shared.client(LabClient, at);
      assert.equal(await second.echo("hi"), "hi");
      await shared.close();
      assert.equal((await second.connection.closed).code, "CANCELLED");
    });
  });

  test("a client whose handler is stuck holds up no other", async () => {
    await closing(async (over) => {
      const [stuckAt, at] = [topic(), topic()];
      const services = await Promise.all([stuckAt, at].map((at) => LabServer.attach(`${broker}/${at}`, handlers)));
      for (const service of services) over(service);
      const counting = new Cuttable(broker);
      const shared = over(await BrokerConnection.connect(counting, { drainTimeoutMs: 100 }));
      const gate = signalled();
      const stuck = await shared.client(LabClient, stuckAt, { handler: { onNote: () => gate.promise } });
      const notes = new Recorder<string>();
      await shared.client(LabClient, at, { handler: { onNote: (note) => notes.record(note) } });
      // More than its window, and more than that of the connection.
      const note = ".".repeat(1000);
      for (let count = 0; count < 1200; count++) {
        while (services[0]?.everyone().note(note) === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(await stuck.echo("behind them"), "behind them");
      for (let count = 0; count < 300; count++) {
        while (services[1]?.everyone().note(String(count)) === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      assert.deepEqual(await notes.until(300), Array.from({ length: 300 }, (_, count) => String(count)));
      assert.ok(counting.received < 600_000, `what the stuck one has no window for waits in the broker, and ${counting.received} bytes have come`);
      gate.happened();
    });
  });

  test("is made again when it is lost, and each client hears of it", async () => {
    await closing(async (over) => {
      const [one, two] = [topic(), topic()];
      for (const at of [one, two]) over(await LabServer.attach(`${broker}/${at}`, handlers));
      const cutting = new Cuttable(broker);
      const shared = over(await BrokerConnection.connect(cutting, { reconnectMinMs: 1, reconnectMaxMs: 5 }));
      const events = new Recorder<string>();
      const join = (at: string): Promise<LabClient> =>
        shared.client(LabClient, at, {
          handler: {
            async onConnected(client, { resumed }) {
              events.record(`${at} ${resumed} ${await client.echo("in")}`);
            },
            onDisconnected: () => events.record(`${at} lost`),
          },
        });
      const clients = [await join(one), await join(two)];
      cutting.cut();
      const all = await events.until(6);
      assert.deepEqual(all.slice(0, 4), [`${one} false in`, `${two} false in`, `${one} lost`, `${two} lost`]);
      assert.deepEqual(new Set(all.slice(4)), new Set([`${one} true in`, `${two} true in`]));
      assert.deepEqual(await Promise.all(clients.map((client) => client.echo("back"))), ["back", "back"]);
    });
  });

  test("a client that cannot log in is closed, and the others go on", async () => {
    await closing(async (over) => {
      const [one, two] = [topic(), topic()];
      for (const at of [one, two]) over(await LabServer.attach(`${broker}/${at}`, handlers));
      const cutting = new Cuttable(broker);
      const shared = over(await BrokerConnection.connect(cutting, { reconnectMinMs: 1, reconnectMaxMs: 5 }));
      await assert.rejects(
        shared.client(LabClient, one, { handler: { onConnected: () => Promise.reject(new Status("PERMISSION_DENIED", "not today")) } }),
        (error) => error instanceof ConnectError && hasCode("PERMISSION_DENIED", /not today/)(error),
      );
      let logins = 0;
      const failing = await shared.client(LabClient, one, {
        handler: {
          onConnected() {
            if (++logins > 1) throw new Status("PERMISSION_DENIED", "once only");
          },
        },
      });
      const other = await shared.client(LabClient, two);
      cutting.cut();
      assert.ok(hasCode("PERMISSION_DENIED", /once only/)(await failing.connection.closed));
      assert.equal(await other.echo("hi"), "hi");
      await assert.rejects(failing.echo("hi"), hasCode("PERMISSION_DENIED", /once only/));
    });
  });

  test("what is not shared is refused", async () => {
    await assert.rejects(BrokerConnection.connect(transport(`${broker}/room`)), SettingError);
    await closing(async (over) => {
      const shared = over(await share());
      const client = await shared.client(LabClient, topic());
      await assert.rejects(client.connection.subscribe("news/+"), hasCode("UNIMPLEMENTED", /its topic alone/));
      const server = over(await LabServer.listen("tcp://127.0.0.1:0", handlers));
      await assert.rejects(BrokerConnection.connect(transport(server.urls[0] ?? "")), hasCode("FAILED_PRECONDITION", /speaks `lab`/));
    });
  });
});
