/**
 * The driver in TypeScript: what control.proto says, with the typed client of `msip`. Where it runs, in Node.js or in a page, is a
 * {@link Platform}; the runner bundles the entry of each with the package's source.
 */

import {
  Client,
  Status,
  clears,
  json,
  messagePack,
  type ClearedState,
  type Code,
  type Compression,
  type Context,
  type Member,
  type Protocol,
  type ResponseStream,
  type Transport,
} from "msip";

import { CONFORMANCE, CONFORMANCE_JSON, type ConformanceClient } from "./gen/conformance.js";
// A page has no servers, so these are types alone here.
import type { ConformancePeer, ConformanceServer } from "./gen/conformance.server.js";
import {
  decodeCommand,
  encodeReport,
  type Answer,
  type Command,
  type Connect,
  type Fail,
  type Send,
  type Serve,
  type Start,
  type Status as ToldStatus,
} from "./gen/conformance_control.js";

export type Report = NonNullable<Parameters<typeof encodeReport>[0]["report"]>;
/** What a call, a handler or a broadcast is, by its member's name. */
type ByName = Record<string, (...args: unknown[]) => unknown>;

/** A client of a version: its protocol, and what connects it. */
export interface PlayedClient {
  readonly protocol: Protocol;
  readonly client: { connect(endpoint: Transport | string, options: never): Promise<unknown> };
  readonly description?: string;
}

/** What is not the same everywhere. */
export interface Platform {
  /** What the reports call the language. */
  readonly language: string;
  readonly profiles: readonly string[];
  /** The client of each version that is played with: that of the generated code. */
  readonly clients: Readonly<Record<number, PlayedClient>>;
  /** What bodies can be compressed with. */
  readonly gzip?: Compression;
  /** What connects to a URL. */
  transport(url: string): Transport | string;
  /** Begins a server, where there are some. */
  serve?(told: Serve): Promise<Report>;
  /** Takes an encoded report to the runner. */
  write(report: Uint8Array): void;
}

const byName = (members: readonly Member[]): Map<string, Member> => new Map(members.map((member) => [member.name, member]));
export const TO_SERVER = byName(CONFORMANCE.clientToServer);
export const TO_CLIENT = byName(CONFORMANCE.serverToClient);

/** `unary_req` as TypeScript has it. */
const camel = (name: string): string => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

export const told = (error: unknown): ToldStatus => {
  if (!(error instanceof Status)) return { code: "UNKNOWN", message: String(error), headers: new Map(), details: new Map() };
  const details = new Map(error.details.map(({ typeName, value }) => [typeName, value]));
  return { code: error.code, message: error.message, headers: new Map(error.headers), details };
};

const status = (of: ToldStatus | undefined): Status =>
  new Status((of?.code ?? "UNKNOWN") as Code, of?.message ?? "", {
    headers: of?.headers ?? new Map<string, string>(),
    details: [...(of?.details ?? [])].map(([typeName, value]) => ({ typeName, value })),
  });

const find = (members: Map<string, Member>, name: string): Member => {
  const member = members.get(name);
  if (member === undefined) throw new Status("UNIMPLEMENTED", name);
  return member;
};

const encoded = (member: Member | undefined, message: unknown): Uint8Array => member?.message?.encode(message) ?? new Uint8Array(0);

/** What waits for one reader. */
class Queue<T> {
  readonly #items: T[] = [];
  readonly #readers: ((item: T) => void)[] = [];

  put(item: T): void {
    const reader = this.#readers.shift();
    if (reader === undefined) this.#items.push(item);
    else reader(item);
  }

