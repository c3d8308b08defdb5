/** The connection of a client's own: it is opened, lost and opened again, and the session goes on. */

import { Bodies } from "../connection/bodies.js";
import { Connection, type ConnectionParts } from "../connection/connection.js";
import { now } from "../connection/driver.js";
import type { CallOptions } from "../connection/options.js";
import type { Outbound } from "../connection/outbound.js";
import { ClosedError, ConnectError, Status, type Code } from "../errors.js";
import type { Protocol } from "../protocol.js";
import { ClientSession, type Connected, type Event, type Subscribe, type Welcome } from "../session/index.js";
import type { Transport } from "../transport/transport.js";
import { Backoff } from "./backoff.js";
import type { ClientConnection } from "./client-connection.js";
import type { ClientClass } from "./client.js";
import { readCredential } from "./credential.js";
import type { ClientHandler, ClientOptions, ConnectionState, DescribedSchema, Reconnect } from "./options.js";
import type { ClientParts } from "./parts.js";
import { pause } from "./pause.js";
import type { Subscriptions } from "./topics.js";
import type { Choices } from "./urls.js";

/** What a wait for the handshake, or for the login, is told where the connection ends before. */
interface Attempt {
  connected(event: Connected): void;
  ended(error: Status): void;
}

/** A connection, as long as its client is not closed. */
export class OwnConnection implements ClientConnection {
  state: ConnectionState = "connecting";
  address = "";
  readonly closed: Promise<Status>;
  readonly #protocol: Protocol;
  readonly #transport: Transport;
  readonly #addresses: readonly string[];
  readonly #chosen: Choices;
  readonly #options: ClientOptions;
  readonly #parts: ClientParts;
  readonly #handler: ClientHandler<unknown>;
  readonly #onError: (error: unknown, what: string) => void;
  readonly #connection: Connection;
  readonly #backoff: Backoff;
  readonly #subscriptions: Subscriptions | undefined;
  /** Aborted by `close`: no attempt and no wait goes on. */
  readonly #stopping = new AbortController();
  #resolveClosed: (status: Status) => void = () => {};
  #makeLoginClient: () => unknown = () => undefined;
  #attempt: Attempt | undefined;
  #session: ClientSession;
  #welcome: Welcome | undefined;
  #closedBy: Status | undefined;
  #connectedAt = 0;

  private constructor(
    protocol: Protocol,
    endpoint: string | Transport,
    options: ClientOptions,
    parts: ClientParts,
    inbound: ConnectionParts["inbound"],
  ) {
    this.#options = options;
    this.#parts = parts;
    this.#protocol = { ...protocol, description: this.#schema?.text ?? (options.description as string | undefined) };
    this.#transport = typeof endpoint === "string" ? parts.urls.webSocket(endpoint, options.webSocket) : endpoint;
    this.#chosen = parts.urls.choose(this.#transport.settings, options);
    const { settings } = this.#chosen;
    const { topic } = settings;
    this.#addresses = settings.addressOrder === "random" ? shuffled(this.#transport.addresses) : this.#transport.addresses;
    this.#handler = (options.handler ?? {}) as ClientHandler<unknown>;
    this.#onError = options.onError ?? ((error, what) => console.error(`${what}:`, error));
    this.#backoff = new Backoff(settings.reconnectMinMs, settings.reconnectMaxMs);
    this.#session = this.#newSession();
    this.#connection = new Connection(
      {
        session: this.#session,
        protocol,
        settings,
        handler: this.#handler,
        topic: topic && `${topic}/$in`,
        streams: parts.streams,
        onError: this.#onError,
        inbound: inbound ?? (parts.inboundCalls ?? parts.inboundMessages)?.inbound,
        owner: {
          onSessionEvent: (event) => this.#onSessionEvent(event),
          onStreamEnd: (error) => this.#onStreamEnd(error),
          onTick: () => Infinity,
        },
      },
      this.#bodies,
    );
    this.#subscriptions = parts.topics?.subscriptions((begin) => this.outbound.awaitAnswer(begin(this.#session)));
    // One without topics says so at once.
    if (topic !== "") void this.#topics;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /** @param inbound What takes what the server begins, where that is not the handler. @internal */
  static async open<C>(
    type: ClientClass<C>,
    protocol: Protocol,
    endpoint: string | Transport,
    options: ClientOptions,
    parts: ClientParts,
    inbound?: ConnectionParts["inbound"],
  ): Promise<C> {
    const { join } = endpoint as Partial<Transport>;
    if (join) return join(type, protocol, options, parts);
    const connection = new OwnConnection(protocol, endpoint, options, parts, inbound);
    const client = new type(connection);
    connection.#connection.peer = client;
    connection.#makeLoginClient = () => new type(connection, true);
    try {
      await connection.#connectAnywhere();
    } catch (error) {
      connection.#finish(error instanceof Status ? error : new ClosedError("UNAVAILABLE", String(error)));
      throw error;
    }
    return client;
  }

  get peerId(): bigint {
    return this.#welcome?.peerId ?? 0n;
  }

