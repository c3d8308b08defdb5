/** Bodies in zstd, where Node.js has it. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { gzip, transport, zstd } from "../src/node/index.js";
import { LabClient, LabServer, handlers } from "./lab.js";

const skip = zstd === undefined && `zlib of Node.js ${process.version} has no zstd: it needs 22.15 or newer`;

test("bodies are compressed by zstd where both ends have it", { skip }, async () => {
  assert.ok(zstd);
  let packed = 0;
  const counting = { ...zstd, unpack: (bytes: Uint8Array, max: number) => ((packed += bytes.length), zstd!.unpack(bytes, max)) };
  const server = await LabServer.listen("tcp://127.0.0.1:0", handlers, { compressions: [gzip, counting] });
  const client = await LabClient.connect(transport(`${server.urls[0] ?? ""}?compress=zstd`), { compress: zstd });
  const text = "all work and no play ".repeat(5000);
  assert.equal(await client.echo(text), text);
  assert.ok(packed > 0 && packed < 1000, `${packed} bytes`);
  await client.close();
  await server.close();
});
