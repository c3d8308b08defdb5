/// <reference lib="esnext.disposable" preserve="true" />
/** What generated servers stand on. */

import { randomBytes } from "node:crypto";

import { protobuf, type BoundCodec, type Compression } from "../codec/index.js";
import { AttachedCore } from "../attach/attached-core.js";
import type { AttachOptions } from "../attach/options.js";
import { Bodies } from "../connection/bodies.js";
import { now } from "../connection/driver.js";
import { clears } from "../connection/clearing.js";
import { encodeKeyed, type KeyedBody } from "../connection/keyed-body.js";
import { Status } from "../errors.js";
import type { Member, Protocol } from "../protocol.js";
import { CodecId, CompressionId, ServerSession, type Budget, type ReceivedHello, type Settings, type Welcome } from "../session/index.js";
import type { PeerSchemas } from "../schema/peer-schemas.js";
import { SERVER } from "../settings/server.js";
import { refuseUnknown, resolveSettings } from "../settings/settings.js";
import { parseUrl } from "../settings/url.js";
import { SettingError } from "../settings/values.js";
import type { ByteStream, Transport } from "../transport/transport.js";
import type { Broadcast, SendAll } from "./broadcast.js";
import type { Core, PeerClass } from "./core.js";
import { greet, type Greeted } from "./handshake.js";
import { listen, listenerSettings, type Listener } from "./listen.js";
import type { ClientIdentity, ServerHandler, ServerOptions, ServerSettings } from "./options.js";
import type { Peer } from "./peer.js";
import type { PeerConnection } from "./peer-connection.js";
import { schemasOf, type OtherSchema } from "./schema-check.js";
import { ServerConnection } from "./server-connection.js";
import { checkHandler } from "./check-handler.js";
import { budgetOf } from "./process-budget.js";
import { Sessions, hashSecret } from "./sessions.js";

/** What clients are told whose credential is not accepted, whatever was wrong with it. */
const UNAUTHENTICATED = "the credential is not accepted";

/** The extension of a client that tells its schema. */
const SCHEMA_DESCRIPTION = "schema-description";

/** A refusal takes this long, or a multiple of it, so that the time says nothing of what was wrong. */
const REFUSAL_STEP_MS = 50;

/** Beyond `maxConnections` so many are told why they are refused; further ones are closed. */
const MAX_REFUSED = 64;

/** A generated server. */
export type ServerClass<S> = new (core: Core) => S;

/** A server: handlers for its clients' messages, and typed calls of each client. */
export abstract class Server<P extends Peer> {
  readonly #core: Core;

  /** @internal */
  constructor(core: Core) {
    this.#core = core;
  }

  /** Listens, and serves. */
  protected static async open<S extends Server<P>, P extends Peer, H extends ServerHandler<P>>(
    type: ServerClass<S>,
    peerType: PeerClass<P>,
    protocol: Protocol,
    endpoint: string,
    handler: H,
    options: ServerOptions = {},
  ): Promise<S> {
    return new type(await ServerCore.listen(peerType, protocol, endpoint, handler as ServerHandler<unknown>, options));
  }

  /** Serves a topic of a broker. */
  protected static async attachTo<S extends Server<P>, P extends Peer, H extends ServerHandler<P>>(
    type: ServerClass<S>,
    peerType: PeerClass<P>,
    protocol: Protocol,
    endpoint: string | Transport,
    handler: H,
    options: AttachOptions = {},
  ): Promise<S> {
    return new type(await AttachedCore.attach(peerType, protocol, endpoint, handler as ServerHandler<unknown>, options));
  }

  /** Where clients connect to, with the ports that the system has chosen. */
  get urls(): readonly string[] {
    return this.#core.urls;
  }

  /** What the sessions hold in memory, in bytes, with those of other servers that share its `maxMemory`. */
  get memory(): number {
    return this.#core.memory;
  }

  /** The clients that are connected now. */
  get peers(): readonly P[] {
    return this.#core.peers() as readonly P[];
  }

  /** Resolves when the server has stopped. */
  get closed(): Promise<void> {
    return this.#core.closed;
  }

  /**
   * Stops: accepts nothing more, tells the clients, lets what is open finish within `drainTimeoutMs`, and ends the rest.
   *
   * @returns how many calls were cut off.
   */
  close(): Promise<number> {
    return this.#core.close();
  }

