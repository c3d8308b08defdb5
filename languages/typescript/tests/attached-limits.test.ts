/** What a service behind a broker holds of its clients. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { PeerWindow } from "../src/attach/peer-window.js";
import { SettingError, Status } from "../src/index.js";
import { transport } from "../src/node/index.js";
import { LabClient, LabServer, Recorder, handlers, signalled } from "./lab.js";

/** A broker that forwards all it may at once, of which a half is handled so many times: how large the window was each time. */
function useUp(window: PeerWindow, times: number, connection: number): number[] {
  let size = 256;
  let left = size;
  const sizes: number[] = [];
  for (let time = 0; time < times; time++) {
    for (; left > 0; left--) assert.ok(window.receive());
    for (let handled = 0; handled < size / 2; handled++) {
      const grant = window.handled(10, connection, connection);
      if (grant === undefined) continue;
      left += grant.items + ((grant.window ?? size) - size);
      size = grant.window ?? size;
      break;
    }
    sizes.push(size);
  }
  return sizes;
}

test("a window grows while it is used up, and each connection begins with a small one", () => {
  const window = new PeerWindow();
  assert.deepEqual(useUp(window, 6, 1), [512, 1024, 2048, 4096, 4096, 4096]);
  const slow = new PeerWindow();
  const grants = Array.from({ length: 2000 }, () => (slow.receive(), slow.handled(10, 1, 1))).filter((grant) => grant !== undefined);
  assert.deepEqual(new Set(grants.map(({ items, window }) => `${items} ${window}`)), new Set(["128 undefined"]), "each is handled as it comes");
  // By another connection: what came before is not granted, and what comes is in windows of 256 again.
  assert.ok(window.receive());
  assert.equal(window.handled(10, 1, 2), undefined);
  const again = Array.from({ length: 128 }, () => (window.receive(), window.handled(10, 2, 2)));
  assert.deepEqual(again.slice(0, -1), Array.from({ length: 127 }, () => undefined));
  assert.equal(again.at(-1)?.items, 128);
});

test("a window is not counted in messages alone, and what is far beyond it is refused", () => {
  const window = new PeerWindow();
  assert.ok(window.receive());
  assert.deepEqual(window.handled(128 * 1024, 1, 1), { items: 1 });
  let count = 0;
  while (window.receive()) count += 1;
  assert.equal(count, 4 * 4096);
});

const broker = process.env["MSIP_TEST_BROKER"] ?? "";

test("a service holds no more than `maxMemory`, and loses no message", { skip: broker === "" && "there is no broker: MSIP_TEST_BROKER" }, async () => {
  const at = `limits-${process.pid}`;
  const notes = new Recorder<number>();
  const gate = signalled();
  const service = await LabServer.attach(
    `${broker}/${at}?max_memory=1MiB`,
    {
      ...handlers,
      async onNote(note) {
        await gate.promise;
        notes.record(note.length);
      },
    },
  );
  const clients = await Promise.all(Array.from({ length: 20 }, () => LabClient.connect(transport(`${broker}/${at}`))));
  try {
    const note = "x".repeat(10_000);
    for (const client of clients) for (let count = 0; count < 20; count++) await client.note(note);
    // 4 MB were sent: a call is refused once 1 MiB waits here.
    const caller = await LabClient.connect(transport(`${broker}/${at}`));
    clients.push(caller);
    let refusal: unknown;
    while (refusal === undefined) refusal = await caller.echo("?").then(() => undefined, (error: unknown) => error);
    assert.ok(refusal instanceof Status, String(refusal));
    assert.match(`${refusal.code}: ${refusal.message}`, /^RESOURCE_EXHAUSTED: memory is short: 1048576 bytes \(max_memory\)/);
    assert.ok(service.memory > 2 ** 20, `${service.memory}`);
    gate.happened();
    assert.equal((await notes.until(400)).length, 400);
    assert.equal(await caller.echo("!"), "!");
    assert.ok(service.memory < 2 ** 20, `${service.memory}`);
  } finally {
    gate.happened();
    await Promise.all(clients.map((client) => client.close()));
    await service.close();
  }
});

test("what a service may hold is checked", async () => {
  const attaching = LabServer.attach("tcp://127.0.0.1:9/room?max_memory=1KiB", {});
  await assert.rejects(attaching, (error) => error instanceof SettingError && /max_memory/.test(error.message));
});
