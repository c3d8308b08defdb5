// A server of the protocol `lab`, which says where it listens and what it sees, until its input ends:
//
//     node lab-server.mjs <URL>...
//
// After the word `attach` it serves the topic of one URL through a broker.

import { Status, json, messagePack } from "msip";
import { gzip } from "msip/node";
import { LAB_JSON } from "./generated/lab.js";
import { LabServer, type LabPeer, type LabServerHandler } from "./generated/lab.server.js";

const handler: LabServerHandler = {
  onEchoReq: (request) => request,
  onNoteInd: ({ number }) => console.log(`note ${number}`),
  onTickInd: () => console.log("tick"),
  onAlarmInd: ({ number }) => console.log(`alarm ${number}`),
  onSaveInd: ({ number }) => {
    console.log(`save ${number}`);
    if (number === 13n) throw new Status("FAILED_PRECONDITION", "not thirteen");
  },
  async onActReq({ what }, { peer, signal, remainingMs }) {
    const [word, rest = ""] = what.split(" ");
    switch (word) {
      case "fail":
        throw new Status("NOT_FOUND", "no such thing");
      case "panic":
        throw new Error("asked to");
      case "hang":
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
        break;
      case "ask":
        return { done: (await peer.askReq({ question: "who?" })).answer };
      case "answer":
        return { done: "x".repeat(Number(rest)) };
      case "remaining":
        return { done: String(Math.floor(remainingMs)) };
      case "tell":
        return { done: String(server.everyone().noteInd({ number: BigInt(rest) })) };
    }
    throw new Status("INVALID_ARGUMENT", `\`${what}\` is nothing to do`);
  },
  async *onCountReq({ from, to, ballastLen }) {
    if (from === 13n) throw new Status("FAILED_PRECONDITION", "not from thirteen");
    for (let number = from; to === 0n || number < to; number++) yield { number, ballast: new Uint8Array(ballastLen) };
  },
  async onSumReq(requests) {
    let sum = 0n;
    for await (const { number } of requests) {
      if (number === 13n) throw new Status("FAILED_PRECONDITION", "not thirteen");
      sum += number;
    }
    return { sum };
  },
  async *onShoutReq(requests) {
    for await (const { text } of requests) yield { text: text.toUpperCase() };
  },
  onClientConnected: (peer: LabPeer) => console.log(`connected ${peer.connection.clientName}`),
  onClientDisconnected: (_, { code }) => console.log(`disconnected ${code}`),
  onClientGone: (_, { code }) => console.log(`gone ${code}`),
};

const [url = "", ...also] = process.argv.slice(2);
const onError = (error: unknown, what: string): void => console.log(`${what}: ${String(error)}`);
const server =
  url === "attach"
    ? await LabServer.attach(also[0] ?? "", handler, { onError, reconnectMinMs: 1, reconnectMaxMs: 50 })
    : await LabServer.listen(url, handler, { also, codecs: [json(LAB_JSON), messagePack(LAB_JSON)], compressions: [gzip], onError });
for (const listening of server.urls) console.log(listening);
process.stdin.resume().once("end", () => {
  void server.close().then((cutOff) => {
    console.log(`closed ${cutOff}`);
    process.exit();
  });
});
