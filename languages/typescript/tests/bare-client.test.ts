/** What a server says to a client's session that nothing drives: it does as it is told, and finishes with no message. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { transport } from "../src/node/index.js";
import { ClientSession, everyPart, type Event } from "../src/session/index.js";
import { LAB, LabServer, Recorder, handlers, signalled } from "./lab.js";

const TCP = "tcp://127.0.0.1:0";

/** A session, and its newest connection. */
class BareClient {
  readonly session = new ClientSession(LAB, {}, everyPart);
  readonly events = new Recorder<Event>();
  #connections = 0;

  /** Connects, and leaves the connection before as it is. What is heard until the end of this one is returned. */
  async connect(url: string): Promise<{ ended: Promise<string>; destroy: () => void }> {
    const { session, events } = this;
    const way = transport(url);
    const stream = await way.connect(way.addresses[0] ?? "", new AbortController().signal);
    const number = ++this.#connections;
    const { promise: ended, happened } = signalled<string>();
    let heard = "";
    if (session.phase === "open") session.lost(performance.now());
    session.begin(performance.now());
    stream.write(session.transmit());
    stream.start({
      onData: (bytes) => {
        heard += Buffer.from(bytes).toString("latin1");
        if (number !== this.#connections) return;
        session.receive(bytes, performance.now());
        for (let event = session.poll(); event !== undefined; event = session.poll()) events.record(event);
      },
      onDrain: () => {},
      onEnd: () => happened(heard),
    });
    return { ended, destroy: () => stream.destroy() };
  }
}

test("a call is sent while messages wait for credit", async (t) => {
  const serving = await LabServer.listen(TCP, handlers);
  const client = new BareClient();
  const connection = await client.connect(serving.urls[0] ?? "");
  t.after(() => {
    connection.destroy();
    return serving.close();
  });
  await client.events.until(1);
  const [peer] = serving.peers;
  assert.ok(peer !== undefined);
  // Three fit in 1 MiB, and one more may exceed what is left.
  const large = "x".repeat(300_000);
  const sent = Array.from({ length: 6 }, () => peer.note(large, { timeoutMs: 60_000 }));
  const asked = peer.ask("hi", { timeoutMs: 30_000 });
  const outcomes = Promise.allSettled([...sent, asked]);
  await Promise.race([client.events.until(6), asked]);
  assert.deepEqual(
    client.events.all.map(({ type }) => type),
    ["connected", "message", "message", "message", "message", "request"],
  );
  connection.destroy();
  await Promise.all([serving.close(), outcomes]);
});

test("a connection whose session is taken over is told so", async (t) => {
  const serving = await LabServer.listen(TCP, handlers);
  const [url = ""] = serving.urls;
  const client = new BareClient();
  const older = await client.connect(url);
  await client.events.until(1);
  const newer = await client.connect(url);
  t.after(() => {
    newer.destroy();
    return serving.close();
  });
  assert.match(await older.ended, /MSIP.*ABORTED: session taken over$/s);
  const connected = (await client.events.until(2)).map((event) => event.type === "connected" && event.resumed);
  assert.deepEqual(connected, [false, true]);
});
