/** A server that is attached to a broker: its connection, and the clients that the broker introduces. */

import type { ClientConnection } from "../client/client-connection.js";
import type { ClientHandler, Reconnect } from "../client/options.js";
import { OwnConnection } from "../client/own-connection.js";
import { topics } from "../client/topics.js";
import { urls, type Choices } from "../client/urls.js";
import { protobuf, type Codec } from "../codec/index.js";
import type { Connection } from "../connection/connection.js";
import { now } from "../connection/driver.js";
import { inboundMessages } from "../connection/inbound.js";
import { inboundCalls } from "../connection/inbound-calls.js";
import { streams } from "../connection/inbound-streams.js";
import { clears } from "../connection/clearing.js";
import { encodeKeyed } from "../connection/keyed-body.js";
import { ConnectError, Status } from "../errors.js";
import { transport } from "../node/transport.js";
import type { Member, Protocol } from "../protocol.js";
import { checkHandler } from "../server/check-handler.js";
import { offer } from "../server/offer.js";
import type { Core, PeerClass } from "../server/core.js";
import type { ServerHandler } from "../server/options.js";
import type { PeerConnection } from "../server/peer-connection.js";
import { budgetOf } from "../server/process-budget.js";
import { schemasOf } from "../server/schema-check.js";
import type { PeerSchemas } from "../schema/peer-schemas.js";
import { everyPart, heldBy, limitMemory, readSubscribed, subscribe, unsubscribe, type Budget, type ClientSession } from "../session/index.js";
import { SERVER } from "../settings/server.js";
import { resolveSettings, type Setting } from "../settings/settings.js";
import type { Transport } from "../transport/transport.js";
import { BROKER_PROTOCOL, type PresenceInd } from "../wire/broker.js";
import type { AttachedPeer } from "./attached-peer.js";
import { BROKER_MEMBERS, Demux, type DemuxOwner } from "./demux.js";
import type { AttachOptions } from "./options.js";
import { checkTopicFilter } from "./topic-filter.js";

/** The first service of a topic may say that others are to have its schema (docs/protocol.md, "Subscribe"). */
const SCHEMA_RULE_STRICT = 1;

/** The setting of servers that an attached one has too. */
const MAX_MEMORY = "max_memory";

/** By so much what it holds has changed before the budget is told. */
const HELD_STEP = 65_536;

/** Codes by which a broker refuses a topic for good. */
const REFUSALS: readonly string[] = ["PERMISSION_DENIED", "FAILED_PRECONDITION", "INVALID_ARGUMENT"];

/** What holds the connection. */
class Link {
  constructor(readonly connection: ClientConnection) {}
}

export class AttachedCore implements Core, DemuxOwner {
  readonly handler: ServerHandler<unknown>;
  readonly fingerprint: bigint;
  readonly schemas: PeerSchemas | undefined;
  readonly #peerType: PeerClass<unknown>;
  readonly #protocol: Protocol;
  readonly #options: AttachOptions;
  readonly #endpoint: Transport;
  readonly #topic: string;
  readonly #chosen: Choices;
  readonly #budget: Budget;
  /** What the budget was told that it holds. */
  #held = 0;
  readonly #onError: (error: unknown, what: string) => void;
  #connection!: Connection;
  #demux!: Demux;
  #link: ClientConnection | undefined;
  /** Whether it is the first service of its topic. */
  #isFirst = false;
  #isStopping = false;
  /** Who waits for the loss of the connection. */
  #onDisconnected: (() => void) | undefined;
  #isRefused = false;
  readonly closed: Promise<void>;
  #resolveClosed: () => void = () => {};

