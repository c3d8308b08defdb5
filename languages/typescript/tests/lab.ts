/** A protocol with one of everything, whose messages are texts: for tests of clients and servers without generated code. */

import { StreamingClient, deliveries, droppable, inboundCalls, inboundMessages, metadata, resumption, topics, urls, type CallOptions, type ClientHandler, type ClientOptions, type Context, type Member, type MessageCodec, type Protocol, type RequestStream, type ResponseStream, type Transport } from "../src/index.js";
import { EncodeError, TooLargeError } from "../src/message/index.js";
import { Broadcast, Peer, Server, type AttachOptions, type ServerHandler, type ServerOptions } from "../src/server/index.js";

/** A text that is encoded, and cannot be decoded. */
export const UNREADABLE = "unreadable";

/** A text that cannot be encoded. */
export const UNWRITABLE = "unwritable";

const text: MessageCodec = {
  name: "lab.Text",
  encode: (message: string) => {
    if (message === UNWRITABLE) throw new EncodeError("lab.Text.size", "expected a whole number, found half of one");
    return new TextEncoder().encode(message);
  },
  decode: (bytes, max = Infinity) => {
    if (bytes.length > max) throw new TooLargeError();
    const message = new TextDecoder().decode(bytes);
    if (message === UNREADABLE) throw new RangeError("field 1 is cut off");
    return message;
  },
};

function member(name: string, number: number, kind: Member["kind"], shape: Member["shape"], more: Partial<Member> = {}): Member {
  const handler = `on${name[0]?.toUpperCase()}${name.slice(1)}`;
  return { name, number, message: text, kind, shape, handler, ...more };
}

const echo = member("echo", 1, 2, 3, { answer: 1 });
const note = member("note", 2, 1, 1);
const save = member("save", 3, 1, 2);
const tick = member("tick", 4, 1, 1, { message: undefined });
const count = member("count", 5, 2, 3, { answer: 2, responseStream: true });
const join = member("join", 6, 2, 3, { answer: 3, requestStream: true });
const shout = member("shout", 7, 2, 3, { answer: 4, requestStream: true, responseStream: true });
const answered = member("answered", 8, 2, 4);

/** What clients of a broker say to each other: the same member both ways. */
const news = member("news", 9, 1, 1);
const update = member("update", 10, 1, 2);

/** Messages with a key: a text before a colon, which is their key, and what they say. As if the text were the first field of a message. */
const key = (encoded: Uint8Array): string => new TextDecoder().decode(encoded).split(":")[0] ?? "";
const gauge = member("gauge", 11, 3, 1, { key });
const gaugeSaved = member("gaugeSaved", 12, 3, 2, { key });
const drive = member("drive", 13, 1, 2, { key });
const turn = member("turn", 14, 2, 3, { key, answer: 1 });

const toldNote = member("note", 5, 1, 1);
const ask = member("ask", 6, 2, 3, { answer: 8 });

/** The protocol. */
export const LAB: Protocol = {
  name: "lab",
  fingerprint: 0x1122334455667788n,
  clientToServer: [echo, note, save, tick, count, join, shout, answered, news, update, gauge, gaugeSaved, drive, turn],
  serverToClient: [member("echoed", 1, 2, 4), member("counted", 2, 2, 4), member("joined", 3, 2, 4), member("shouted", 4, 2, 4), toldNote, ask, news, update, gauge, gaugeSaved, drive],
};

type Text = RequestStream<string>;

export class LabClient extends StreamingClient {
  static connect(endpoint: string | Transport, options?: ClientOptions<LabClientHandler>): Promise<LabClient> {
    return StreamingClient.open(LabClient, LAB, endpoint, options, { inboundMessages, inboundCalls, deliveries, droppable, metadata, resumption, topics, urls });
  }
  echo(request: string, options?: CallOptions): Promise<string> {
    return this.call<string>(echo, request, options);
  }
  note(message: string, options?: CallOptions): Promise<void> {
    return this.send(note, message, options);
  }
  save(message: string, options?: CallOptions): Promise<void> {
    return this.send(save, message, options);
  }
  news(message: string, options?: CallOptions): Promise<void> {
    return this.send(news, message, options);
  }
  update(message: string, options?: CallOptions): Promise<void> {
    return this.send(update, message, options);
  }
  gauge(message: string, options?: CallOptions): Promise<void> {
    return this.send(gauge, message, options);
  }
  gaugeSaved(message: string, options?: CallOptions): Promise<void> {
    return this.send(gaugeSaved, message, options);
  }
  drive(message: string, options?: CallOptions): Promise<void> {
    return this.send(drive, message, options);
  }
  turn(request: string, options?: CallOptions): Promise<string> {
    return this.call<string>(turn, request, options);
  }
  tick(options?: CallOptions): Promise<void> {
    return this.send(tick, undefined, options);
  }
  count(request: string, options?: CallOptions): ResponseStream<string> {
    return this.callStream<string>(count, request, options);
  }
  join(requests: Text, options?: CallOptions): Promise<string> {
    return this.sendStream<string>(join, requests, options);
  }
  shout(requests: Text, options?: CallOptions): ResponseStream<string> {
    return this.callBoth<string>(shout, requests, options);
  }
}

