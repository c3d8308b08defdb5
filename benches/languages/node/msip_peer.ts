/** MSIP, by its package for TypeScript: `server`, or `client PORT LOAD AMOUNT WARM_UP`. */

import { BenchClient } from "#ours/bench";
import { BenchServer } from "#ours/bench.server";
import { transport } from "msip/node";

import { play } from "./load";

const [role, port, ...load] = process.argv.slice(2);

if (role === "server") {
  let count = 0n;
  let sum = 0n;
  const server = await BenchServer.listen("tcp://127.0.0.1:0", {
    onEchoReq: (request) => request,
    onNoteInd: (message) => {
      count += 1n;
      sum += message.number;
    },
    onTallyReq: () => {
      const tally = { count, sum };
      count = sum = 0n;
      return tally;
    },
  });
  console.log(server.urls[0]?.split(":").pop());
} else {
  const data = new Uint8Array(32);
  const client = await BenchClient.connect(transport(`tcp://127.0.0.1:${port}`));
  const caller = {
    call: async (number: bigint) => (await client.echoReq({ number, data })).number,
    tell: async (notes: number) => {
      for (let number = 0; number < notes; number += 1) await client.noteInd({ number: BigInt(number), data });
      return client.tallyReq({});
    },
  };
  await play(caller, load);
  await client.close();
}