  get serverName(): string {
    return this.#welcome?.serverName ?? "";
  }

  get isOtherSchema(): boolean {
    const { fingerprint } = this.#protocol;
    return (this.#welcome?.fingerprint || fingerprint) !== fingerprint;
  }

  /** @internal */
  get outbound(): Outbound {
    return this.#connection.outbound;
  }

  async ping(options: CallOptions = {}): Promise<number> {
    const begun = now();
    await this.outbound.awaitAnswer(this.#session.ping(begun), options);
    return now() - begun;
  }

  async subscribe(topic: string, options: Subscribe = {}): Promise<void> {
    await this.#topics.subscribe(topic, options);
  }

  async unsubscribe(topic: string): Promise<void> {
    await this.#topics.unsubscribe(topic);
  }

  get #topics(): Subscriptions {
    if (this.#subscriptions === undefined) throw new Status("UNIMPLEMENTED", "topics are not a part of this client");
    return this.#subscriptions;
  }

  /** What hears of the connection where the schema is compared. A text, which a description may be too, has no such thing. */
  get #schema(): Partial<DescribedSchema> | undefined {
    return this.#options.description as Partial<DescribedSchema> | undefined;
  }

  async close(): Promise<void> {
    if (!this.#stopping.signal.aborted) {
      const status = new ClosedError("CANCELLED", "the client is closed");
      this.#stopping.abort(status);
      if (this.#session.phase === "open") {
        this.#session.close(new Status("CANCELLED", "done"), now());
        this.#connection.driver.flush();
      } else this.#finish(status);
    }
    await this.closed;
  }

  #onSessionEvent(event: Event): void {
    this.#schema?.onEvent?.(event, this, this.#protocol.fingerprint);
    if (event.type === "connected") {
      const hadSession = this.#welcome !== undefined;
      this.#welcome = event.welcome;
      this.#connection.bodies = this.#bodies;
      this.#connection.isLoggingIn = true;
      if (hadSession && !event.resumed) {
        this.#tell("onSessionLost", new ClosedError("UNKNOWN", "the server has lost the session"));
      }
      this.#attempt?.connected(event);
    } else if (event.type === "draining" || event.type === "closed") {
      // What the peer has said in its CLOSE comes first, and says more.
      const { stream, lostBy } = this.#connection.driver;
      this.#closedBy ??= event.type === "closed" && stream === undefined && lostBy !== undefined ? lostWith(lostBy) : event.status;
    }
  }