  /** As {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  protected broadcast<B extends Broadcast>(type: new (send: SendAll) => B, except?: Peer): B {
    return new type((member, message, isCleared) => this.#core.broadcast(member, message, isCleared, except?.connection));
  }
}

/** The connections and sessions of a server. */
export class ServerCore implements Core {
  readonly #peerType: PeerClass<unknown>;
  readonly #protocol: Protocol;
  readonly #handler: ServerHandler<unknown>;
  readonly #options: ServerOptions;
  readonly #settings: ServerSettings;
  readonly #sessionSettings: Settings;
  readonly #codecs: ReadonlyMap<number, BoundCodec>;
  readonly #compressions: ReadonlyMap<number, Compression>;
  readonly #bodies = new Map<string, Bodies>();
  readonly #sessions: Sessions;
  readonly #budget: Budget;
  readonly #schemas: PeerSchemas | undefined;
  readonly #relief = (): boolean => this.#sessions.endOldest();
  readonly #peers = new Map<ServerConnection, unknown>();
  readonly #streams = new Set<ByteStream>();
  readonly #listeners: Listener[] = [];
  readonly #onError: (error: unknown, what: string) => void;
  #handshakes = 0;
  #isStopping = false;
  #onIdle: (() => void) | undefined;
  readonly closed: Promise<void>;
  #resolveClosed: () => void = () => {};

