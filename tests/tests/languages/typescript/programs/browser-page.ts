// What a page does in the tests of browsers: its functions are called by browser.mjs.

import { Status, type ClientOptions } from "msip";
import { LabClient, type LabClientHandler } from "./generated/lab.js";

/** Tells the test a line; the test's script defines it. */
declare function tell(line: string): void;

let lab: LabClient | undefined;

function client(): LabClient {
  if (lab === undefined) throw new Error("not connected");
  return lab;
}

/** Connects, and tells of each connect and each end of one. */
export async function connect(url: string, options: ClientOptions = {}): Promise<void> {
  const handler: LabClientHandler = {
    onAskReq: ({ question }) => ({ answer: `${question} page` }),
    onNoteInd: ({ number }) => tell(`note ${number}`),
    onConnected: (_, { resumed }) => tell(`connected ${resumed}`),
    onDisconnected: ({ message }) => tell(`disconnected: ${message}`),
  };
  lab = await LabClient.connect(url, { ...options, handler, name: "page", reconnectMinMs: 1 });
}

/** Each shape of an exchange; what came of it. */
export async function everything(): Promise<string[]> {
  const log: string[] = [];
  const chat = client();
  const ballast = new Uint8Array(200_000).fill(7);
  const echo = await chat.echoReq({ text: "grüße", ballast });
  log.push(`${echo.text} ${echo.ballast.length}`);
  log.push((await chat.actReq({ what: "ask" })).done);
  await chat.saveInd({ number: 1n });
  let sum = 0n;
  for await (const { number } of chat.countReq({ from: 100n, to: 1100n })) sum += number;
  log.push(String(sum));
  log.push(String((await chat.sumReq(Array.from({ length: 1000 }, (_, at) => ({ number: BigInt(at + 100) })))).sum));
  for await (const { text } of chat.shoutReq([{ text: "a" }, { text: "b" }])) log.push(text);
  for await (const { number } of chat.countReq({})) {
    if (number === 50n) break;
  }
  const abort = new AbortController();
  const hanging = chat.actReq({ what: "hang" }, { signal: abort.signal });
  await chat.connection.ping();
  abort.abort();
  log.push(await hanging.then(() => "answered", (error: Status) => error.code));
  log.push(await chat.actReq({ what: "fail" }).then(() => "answered", (error: Status) => `${error.code}: ${error.message}`));
  return log;
}

/** Deliveries while the test cuts the connection; how many were acknowledged. */
export async function deliver(first: number, count: number): Promise<number> {
  const sent = Array.from({ length: count }, (_, at) => client().saveInd({ number: BigInt(first + at) }));
  tell("sending");
  return (await Promise.all(sent)).length;
}

/** A call. */
export async function echo(text: string): Promise<string> {
  return (await client().echoReq({ text })).text;
}

/** Where the client is. */
export function state(): string {
  return client().connection.state;
}

/** Says goodbye. */
export async function close(): Promise<void> {
  await client().close();
}