  next(): Promise<T> {
    if (this.#items.length === 0) return new Promise((resolve) => this.#readers.push(resolve));
    return Promise.resolve(this.#items.shift() as T);
  }
}

/** How many items of a stream are still to be read. */
class Reading {
  #left: bigint;
  #wake: () => void = () => {};

  constructor(left = 0n) {
    this.#left = left;
  }

  allow(count: bigint): void {
    this.#left += count;
    this.#wake();
  }

  async next<T>(items: AsyncIterator<T>): Promise<IteratorResult<T>> {
    while (this.#left === 0n) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#left -= 1n;
    return items.next();
  }
}

type Step = { case: "answer"; value: Answer } | { case: "fail"; value: Fail } | undefined;

/** An exchange: what it is told, and the items that this side sends. `undefined` ends both. */
class Exchange {
  readonly steps = new Queue<Step>();
  readonly items = new Queue<Send | Fail | undefined>();
  readonly aborting = new AbortController();
  readonly reading: Reading;

  constructor(read = 0n) {
    this.reading = new Reading(read);
  }

  /** The items of this side's stream. */
  async *sent(member: Member | undefined): AsyncGenerator {
    for (;;) {
      const step = await this.items.next();
      if (step === undefined) return;
      if (!("message" in step)) throw status(step.status);
      for (let left = Math.max(step.count, 1); left > 0; left -= 1) yield member?.message?.decode(step.message);
    }
  }
}

/** What is closed when a case is over. */
type Closing = ConformanceClient | ConformanceServer;
type End = Closing | ConformancePeer;

export const endpoints = new Map<bigint, End>();
/** The protocol of each client. */
const versions = new Map<bigint, Protocol>();
const exchanges = new Map<bigint, Exchange>();
let last = 0n;
let platform: Platform;

const number = (): bigint => (last += 2n);

/** Peers are numbered here, with even numbers. */
const isPeer = (endpoint: bigint): boolean => endpoint % 2n === 0n;

export const report = (event: Report, id = 0n): void => platform.write(encodeReport({ id, report: event }));

const failed = (exchange: bigint, error: unknown): void =>
  report({ case: "exchangeFailed", value: { exchange, status: told(error) } });

export const silent = { onError: (): void => {} };

/** Handlers of these members, whose answers the other direction has. */
export function handlers(endpoint: bigint, held: Set<string>, heard: Map<string, Member>, said: Map<string, Member>): ByName {
  const methods: ByName = {};
  const answers = new Map([...said.values()].map((member) => [member.number, member]));
  for (const member of heard.values()) {
    if (member.handler === undefined) continue;
    const answer = member.answer === undefined ? undefined : answers.get(member.answer);
    const handle = (message: unknown, context: Context<End>): unknown => handler(endpoint, held, member, answer, message, context);
    methods[member.handler] =
      member.message === undefined
        ? (context) => handle(undefined, context as Context<End>)
        : (message, context) => handle(message, context as Context<End>);
  }
  methods["onStateCleared"] = (state, context) => cleared(endpoint, heard, state as ClearedState, context as Context<End>);
  return methods;
}

/** The number of the endpoint that handles: a client, or the peer of a server. */
const handledBy = (endpoint: bigint, { peer }: Context<End>): bigint =>
  peer instanceof Client ? endpoint : numberOf(peer as ConformancePeer);

function cleared(endpoint: bigint, heard: Map<string, Member>, { member, value }: ClearedState, context: Context<End>): void {
  report({
    case: "handling",
    value: {
      endpoint: handledBy(endpoint, context),
      exchange: number(),
      member,
      message: encoded(heard.get(member), value),
      headers: new Map(context.metadata.headers),
      correlationId: context.metadata.correlationId ?? "",
      remainingMs: 0,
      user: context.identity?.user ?? "",
      cleared: true,
    },
  });
}

function handler(endpoint: bigint, held: Set<string>, member: Member, answer: Member | undefined, message: unknown, context: Context<End>): unknown {
  const id = number();
  const exchange = new Exchange();
  exchanges.set(id, exchange);
  const { metadata, identity, remainingMs } = context;
  const stream = member.requestStream === true ? (message as AsyncIterable<unknown>) : undefined;
  report({
    case: "handling",
    value: {
      endpoint: handledBy(endpoint, context),
      exchange: id,
      member: member.name,
      message: stream === undefined ? encoded(member, message) : new Uint8Array(0),
      headers: new Map(metadata.headers),
      correlationId: metadata.correlationId ?? "",
      remainingMs: Number.isFinite(remainingMs) ? Math.floor(remainingMs) : 0,
      user: identity?.user ?? "",
      cleared: false,
    },
  });
  if (answer === undefined && !held.has(member.name)) {
    exchanges.delete(id);
    return undefined;
  }
  let hasReturned = false;
  const dropped = (): void => {
    if (!hasReturned) report({ case: "handlerDropped", value: { exchange: id } });
    hasReturned = true;
    exchanges.delete(id);
    exchange.steps.put(undefined);
    exchange.items.put(undefined);
  };
  context.signal.addEventListener("abort", dropped);
  if (stream !== undefined) void read(id, exchange, member, stream);
  if (member.responseStream === true) {
    return (async function* (): AsyncGenerator {
      try {
        yield* exchange.sent(answer);
      } finally {
        hasReturned = true;
        exchanges.delete(id);
      }
    })();
  }
  return (async () => {
    const step = await exchange.steps.next();
    hasReturned = true;
    exchanges.delete(id);
    if (step?.case === "answer") {
      for (const [name, value] of step.value.headers) context.responseHeaders.set(name, value);
      return answer?.message?.decode(step.value.message);
    }
    throw step === undefined ? new Status("UNAVAILABLE", "the case is over") : status(step.value.status);
  })();
}

/** Reads a request as far as it is told to. */
async function read(id: bigint, exchange: Exchange, member: Member, items: AsyncIterable<unknown>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  let why: ToldStatus | undefined;
  try {
    for (;;) {
      const { done, value } = await exchange.reading.next(iterator);
      if (done === true) break;
      report({ case: "item", value: { exchange: id, message: encoded(member, value) } });
    }
  } catch (error) {
    why = told(error);
  }
  report({ case: "itemsEnded", value: why === undefined ? { exchange: id } : { exchange: id, status: why } });
}

const numbers = new WeakMap<ConformancePeer, bigint>();

/** Whether a peer was here before: it is the same object over all connections of a session. */
export const isKnown = (peer: ConformancePeer): boolean => numbers.has(peer);

/** How a peer is called. */
export function numberOf(peer: ConformancePeer): bigint {
  let id = numbers.get(peer);
  if (id === undefined) numbers.set(peer, (id = number()));
  return id;
}

async function connect({ endpoint, url, credential, held, version }: Connect): Promise<void> {
  const played = platform.clients[version];
  if (played === undefined) throw new Status("UNIMPLEMENTED", `version ${version}`);
  const { protocol, description } = played;
  const settings = new URLSearchParams(url.split("?")[1]);
  const codec = { json: json(CONFORMANCE_JSON), msgpack: messagePack(CONFORMANCE_JSON) }[settings.get("codec") ?? ""];
  const options = {
    ...silent,
    ...(description !== undefined && { description }),
    name: platform.language,
    codec,
    compress: settings.get("compress") === "gzip" ? platform.gzip : undefined,
    credential: credential === "" ? undefined : credential,
    handler: {
      ...handlers(endpoint, new Set(held), byName(protocol.serverToClient), byName(protocol.clientToServer)),
      onConnected: (_: unknown, { resumed }: { resumed: boolean }) =>
        report({ case: "connected", value: { endpoint, peer: 0n, resumed, user: "", roles: [] } }),
      onDisconnected: () => report({ case: "disconnected", value: { endpoint } }),
      onSessionLost: () => report({ case: "sessionLost", value: { endpoint } }),
      onClosedByServer: (why: Status) => {
        report({ case: "closed", value: { endpoint, status: told(why) } });
        return "stop";
      },
    },
  };
  const client = await played.client.connect(platform.transport(url), options as never);
  endpoints.set(endpoint, client as ConformanceClient);
  versions.set(endpoint, protocol);
}

/** Begins an exchange, and reports its outcome. */
async function start(of: Start): Promise<void> {
  const exchange = new Exchange(of.read);
  exchanges.set(of.exchange, exchange);
  try {
    report(await begun(of, exchange));
  } catch (error) {
    failed(of.exchange, error);
  }
  exchanges.delete(of.exchange);
}

async function begun(of: Start, exchange: Exchange): Promise<Report> {
  const end = endpoints.get(of.endpoint);
  const { clientToServer, serverToClient } = versions.get(of.endpoint) ?? CONFORMANCE;
  const [said, heard] = isPeer(of.endpoint) ? [serverToClient, clientToServer] : [clientToServer, serverToClient];
  const member = find(byName(said), of.member);
  const answer = heard.find((each) => each.number === member.answer);
  let headers = new Map<string, string>();
  const hasMetadata = of.headers.size > 0 || of.correlationId !== "";
  const options = {
    signal: exchange.aborting.signal,
    ...(hasMetadata && { metadata: { headers: of.headers, ...(of.correlationId !== "" && { correlationId: of.correlationId }) } }),
    onHeaders: (of: ReadonlyMap<string, string>) => (headers = new Map(of)),
    ...(of.timeoutMs > 0 && { timeoutMs: of.timeoutMs }),
    ...(of.clears && { clears }),
  };
  const request = member.requestStream === true ? exchange.sent(member) : member.message?.decode(of.message);
  const method = (end as unknown as ByName)[camel(member.name)]?.bind(end);
  if (method === undefined) throw new Status("INVALID_ARGUMENT", "there is no such endpoint");
  const outcome = request === undefined ? method(options) : method(request, options);
  if (member.responseStream === true) {
    const stream = outcome as ResponseStream<unknown>;
    const aborted = new Promise<never>((_, reject) =>
      options.signal.addEventListener("abort", () => reject(new Status("CANCELLED", "given up"))),
    );
    // Whoever waits for an item is told.
    aborted.catch(() => {});
    for (;;) {
      const { done, value } = await Promise.race([exchange.reading.next(stream), aborted]);
      if (done === true) break;
      report({ case: "item", value: { exchange: of.exchange, message: encoded(answer, value) } });
    }
    return { case: "answered", value: { exchange: of.exchange, message: new Uint8Array(0), headers: new Map(stream.headers) } };
  }
  const value = await outcome;
  if (answer === undefined) return { case: "sent", value: { exchange: of.exchange } };
  return { case: "answered", value: { exchange: of.exchange, message: encoded(answer, value), headers } };
}

async function reset(): Promise<void> {
  for (const exchange of exchanges.values()) {
    exchange.aborting.abort();
    exchange.steps.put(undefined);
    exchange.items.put(undefined);
  }
  const closing = [...endpoints].map(([id, end]) => (isPeer(id) ? undefined : (end as Closing).close()));
  endpoints.clear();
  versions.clear();
  exchanges.clear();
  const late = new Promise((resolve) => setTimeout(resolve, 2000));
  await Promise.race([Promise.allSettled(closing), late]);
}

/** Carries a command out; what is returned is reported of it. */
async function done(command: NonNullable<Command["command"]>): Promise<Report | void> {
  switch (command.case) {
    case "connect":
      return connect(command.value);
    case "serve":
      if (platform.serve === undefined) throw new Status("UNIMPLEMENTED", `${platform.language} has no servers`);
      return platform.serve(command.value);
    case "close": {
      const end = endpoints.get(command.value.endpoint) as Closing | undefined;
      endpoints.delete(command.value.endpoint);
      await end?.close();
      return;
    }
    case "disconnect":
      return (endpoints.get(command.value.endpoint) as ConformancePeer).disconnect(status(command.value.status));
    case "broadcast": {
      const { endpoint, member, message, clears: isCleared } = command.value;
      const all = (endpoints.get(endpoint) as ConformanceServer).everyone();
      const everyone = isCleared ? all.clearing() : all;
      const send = (everyone as unknown as ByName)[camel(member)]?.bind(everyone);
      const count = send?.(find(TO_CLIENT, member).message?.decode(message)) as number;
      return { case: "done", value: { count } };
    }
    case "ping": {
      const end = endpoints.get(command.value.endpoint) as ConformanceClient;
      await end.connection.ping();
      return;
    }
    case "reset":
      return reset();
    default:
  }
}

function take({ id, command }: Command): void {
  if (command === undefined) return;
  const exchange = "exchange" in command.value ? exchanges.get(command.value.exchange) : undefined;
  switch (command.case) {
    case "start":
      void start(command.value);
      return;
    case "send":
      exchange?.items.put(command.value);
      return;
    case "end":
      exchange?.items.put(undefined);
      return;
    case "read":
      exchange?.reading.allow(command.value.count);
      return;
    case "cancel":
      exchange?.aborting.abort();
      return;
    case "answer":
      exchange?.steps.put(command);
      return;
    case "fail":
      exchange?.steps.put(command);
      exchange?.items.put(command.value);
      return;
    default:
      done(command).then(
        (event) => report(event ?? { case: "done", value: { count: 0 } }, id),
        (error: unknown) => report({ case: "failed", value: told(error) }, id),
      );
  }
}

/** Says that the driver is there, and returns what takes its commands, each as it is encoded. */
export function drive(here: Platform): (command: Uint8Array) => void {
  platform = here;
  const { language, profiles } = here;
  report({ case: "ready", value: { language, profiles: [...profiles], fingerprint: CONFORMANCE.fingerprint } });
  return (command) => take(decodeCommand(command));
}