  private constructor(peerType: PeerClass<unknown>, protocol: Protocol, handler: ServerHandler<unknown>, options: ServerOptions, settings: ServerSettings) {
    this.#peerType = peerType;
    this.#protocol = protocol;
    this.#handler = handler;
    this.#options = options;
    this.#settings = settings;
    this.#budget = budgetOf(settings.maxMemory);
    this.#sessionSettings = { ...settings, budget: this.#budget };
    this.#codecs = new Map([protobuf, ...(options.codecs ?? [])].map((codec) => [codec.id, codec.bind(protocol)]));
    this.#compressions = new Map((options.compressions ?? []).map((compression) => [compression.id, compression]));
    this.#sessions = new Sessions(settings.maxDetachedSessions);
    this.#schemas = schemasOf(protocol, options.onSchemaDifference);
    this.#onError = options.onError ?? ((error, what) => console.error(`${what}:`, error));
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  static async listen(peerType: PeerClass<unknown>, protocol: Protocol, endpoint: string, handler: ServerHandler<unknown>, options: ServerOptions): Promise<ServerCore> {
    checkHandler(handler);
    const first = parseUrl(endpoint);
    const topic = first.settings.get("topic");
    if (topic !== undefined) throw new SettingError(`the URL names the topic "${topic}": a server that listens has none, leave it out`);
    const settings = resolveSettings(SERVER, first.settings, { ...options }, listenerSettings(first.scheme)) as unknown as ServerSettings;
    const core = new ServerCore(peerType, protocol, handler, options, settings);
    core.#budget.addRelief(core.#relief);
    const others = (options.also ?? []).map(parseUrl);
    for (const { scheme, settings: own } of others) refuseUnknown(own, {}, listenerSettings(scheme));
    try {
      for (const url of [first, ...others]) {
        core.#listeners.push(await listen(url, options, settings.insecure, settings.handshakeTimeoutMs, (stream, names) => core.#accept(stream, names)));
      }
    } catch (error) {
      for (const listener of core.#listeners) listener.close();
      core.#budget.removeRelief(core.#relief);
      throw error;
    }
    return core;
  }

  get urls(): readonly string[] {
    return this.#listeners.map(({ url }) => url);
  }

  get memory(): number {
    return this.#budget.used;
  }

  peers(): readonly unknown[] {
    return this.#connected().map((connection) => this.#peers.get(connection));
  }

  broadcast(member: Member, message: unknown, isCleared: boolean, except: PeerConnection | undefined): number {
    // Encoded once for each codec.
    const encoded = new Map<Bodies, KeyedBody>();
    let count = 0;
    for (const connection of this.#connected()) {
      if (connection === except) continue;
      let body = encoded.get(connection.bodies);
      if (body === undefined) {
        body = isCleared ? clears(member, message) : encodeKeyed(connection.bodies, member, message, "");
        encoded.set(connection.bodies, body);
      }
      if (connection.offer(member, body)) count += 1;
    }
    return count;
  }

  #connected(): ServerConnection[] {
    return [...this.#sessions.all].filter(({ isServed }) => isServed);
  }

  async close(): Promise<number> {
    if (this.#isStopping) {
      await this.closed;
      return 0;
    }
    this.#isStopping = true;
    for (const listener of this.#listeners) listener.close();
    const status = new Status("UNAVAILABLE", "the server is shutting down");
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    for (const connection of this.#sessions.all) connection.disconnect(status);
    this.#checkIdle();
    // The sessions have the time limit; this one is for a session that does not keep to it.
    const timer = setTimeout(() => this.#onIdle?.(), this.#settings.drainTimeoutMs + 1000);
    await idle;
    clearTimeout(timer);
    let cutOff = 0;
    for (const connection of [...this.#sessions.all]) {
      cutOff += connection.openCount;
      connection.stop(status);
    }
    for (const stream of this.#streams) stream.destroy();
    this.#budget.removeRelief(this.#relief);
    this.#resolveClosed();
    return cutOff;
  }

  #checkIdle(): void {
    if (this.#sessions.size === 0) this.#onIdle?.();
  }

  #accept(stream: ByteStream, certificateNames: string): void {
    const { maxConnections, maxHandshakes } = this.#settings;
    const connections = this.#sessions.connectedCount + this.#handshakes;
    if (this.#isStopping || this.#handshakes >= maxHandshakes || connections >= maxConnections + MAX_REFUSED) {
      stream.destroy();
      return;
    }
    this.#handshakes += 1;
    this.#streams.add(stream);
    greet(
      stream,
      this.#sessionSettings,
      (greeted) => {
        this.#begin(stream, greeted, certificateNames).catch((error: unknown) => {
          this.#onError(error, "a handshake failed");
          greeted.refuse(new Status("INTERNAL", "the handshake failed"));
        });
      },
      () => {
        this.#handshakes -= 1;
        this.#streams.delete(stream);
      },
    );
  }

  async #begin(stream: ByteStream, greeted: Greeted, certificateNames: string): Promise<void> {
    const { hello } = greeted;
    const { authenticate } = this.#options;
    let identity: ClientIdentity | undefined;
    if (authenticate !== undefined) {
      const begun = now();
      try {
        identity = await authenticate({
          credential: hello.credential ?? new Uint8Array(0),
          clientName: hello.clientName ?? "",
          clientVersion: hello.clientVersion ?? "",
          address: stream.peerAddress,
          isConfidential: stream.isConfidential,
          certificateNames,
        });
      } catch (error) {
        if (greeted.signal.aborted) return;
        if (error instanceof Status && error.code !== "UNAUTHENTICATED") greeted.refuse(error);
        else if (error instanceof Status) {
          await delayed(REFUSAL_STEP_MS - ((now() - begun) % REFUSAL_STEP_MS));
          greeted.refuse(new Status("UNAUTHENTICATED", UNAUTHENTICATED));
        } else {
          this.#onError(error, "authenticate failed");
          greeted.refuse(new Status("INTERNAL", "authentication failed"));
        }
        return;
      }
      if (greeted.signal.aborted) return;
    }
    try {
      this.#open(stream, greeted, identity, identity === undefined ? `transport:${certificateNames}` : `subject:${identity.subject ?? identity.user ?? ""}`);
    } catch (error) {
      if (!(error instanceof Status)) throw error;
      greeted.refuse(error);
    }
  }

  /** Resumes the client's session, or begins one. */
  #open(stream: ByteStream, greeted: Greeted, identity: ClientIdentity | undefined, principal: string): void {
    const { hello } = greeted;
    if (this.#isStopping) throw new Status("UNAVAILABLE", "the server is shutting down");
    this.#checkSchema(hello);
    const secret = hello.sessionSecret ?? new Uint8Array(0);
    const resumed = this.#sessions.find(hello.sessionId, secret, principal);
    if (resumed !== undefined && resumed.parts.session.phase !== "over") {
      const older = resumed.takeOver();
      if (older !== undefined) this.#seeEnd(older);
      const { codec, compression, bodies } = this.#agree(hello);
      const welcome = { ...this.#welcome(resumed.peerId, true), codec, compression };
      resumed.useBodies(bodies);
      resumed.parts.session.resume(hello, welcome, now());
      this.#sessions.attached(resumed);
      greeted.accept();
      resumed.attach(stream, hello, welcome, identity);
      return;
    }
    const { maxConnections } = this.#settings;
    if (this.#sessions.connectedCount >= maxConnections) {
      const text = `too many connections: this server takes ${maxConnections} at once, try again later`;
      throw new Status("RESOURCE_EXHAUSTED", text);
    }
    const { codec, compression, bodies } = this.#agree(hello);
    const welcome = { ...this.#welcome(randomBytes(8).readBigUInt64BE() | 1n, false), codec, compression };
    const session = ServerSession.accept(this.#protocol, this.#sessionSettings, hello, welcome, now());
    const connection = new ServerConnection(
      {
        id: hello.sessionId,
        secretHash: hashSecret(secret),
        principal,
        session,
        protocol: this.#protocol,
        settings: this.#settings,
        handler: this.#handler,
        bodies,
        budget: this.#budget,
        otherSchema: this.#otherSchema(hello),
        onError: this.#onError,
      },
      {
        onDetached: (detached) => {
          if (this.#isStopping) detached.stop(new Status("UNAVAILABLE", "the server is shutting down"));
          else this.#sessions.detached(detached);
        },
        onOver: (over) => {
          this.#sessions.remove(over);
          this.#peers.delete(over);
          this.#checkIdle();
        },
      },
    );
    const peer = new this.#peerType(connection);
    connection.begin(peer);
    this.#peers.set(connection, peer);
    this.#sessions.add(connection);
    greeted.accept();
    connection.attach(stream, hello, welcome, identity);
  }

  /** A stream that nobody has any more ends: in time, whether its peer reads or not, and at once where too many others do. */
  #seeEnd(stream: ByteStream): void {
    const { maxHandshakes, writeTimeoutMs } = this.#settings;
    if (this.#streams.size >= maxHandshakes) {
      stream.destroy();
      return;
    }
    const timer = setTimeout(() => {
      this.#streams.delete(stream);
      stream.destroy();
    }, Math.min(writeTimeoutMs, 2 ** 31 - 1));
    timer.unref();
    this.#streams.add(stream);
    stream.start({
      onData: () => {},
      onDrain: () => {},
      onEnd: () => {
        clearTimeout(timer);
        this.#streams.delete(stream);
      },
    });
    // What the peer still sends is in the way of what it is told.
    stream.resume();
  }

  /** The first codec of the client that the server has, and the first compression, or none. */
  #agree({ codecs = [], compressions = [] }: ReceivedHello): { codec: number; compression: number; bodies: Bodies } {
    const codec = (codecs.length === 0 ? [CodecId.PROTOBUF] : codecs).find((id) => this.#codecs.has(id));
    const bound = this.#codecs.get(codec ?? 0);
    if (codec === undefined || bound === undefined) {
      throw new Status("UNIMPLEMENTED", `the client's codecs are ${codecs.join(", ")}, the server's ${[...this.#codecs.keys()].join(", ")}`);
    }
    const compression = compressions.find((id) => this.#compressions.has(id)) ?? CompressionId.NONE;
    // One for each pair: a broadcast encodes once for all who have the same.
    const key = `${codec} ${compression}`;
    let bodies = this.#bodies.get(key);
    if (bodies === undefined) {
      bodies = new Bodies(bound, this.#compressions.get(compression), this.#settings);
      this.#bodies.set(key, bodies);
    }
    return { codec, compression, bodies };
  }

  /** Refuses a client of another protocol, or of a version that is not served. What can be compared is compared later. */
  #checkSchema({ protocol = "", fingerprint = 0n, extensions }: ReceivedHello): void {
    const { name, fingerprint: ours } = this.#protocol;
    if (protocol !== name) throw new Status("FAILED_PRECONDITION", `this server speaks \`${name}\`, not \`${protocol}\``);
    const { schema } = this.#settings;
    if (schema === "any" || fingerprint === ours) return;
    let why = "";
    if (schema === "compatible") {
      if (this.#schemas === undefined) why = ", and the server cannot compare them";
      else if (!extensions?.has(SCHEMA_DESCRIPTION)) why = ", and the client cannot describe its own";
      else return;
    }
    const hex = (number: bigint): string => number.toString(16).padStart(16, "0");
    throw new Status("FAILED_PRECONDITION", `the server's schema has the fingerprint ${hex(ours)}, the client's ${hex(fingerprint)}${why}`);
  }

  /** What there is to compare, where the client has another version of the schema. */
  #otherSchema({ fingerprint = 0n, extensions }: ReceivedHello): OtherSchema | undefined {
    const schemas = this.#schemas;
    if (schemas === undefined || fingerprint === this.#protocol.fingerprint) return undefined;
    return { schemas, fingerprint, isDescribed: extensions?.has(SCHEMA_DESCRIPTION) ?? false, timeoutMs: this.#settings.handshakeTimeoutMs };
  }

  #welcome(peerId: bigint, resumed: boolean): Welcome {
    const { name = "msip-typescript", version = "" } = this.#options;
    return { fingerprint: this.#protocol.fingerprint, resumed, peerId, serverName: name, serverVersion: version };
  }
}

function delayed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