  private constructor(peerType: PeerClass<unknown>, protocol: Protocol, endpoint: Transport, handler: ServerHandler<unknown>, options: AttachOptions) {
    this.#peerType = peerType;
    this.#protocol = protocol;
    this.#options = options;
    this.handler = handler;
    this.fingerprint = protocol.fingerprint;
    this.schemas = schemasOf(protocol, options.onSchemaDifference);
    this.#topic = endpoint.settings.get("topic") ?? "";
    checkTopicFilter(this.#topic);
    const settings = new Map(endpoint.settings);
    settings.delete("topic");
    this.#budget = budgetOf(maxMemoryOf(settings, options));
    settings.delete(MAX_MEMORY);
    this.#endpoint = { addresses: endpoint.addresses, settings, connect: (address, signal) => endpoint.connect(address, signal) };
    this.#chosen = urls.choose(settings, options);
    this.#onError = options.onError ?? ((error, what) => console.error(`${what}:`, error));
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  static async attach(
    peerType: PeerClass<unknown>,
    protocol: Protocol,
    endpoint: string | Transport,
    handler: ServerHandler<unknown>,
    options: AttachOptions,
  ): Promise<AttachedCore> {
    checkHandler(handler);
    const { tls } = options;
    const to = typeof endpoint === "string" ? transport(endpoint, tls === undefined ? {} : { tls }) : endpoint;
    const core = new AttachedCore(peerType, protocol, to, handler, options);
    await core.#open();
    return core;
  }

  get urls(): readonly string[] {
    return this.#endpoint.addresses.map((address) => `${address}?topic=${this.#topic}`);
  }

  get memory(): number {
    return this.#budget.used;
  }

  shortOfMemory(): Status | undefined {
    const refusal = this.#budget.refusalFor(this.#holds);
    return refusal === undefined ? undefined : new Status("RESOURCE_EXHAUSTED", refusal);
  }

  get #holds(): number {
    return heldBy(this.#session) + this.#demux.held;
  }

  /** Tells the budget how much it holds: not each byte. */
  onTick(): void {
    if (this.#link?.state !== "closed") this.#hold(this.#holds);
  }

  #hold(held: number): void {
    const by = held - this.#held;
    if (Math.abs(by) < HELD_STEP && held > 0) return;
    this.#held = held;
    this.#budget.change(by);
  }

  peers(): readonly unknown[] {
    return this.#demux.peers.map(({ peer }) => peer);
  }

  get codec(): number {
    return this.#chosen.codec.id;
  }

  get handshakeTimeoutMs(): number {
    return this.#chosen.settings.handshakeTimeoutMs;
  }

  makePeer(connection: AttachedPeer): unknown {
    return new this.#peerType(connection);
  }

  onError(error: unknown, what: string): void {
    this.#onError(error, what);
  }

  broadcast(member: Member, message: unknown, isCleared: boolean, except: PeerConnection | undefined): number {
    const { driver, bodies } = this.#connection;
    const body = isCleared ? clears(member, message) : encodeKeyed(bodies, member, message, this.#topic);
    let topics: Iterable<string>;
    if (except !== undefined) {
      const others = this.#demux.peers.filter((peer) => peer !== except && peer.topic === except.topic);
      topics = others.map(({ topic, name }) => `${topic}/$to/${name}`);
    } else if (this.#topic.includes("+")) topics = new Set(this.#demux.peers.map(({ topic }) => topic));
    else topics = [this.#topic];
    let count = 0;
    for (const topic of topics) if (offer(driver, member, body, topic)) count += 1;
    return count;
  }

  /** Why this client is not served: it came before a service that is strict. The broker refuses those that come later. */
  refusalOf({ protocol = "", fingerprint = 0n }: PresenceInd): Status | undefined {
    const { name, fingerprint: ours } = this.#protocol;
    if (this.#options.schema !== "strict" || !this.#isFirst) return undefined;
    if (fingerprint === 0n || fingerprint === ours || (protocol !== "" && protocol !== name)) return undefined;
    const hex = (number: bigint): string => number.toString(16).padStart(16, "0");
    const text = `the service of topic \`${this.#topic}\` has the schema ${hex(ours)} of \`${name}\`, the client ${hex(fingerprint)}, and the service is strict`;
    return new Status("FAILED_PRECONDITION", text);
  }

  onSubscriptionEnded(topic: string): void {
    if (topic !== this.#hears || this.#isStopping) return;
    this.#onError(new Status("PERMISSION_DENIED", "the broker has ended the subscription"), `the service of \`${this.#topic}\` has ended`);
    void this.#link?.close();
  }

  async close(): Promise<number> {
    if (this.#isStopping) {
      await this.closed;
      return 0;
    }
    this.#isStopping = true;
    const { drainTimeoutMs } = this.#chosen.settings;
    const ended = new AbortController();
    const timer = setTimeout(() => ended.abort(), drainTimeoutMs);
    const late = new Promise<void>((resolve) => ended.signal.addEventListener("abort", () => resolve()));
    // What it has been given is handled.
    await Promise.race([this.#unsubscribe(), late, this.closed]);
    await Promise.race([this.#demux.idle(), late, this.closed]);
    clearTimeout(timer);
    const cutOff = this.#demux.openCount;
    if (cutOff > 0) this.#demux.stopAll(new Status("UNAVAILABLE", "the server is shutting down"));
    await this.#link?.close();
    await this.closed;
    return cutOff;
  }

  get #hears(): string {
    return `${this.#topic}/$in`;
  }

  async #open(): Promise<void> {
    const { clientToServer, serverToClient, description } = this.#protocol;
    // To the broker a service is a client, which says what servers say.
    const reversed: Protocol = {
      name: BROKER_PROTOCOL,
      fingerprint: 0n,
      clientToServer: serverToClient,
      serverToClient: clientToServer,
    };
    const { tls: _tls, schema: _schema, onSchemaDifference: _told, maxMemory: _memory, onConnectFailure, onClosedByBroker, ...options } = this.#options;
    const handler: ClientHandler<unknown> = {
      onConnected: (_, { resumed }) => (resumed ? undefined : this.#subscribe()),
      onDisconnected: () => this.#onDisconnected?.(),
      onSessionLost: (reason) => this.#demux.stopAll(reason),
      onConnectFailure: (error, attempt) => this.#afterFailure(error) ?? onConnectFailure?.(error, attempt) ?? "backoff",
      onClosedByServer: (status) => onClosedByBroker?.(status) ?? "backoff",
    };
    const codec = ofTopic(this.#chosen.codec, this.#protocol);
    const link = await OwnConnection.open(Link, reversed, this.#endpoint, { ...options, description, codec, handler }, { ...everyPart, streams, inboundMessages, inboundCalls, topics, urls }, (connection) => {
      this.#connection = connection;
      this.#demux = new Demux(connection, this);
      return this.#demux;
    });
    this.#link = link.connection;
    void this.#link.closed.then(() => {
      this.#hold(0);
      this.#resolveClosed();
    });
  }

  /** Asks for the clients, in a new session. */
  async #subscribe(): Promise<void> {
    this.#demux.stopAll(new Status("UNKNOWN", "the broker has lost the session"));
    limitMemory(this.#session, this.#budget);
    const { name, fingerprint } = this.#protocol;
    const rule = this.#options.schema === "strict" ? { schemaRule: SCHEMA_RULE_STRICT } : {};
    const id = subscribe(this.#session, this.#hears, now(), { byPeer: true, protocol: name, fingerprint, ...rule });
    try {
      const answer = await this.#connection.outbound.awaitAnswer(id);
      this.#isFirst = answer.type === "subscribed" && !readSubscribed(answer.body).protocol;
    } catch (error) {
      this.#isRefused = error instanceof Status && REFUSALS.includes(error.code);
      throw error;
    }
  }

  /** The broker gives it nothing new then; nor does it without a connection. */
  async #unsubscribe(): Promise<void> {
    if (this.#session.phase !== "open") return;
    const lost = new Promise<void>((resolve) => {
      this.#onDisconnected = resolve;
    });
    try {
      await Promise.race([this.#connection.outbound.awaitAnswer(unsubscribe(this.#session, this.#hears, now())), lost]);
    } catch {
      // The connection is lost, or about to be.
    }
  }

  /** A topic that is refused is not asked for again. */
  #afterFailure(error: ConnectError): Reconnect | undefined {
    if (!this.#isRefused) return undefined;
    this.#onError(error, `the service of \`${this.#topic}\` has ended`);
    return "stop";
  }

  get #session(): ClientSession {
    return this.#connection.driver.session as ClientSession;
  }
}

/** What it may hold, of the URL or the options. */
function maxMemoryOf(settings: ReadonlyMap<string, string>, { maxMemory }: AttachOptions): number {
  const table = { [MAX_MEMORY]: SERVER[MAX_MEMORY] as Setting };
  const text = settings.get(MAX_MEMORY);
  return resolveSettings(table, new Map(text === undefined ? [] : [[MAX_MEMORY, text]]), { maxMemory })["maxMemory"] as number;
}

/** The codec of a topic: bound to the protocol that is spoken there, while the broker itself is told everything in protobuf. */
function ofTopic(codec: Codec, protocol: Protocol): Codec {
  if (codec === protobuf) return codec;
  return {
    ...codec,
    bind: () => {
      const bound = codec.bind(protocol);
      const broker = protobuf.bind(protocol);
      return {
        encode: (member, message) => (BROKER_MEMBERS.includes(member) ? broker : bound).encode(member, message),
        decode: (member, body, maxDecoded) => bound.decode(member, body, maxDecoded),
      };
    },
  };
}
