/** Mistakes of those who begin: each is said, with what to do instead. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { transport } from "../src/node/index.js";
import { LabClient, LabServer, handlers } from "./lab.js";

const TCP = "tcp://127.0.0.1:0";

test("a place at which nobody can listen", async () => {
  const folder = await mkdtemp(join(tmpdir(), "msip-"));
  const serving = await LabServer.listen(TCP, handlers);
  const [taken] = serving.urls;
  for (const [url, code, text] of [
    [taken, "EADDRINUSE", `cannot listen at ${taken}: somebody listens there already: end that program, or take another port`],
    [`unix://${folder}/none/lab.sock`, "EACCES", `cannot listen at unix://${folder}/none/lab.sock: its folder does not exist, or may not be written`],
    [`${TCP}/room1`, undefined, 'the URL names the topic "room1": a server that listens has none, leave it out'],
    ["tcp://127.0.0.1:70000", undefined, "`127.0.0.1:70000` is no address: expected host:port, with a port up to 65535"],
  ] as const) {
    await assert.rejects(LabServer.listen(url ?? "", handlers), (error: Error & { code?: string }) => {
      assert.equal(error.message, text);
      assert.equal(error.code, code);
      return true;
    });
  }
  await serving.close();
  await rm(folder, { recursive: true });
});

test("a handler without methods", async () => {
  class Lab {}
  for (const [handler, found] of [
    [Lab, "the function or class Lab"],
    [undefined, "undefined"],
  ] as const) {
    const text = { message: `the handler: expected an object with methods, found ${found}` };
    await assert.rejects(LabServer.listen(TCP, handler as never), text);
    await assert.rejects(LabServer.attach("tcp://127.0.0.1:1/room", handler as never), text);
  }
});

test("TLS where the server has none", async () => {
  const serving = await LabServer.listen(TCP, handlers);
  for (const scheme of ["tls", "wss"]) {
    const url = (serving.urls[0] ?? "").replace("tcp", scheme);
    await assert.rejects(LabClient.connect(transport(url)), /: the server speaks no TLS here: connect without it$/, scheme);
  }
  await serving.close();
});