  #onStreamEnd(error: Error | undefined): void {
    const closedBy = this.#closedBy;
    const reason = closedBy ?? lostWith(error);
    this.#closedBy = undefined;
    if (this.#attempt !== undefined) this.#attempt.ended(reason);
    else if (this.#stopping.signal.aborted) this.#finish(this.#stopping.signal.reason as Status);
    else if (this.state === "connected") {
      this.#comeBack(reason, closedBy).catch((failure: unknown) => {
        this.#finish(failure instanceof Status ? failure : new ClosedError("INTERNAL", String(failure)));
      });
    }
  }

  async #comeBack(reason: Status, closedBy: Status | undefined): Promise<void> {
    this.state = "connecting";
    this.#backoff.connectedFor(now() - this.#connectedAt);
    this.#tell("onDisconnected", reason);
    let next: Reconnect = closedBy === undefined ? "backoff" : this.#afterClose(closedBy);
    for (let attempt = 1; next !== "stop"; attempt++) {
      await pause(typeof next === "object" ? next.afterMs : this.#backoff.next(Math.random()), this.#stopping.signal);
      try {
        return await this.#connectAnywhere();
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        const failure = error as ConnectError;
        next = this.#handler.onConnectFailure?.(failure, attempt) ?? "backoff";
        reason = failure;
      }
    }
    throw closedBy ?? reason;
  }

  /** Tells the handler of something that it cannot change. */
  #tell(what: "onDisconnected" | "onSessionLost", reason: Status): void {
    try {
      this.#handler[what]?.(reason);
    } catch (error) {
      this.#onError(error, `${what} failed`);
    }
  }

  /** What the code of the server's CLOSE tells the client to do (docs/operations.md, "When the server closes the session"). */
  #afterClose(status: Status): Reconnect {
    this.#tell("onSessionLost", status);
    const comesBack = status.code === "UNAVAILABLE" || status.code === "RESOURCE_EXHAUSTED" || this.#isTokenOld(status);
    return comesBack ? "backoff" : (this.#handler.onClosedByServer?.(status) ?? "stop");
  }

  /** Whether another credential may do. */
  #isTokenOld(error: unknown): boolean {
    return (error as Partial<Status>).code === "UNAUTHENTICATED" && typeof this.#options.credential === "function";
  }

  /** Tries the addresses. What it throws is a {@link ConnectError}, unless the client is closed. */
  #connectAnywhere(): Promise<void> {
    return this.#parts.urls.connect(this.#addresses, this.address, async (address) => {
      try {
        await this.#connect(address).catch((error: unknown) => {
          // A token that has run out is asked for once more.
          if (this.#isTokenOld(error)) return this.#connect(address);
          throw error;
        });
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        throw connectError(error);
      }
    });
  }

  async #connect(address: string): Promise<void> {
    this.address = address;
    const { connectTimeoutMs, insecure } = this.#chosen.settings;
    const late = `${address}: not connected within ${connectTimeoutMs} ms`;
    const [credential, stream] = await this.#within(connectTimeoutMs, late, async (signal) => {
      const credential = await readCredential(this.#options.credential);
      signal.throwIfAborted();
      return [credential, await this.#transport.connect(address, signal)];
    });
    if (credential !== undefined && !stream.isConfidential && !insecure) {
      stream.destroy();
      throw new ConnectError(
        "FAILED_PRECONDITION",
        `${address}: a credential needs TLS, or the setting insecure`,
      );
    }
    const { driver } = this.#connection;
    if (this.#session.phase === "over") {
      driver.session = this.#session = this.#newSession();
      this.#welcome = undefined;
    }
    this.#closedBy = undefined;
    this.#session.begin(now(), { credential });
    try {
      const { resumed } = await new Promise<Connected>((connected, ended) => {
        this.#attempt = { connected, ended };
        driver.attach(stream);
      });
      await this.#logIn(resumed);
    } finally {
      this.#attempt = undefined;
    }
    this.state = "connected";
    this.#connectedAt = now();
    this.#connection.loggedIn();
    if (driver.stream === undefined) this.#onStreamEnd(undefined);
  }

  #newSession(): ClientSession {
    const { codec, compression, settings } = this.#chosen;
    const { name = "msip-typescript", version = "" } = this.#options;
    const { streams, inboundMessages, inboundCalls, topics } = this.#parts;
    return new ClientSession(
      this.#protocol,
      { ...settings, codecs: [codec.id], compressions: compression === undefined ? [] : [compression.id], name, version },
      { ...this.#parts, streams: streams?.session, inboundMessages: inboundMessages?.session, inboundCalls: inboundCalls?.session, topics: topics?.session },
    );
  }

  /** Subscribes to the topic, and lets the handler log in. */
  async #logIn(resumed: boolean): Promise<void> {
    const { topic, loginTimeoutMs } = this.#chosen.settings;
    try {
      await this.#within(loginTimeoutMs, `the login has taken longer than ${loginTimeoutMs} ms`, async (_, abort) => {
        this.#attempt = {
          connected: () => {},
          ended: (reason) => abort(connectError(reason, "the connection was lost in the login: ")),
        };
        const subscribed = resumed ? undefined : await this.#subscriptions?.renew(topic, this.address, this.#protocol);
        if (subscribed) this.#onSessionEvent(subscribed);
        await this.#handler.onConnected?.(this.#makeLoginClient(), { resumed });
      });
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#connection.driver.lose();
      throw connectError(error, "the login has failed: ", "INTERNAL");
    }
  }

  #finish(status: Status): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#stopping.abort(status);
    this.#attempt?.ended(status);
    this.#connection.stop(new ClosedError(status.code, status.message, { cause: status }));
    this.#resolveClosed(status);
  }

  /** What has been agreed on. */
  get #bodies(): Bodies {
    const { codec, compression, settings } = this.#chosen;
    return new Bodies(codec.bind(this.#protocol), this.#welcome?.compression === compression?.id ? compression : undefined, settings);
  }

  /** Does something within a time, which `close` ends too, and so does `abort`. */
  async #within<T>(ms: number, late: string, work: (signal: AbortSignal, abort: (reason: unknown) => void) => Promise<T>): Promise<T> {
    const stopping = this.#stopping.signal;
    const controller = new AbortController();
    const { signal } = controller;
    const abort = (reason: unknown): void => controller.abort(reason);
    const stop = (): void => abort(stopping.reason);
    const timer = setTimeout(abort, ms, new ConnectError("DEADLINE_EXCEEDED", late));
    stopping.addEventListener("abort", stop);
    try {
      return await new Promise<T>((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
        if (stopping.aborted) stop();
        work(signal, abort).then(resolve, reject);
      });
    } finally {
      clearTimeout(timer);
      stopping.removeEventListener("abort", stop);
    }
  }
}

/** An attempt to connect has failed by this. */
function connectError(error: unknown, what = "", code: Code = "UNAVAILABLE"): ConnectError {
  if (error instanceof ConnectError) return error;
  const known = error instanceof Status ? error : new Status(code, (error as Error).message, { cause: error });
  return new ConnectError(known.code, what + known.message, { cause: known.cause ?? error });
}

/** Why a connection is no more that has ended by itself. */
function lostWith(error: Error | undefined): ClosedError {
  return new ClosedError("UNAVAILABLE", error?.message ?? "the connection was lost", { cause: error });
}

function shuffled(list: readonly string[]): string[] {
  const drawn = list.map((item) => ({ item, at: Math.random() }));
  return drawn.sort((a, b) => a.at - b.at).map(({ item }) => item);
}
