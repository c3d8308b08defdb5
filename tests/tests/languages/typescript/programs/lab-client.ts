// A client of the protocol `lab` that plays one part after the other, and says how each went:
//
//     node lab-client.mjs <URL> <part>

import assert from "node:assert/strict";
import { createInterface } from "node:readline";

import { Status, json, messagePack, type ClientOptions } from "msip";
import { gzip, transport } from "msip/node";
import { LAB_DESCRIPTION, LAB_JSON, LabClient, type LabClientHandler } from "./generated/lab.js";

const [url = "", part = ""] = process.argv.slice(2);

/** What the URL may name has to be there. */
const codec = url.includes("codec=msgpack") ? messagePack(LAB_JSON) : url.includes("codec=json") ? json(LAB_JSON) : undefined;

async function connect(handler: Partial<LabClientHandler> = {}, options: ClientOptions = {}): Promise<LabClient> {
  return LabClient.connect(transport(url), {
    ...options,
    codec,
    compress: url.includes("compress=gzip") ? gzip : undefined,
    name: "node",
    reconnectMinMs: 1,
    reconnectMaxMs: 50,
    handler: { onAskReq: ({ question }) => ({ answer: `${question} node` }), ...handler },
  });
}

async function hasCode(code: string, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof Status, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

async function numbers(items: AsyncIterable<{ number: bigint }>): Promise<bigint[]> {
  const all: bigint[] = [];
  for await (const { number } of items) all.push(number);
  return all;
}

const PARTS: Record<string, () => Promise<void>> = {
  /** Each shape of an exchange. */
  async everything() {
    const lab = await connect();
    const ballast = new Uint8Array(300_000).fill(7);
    const echo = await lab.echoReq({ text: "grüße", ballast });
    assert.equal(echo.text, "grüße");
    assert.deepEqual(Buffer.compare(echo.ballast, ballast), 0);
    await lab.noteInd({ number: 1n });
    await lab.tickInd();
    await lab.alarmInd({ number: 2n });
    await lab.saveInd({ number: 3n });
    await hasCode("FAILED_PRECONDITION", lab.saveInd({ number: 13n }));
    assert.equal((await lab.actReq({ what: "ask" })).done, "who? node");
    await hasCode("NOT_FOUND", lab.actReq({ what: "fail" }));
    await hasCode("INTERNAL", lab.actReq({ what: "panic" }));
    await hasCode("DEADLINE_EXCEEDED", lab.actReq({ what: "hang" }, { timeoutMs: 50 }));
    const remaining = Number((await lab.actReq({ what: "remaining" }, { timeoutMs: 7000 })).done);
    assert.ok(remaining > 0 && remaining <= 7000, String(remaining));
    assert.deepEqual(await numbers(lab.countReq({ from: 100n, to: 300n, ballastLen: 10 })), Array.from({ length: 200 }, (_, at) => BigInt(at + 100)));
    await assert.rejects(numbers(lab.countReq({ from: 13n })), /not from thirteen/);
    await assert.rejects(numbers(lab.countReq({ from: 1n })), /not thirteen/);
    const items = Array.from({ length: 2000 }, (_, at) => ({ number: BigInt(at + 100) }));
    assert.equal((await lab.sumReq(items)).sum, items.reduce((sum, { number }) => sum + number, 0n));
    await hasCode("FAILED_PRECONDITION", lab.sumReq([{ number: 1n }, { number: 13n }, { number: 1n }]));
    const shouted: string[] = [];
    for await (const { text } of lab.shoutReq([{ text: "a" }, { text: "b" }])) shouted.push(text);
    assert.deepEqual(shouted, ["A", "B"]);
    assert.equal((await Promise.all(Array.from({ length: 500 }, (_, at) => lab.echoReq({ text: String(at) })))).at(-1)?.text, "499");
    assert.ok((await lab.connection.ping()) >= 0);
    await lab.close();
  },

  /** A server compares the schemas before it handles anything. */
  async described() {
    const said = (error: unknown): string => (error instanceof Status ? `${error.code}: ${error.message}` : String(error));
    for (const description of [undefined, LAB_DESCRIPTION]) {
      try {
        const lab = await connect({}, { description });
        try {
          const { text } = await lab.echoReq({ text: "understood" });
          console.log(text);
          await lab.close();
        } catch {
          // What the call says is that it was not accepted.
          console.log(said(await lab.connection.closed));
        }
      } catch (error) {
        console.log(said(error));
      }
    }
  },

  /** What a broker carries, at the topic of the URL. */
  async broker() {
    const told: bigint[] = [];
    const lab = await connect({ onNoteInd: ({ number }) => void told.push(number) });
    assert.equal((await lab.echoReq({ text: "hi" })).text, "hi");
    await lab.noteInd({ number: 1n });
    await lab.saveInd({ number: 2n });
    assert.equal((await lab.actReq({ what: "ask" })).done, "who? node");
    assert.equal((await numbers(lab.countReq({ from: 100n, to: 500n }))).length, 400);
    assert.equal((await lab.sumReq([{ number: 1n }, { number: 2n }])).sum, 3n);
    const [direct, other] = [await connect(), await connect()];
    await other.connection.subscribe("news/+");
    await direct.connection.subscribe("news/today");
    await direct.connection.unsubscribe("news/today");
    await hasCode("PERMISSION_DENIED", direct.connection.subscribe("$in"));
    await Promise.all([lab, direct, other].map((client) => client.close()));
  },

  /** Frames that are as large as may be, and one more. */
  async large() {
    const lab = await connect();
    // A body has its message's head besides.
    const most = new Uint8Array(4 * 2 ** 20 - 20);
    assert.equal((await lab.echoReq({ ballast: most })).ballast.length, most.length);
    await hasCode("RESOURCE_EXHAUSTED", lab.echoReq({ ballast: new Uint8Array(4 * 2 ** 20) }));
    await hasCode("RESOURCE_EXHAUSTED", lab.actReq({ what: "large" }));
    assert.equal((await lab.echoReq({ text: "still here" })).text, "still here");
    await lab.close();
  },

  /** A stream that is left, and one that is aborted: the server hears of both. */
  async cancel() {
    const lab = await connect();
    for await (const { number } of lab.countReq({})) {
      if (number === 100n) break;
    }
    const abort = new AbortController();
    const hanging = lab.actReq({ what: "hang" }, { signal: abort.signal });
    await lab.connection.ping();
    abort.abort();
    await hasCode("CANCELLED", hanging);
    await lab.echoReq({ text: "hi" });
    console.log("cancelled");
    await new Promise((resolve) => process.stdin.once("end", resolve).resume());
    await lab.close();
  },

  /** Deliveries, as many as lines are told, however often the connection is cut. */
  async deliver() {
    let resumed = 0;
    const handler: Partial<LabClientHandler> = {
      onConnected: (_, event) => void (resumed += Number(event.resumed)),
      onSessionLost: ({ message }) => {
        console.log(`the session was lost: ${message}`);
        process.exit(1);
      },
    };
    // The first attempt may fail, too.
    let lab: LabClient | undefined;
    while (lab === undefined) lab = await connect(handler, { bufferDisconnected: 65_536 }).catch(() => undefined);
    console.log("connected");
    let next = 0n;
    for await (const _ of createInterface({ input: process.stdin })) {
      const round = Array.from({ length: 20 }, () => lab.saveInd({ number: 100n + next++ }));
      console.log("sending");
      await Promise.all(round);
      console.log("sent");
    }
    console.log(`resumed ${resumed}`);
    await lab.close();
  },

  /** A server that is killed, and another one in its place. */
  async killed() {
    let hasLost: (status: Status) => void = () => {};
    const lost = new Promise<Status>((resolve) => {
      hasLost = resolve;
    });
    let logins = 0;
    const lab = await connect({
      onConnected: () => void (logins += 1),
      onSessionLost: hasLost,
    });
    const hanging = lab.actReq({ what: "hang" });
    const failed = hasCode("UNKNOWN", hanging);
    await lab.connection.ping();
    console.log("hanging");
    await lost;
    await failed;
    while (logins < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal((await lab.echoReq({ text: "hi" })).text, "hi");
    await lab.close();
  },
};

await PARTS[part]?.();
console.log("done");