export interface LabClientHandler extends ClientHandler<LabClient> {
  onNote?(message: string, context: Context<LabClient>): void | Promise<void>;
  onNews?(message: string, context: Context<LabClient>): void | Promise<void>;
  onUpdate?(message: string, context: Context<LabClient>): void | Promise<void>;
  onGauge?(message: string, context: Context<LabClient>): void | Promise<void>;
  onGaugeSaved?(message: string, context: Context<LabClient>): void | Promise<void>;
  onDrive?(message: string, context: Context<LabClient>): void | Promise<void>;
  onAsk?(request: string, context: Context<LabClient>): string | Promise<string>;
}

export class LabPeer extends Peer {
  note(message: string, options?: CallOptions): Promise<void> {
    return this.send(toldNote, message, options);
  }
  gauge(message: string, options?: CallOptions): Promise<void> {
    return this.send(gauge, message, options);
  }
  drive(message: string, options?: CallOptions): Promise<void> {
    return this.send(drive, message, options);
  }
  ask(request: string, options?: CallOptions): Promise<string> {
    return this.call<string>(ask, request, options);
  }
}

export interface LabServerHandler extends ServerHandler<LabPeer> {
  onEcho?(request: string, context: Context<LabPeer>): string | Promise<string>;
  onNote?(message: string, context: Context<LabPeer>): void | Promise<void>;
  onSave?(message: string, context: Context<LabPeer>): void | Promise<void>;
  onGauge?(message: string, context: Context<LabPeer>): void | Promise<void>;
  onDrive?(message: string, context: Context<LabPeer>): void | Promise<void>;
  onTurn?(request: string, context: Context<LabPeer>): string | Promise<string>;
  onTick?(context: Context<LabPeer>): void | Promise<void>;
  onCount?(request: string, context: Context<LabPeer>): AsyncIterable<string> | Iterable<string>;
  onJoin?(requests: AsyncIterable<string>, context: Context<LabPeer>): string | Promise<string>;
  onShout?(requests: AsyncIterable<string>, context: Context<LabPeer>): AsyncIterable<string>;
}

export class LabBroadcast extends Broadcast {
  note(message: string): number {
    return this.sendAll(toldNote, message);
  }
  gauge(message: string): number {
    return this.sendAll(gauge, message);
  }
}

export class LabServer extends Server<LabPeer> {
  static listen(endpoint: string, handler: LabServerHandler, options?: ServerOptions): Promise<LabServer> {
    return Server.open(LabServer, LabPeer, LAB, endpoint, handler, options);
  }
  static attach(endpoint: string | Transport, handler: LabServerHandler, options?: AttachOptions): Promise<LabServer> {
    return Server.attachTo(LabServer, LabPeer, LAB, endpoint, handler, options);
  }
  everyone(): LabBroadcast {
    return this.broadcast(LabBroadcast);
  }
  others(peer: LabPeer): LabBroadcast {
    return this.broadcast(LabBroadcast, peer);
  }
}

/** Counts up to a number, or without end for 0; handlers of everything. */
export const handlers: LabServerHandler = {
  onEcho: (request) => request,
  async *onCount(request) {
    const to = Number(request) || Infinity;
    for (let number = 0; number < to; number++) yield String(number);
  },
  async onJoin(requests) {
    const parts: string[] = [];
    for await (const part of requests) parts.push(part);
    return parts.join(" ");
  },
  async *onShout(requests) {
    for await (const request of requests) yield request.toUpperCase();
  },
};

/** Resolves when something has happened, which `happened` says. */
export function signalled<T = void>(): { promise: Promise<T>; happened: (value: T) => void } {
  let happened: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    happened = resolve;
  });
  return { promise, happened };
}

/** What is recorded, and may be awaited. */
export class Recorder<T> {
  readonly all: T[] = [];
  #waiting: { count: number; resolve: () => void }[] = [];

  record(value: T): void {
    this.all.push(value);
    const ready = this.#waiting.filter(({ count }) => count <= this.all.length);
    this.#waiting = this.#waiting.filter(({ count }) => count > this.all.length);
    for (const { resolve } of ready) resolve();
  }

  /** Waits until so many were recorded. */
  async until(count: number): Promise<readonly T[]> {
    if (this.all.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    }
    return this.all;
  }
}
