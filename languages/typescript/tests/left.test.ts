/** What is left of a client and a server after they were closed. A process of its own: nothing else has timers or sockets here. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { transport } from "../src/node/index.js";
import { LabClient, LabServer, handlers } from "./lab.js";

/** The timers and sockets of this process. */
function open(): string[] {
  return process.getActiveResourcesInfo().filter((name) => ["Timeout", "TCPSocketWrap", "TCPServerWrap"].includes(name));
}

test("nothing is left after a close: no timer, no socket", async () => {
  const before = open();
  const serving = await LabServer.listen("tcp://127.0.0.1:0", handlers);
  const lab = await LabClient.connect(transport(serving.urls[0] ?? ""), { reconnectMinMs: 1 });
  const abort = new AbortController();
  await lab.echo("hi", { signal: abort.signal });
  await lab.close();
  await serving.close();
  // The system closes sockets in its own turn.
  for (let turn = 0; turn < 1000 && open().length > before.length; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(open(), before);
});
