/** connect-es over HTTP/2: `PROTOCOL server`, or `PROTOCOL client PORT LOAD AMOUNT WARM_UP`, where PROTOCOL is `grpc` or `connect`. */

import { createServer } from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";

import { type Note, NoteSchema } from "#es/notes_pb";
import { Bench } from "#es/rpc_pb";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { play } from "./load";

const [protocol, role, port, ...load] = process.argv.slice(2);

if (role === "server") {
  const handler = connectNodeAdapter({
    routes: (router) =>
      router.service(Bench, {
        echo: (request) => request,
        tell: async (requests) => {
          let count = 0n;
          let sum = 0n;
          for await (const note of requests) {
            count += 1n;
            sum += note.number;
          }
          return { count, sum };
        },
      }),
  });
  const server = createServer(handler);
  server.on("connection", (socket: Socket) => socket.setNoDelay(true));
  server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
} else {
  const data = new Uint8Array(32);
  const baseUrl = `http://127.0.0.1:${port}`;
  // As the other contender's: without it, a call waits for what the kernel gathers.
  const createConnection = (): Socket => connect({ host: "127.0.0.1", port: Number(port), noDelay: true });
  const sessionManager = new Http2SessionManager(baseUrl, undefined, { createConnection });
  // Its own protocol is JSON unless it is told otherwise, and gRPC is not.
  const transport =
    protocol === "grpc"
      ? createGrpcTransport({ baseUrl, sessionManager })
      : createConnectTransport({ baseUrl, sessionManager, httpVersion: "2", useBinaryFormat: true });
  const client = createClient(Bench, transport);
  async function* notes(count: number): AsyncGenerator<Note> {
    for (let number = 0; number < count; number += 1) yield create(NoteSchema, { number: BigInt(number), data });
  }
  const caller = {
    call: async (number: bigint) => (await client.echo({ number, data }, { timeoutMs: 30_000 })).number,
    tell: (count: number) => client.tell(notes(count)),
  };
  await play(caller, load);
  sessionManager.abort();
}
