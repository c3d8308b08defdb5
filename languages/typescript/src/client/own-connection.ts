/** The connection of a client's own: it is opened, lost and opened again, and the session goes on. */

import type { BoundCodec, Compression } from "../codec/index.js";
import { Bodies } from "../connection/bodies.js";
import { Connection, type ConnectionParts } from "../connection/connection.js";
import { now } from "../connection/driver.js";
import type { CallOptions } from "../connection/options.js";
import type { Outbound } from "../connection/outbound.js";
import { ConnectError, ClosedError, Status } from "../errors.js";
import type { Protocol } from "../protocol.js";
import { ClientSession, type Connected, type Event, type Settings, type Subscribe, type Welcome } from "../session/index.js";
import type { ClientSettings } from "../settings/defaults.js";
import type { Transport } from "../transport/transport.js";
import { Backoff } from "./backoff.js";
import type { ClientConnection } from "./client-connection.js";
import type { ClientClass } from "./client.js";
import { readCredential } from "./credential.js";
import type { ClientHandler, ClientOptions, ConnectionState, DescribedSchema, Reconnect } from "./options.js";
import type { ClientParts } from "./parts.js";
import { pause } from "./pause.js";
import type { Subscriptions } from "./topics.js";

/** What a wait for the handshake, or for the login, is told where the connection ends before. */
interface Attempt {
  connected(event: Connected): void;
  ended(error: Status): void;
}

/** A connection, as long as its client is not closed. */
export class OwnConnection implements ClientConnection {
  readonly #protocol: Protocol;
  readonly #transport: Transport;
  readonly #addresses: readonly string[];
  readonly #settings: ClientSettings;
  readonly #options: ClientOptions;
  readonly #parts: ClientParts;
  readonly #schema: Partial<DescribedSchema> | undefined;
  readonly #handler: ClientHandler<unknown>;
  readonly #onError: (error: unknown, what: string) => void;
  readonly #sessionSettings: Settings;
  readonly #codec: BoundCodec;
  readonly #compression: Compression | undefined;
  readonly #connection: Connection;
  readonly #backoff: Backoff;
  readonly #subscriptions: Subscriptions | undefined;
  /** Aborted by `close`: no attempt and no wait goes on. */
  readonly #stopping = new AbortController();
  readonly #closed: Promise<Status>;
  #resolveClosed: (status: Status) => void = () => {};
  #makeLoginClient: () => unknown = () => undefined;
  #state: ConnectionState = "connecting";
  #address = "";
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
    // A text is its own, and hears of nothing.
    this.#schema = options.description as Partial<DescribedSchema> | undefined;
    this.#protocol = { ...protocol, description: this.#schema?.text ?? (options.description as string | undefined) };
    this.#options = options;
    this.#parts = parts;
    const { urls } = parts;
    this.#transport = typeof endpoint === "string" ? urls.webSocket(endpoint, options.webSocket) : endpoint;
    const { settings, codec, compression } = urls.choose(this.#transport.settings, options);
    this.#settings = settings;
    const { topic, addressOrder } = settings;
    this.#addresses = addressOrder === "random" ? shuffled(this.#transport.addresses) : this.#transport.addresses;
    this.#handler = (options.handler ?? {}) as ClientHandler<unknown>;
    this.#onError = options.onError ?? ((error, what) => console.error(`${what}:`, error));
    this.#codec = codec.bind(protocol);
    this.#compression = compression;
    this.#sessionSettings = {
      ...settings,
      codecs: [codec.id],
      compressions: compression === undefined ? [] : [compression.id],
      name: options.name ?? "msip-typescript",
      version: options.version ?? "",
    };
    this.#session = this.#newSession();
    this.#backoff = new Backoff(this.#settings.reconnectMinMs, this.#settings.reconnectMaxMs);
    this.#connection = new Connection(
      {
        session: this.#session,
        protocol,
        settings: this.#settings,
        handler: this.#handler,
        topic: topic === "" ? "" : `${topic}/$in`,
        streams: parts.streams,
        onError: this.#onError,
        inbound,
        owner: {
          onSessionEvent: (event) => this.#onSessionEvent(event),
          onStreamEnd: (error) => this.#onStreamEnd(error),
          onTick: () => Infinity,
        },
      },
      this.#bodiesOf(undefined),
    );
    this.#subscriptions = parts.topics?.subscriptions((begin) => this.#connection.outbound.awaitAnswer(begin(this.#session)));
    // One without topics says so at once.
    if (topic !== "") void this.#topics;
    this.#closed = new Promise((resolve) => {
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

  get state(): ConnectionState {
    return this.#state;
  }

  get address(): string {
    return this.#address;
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

  get closed(): Promise<Status> {
    return this.#closed;
  }

  /** @internal */
  get outbound(): Outbound {
    return this.#connection.outbound;
  }

  async ping(options: CallOptions = {}): Promise<number> {
    const begun = now();
    await this.#connection.outbound.awaitAnswer(this.#session.ping(begun), options);
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

  async close(): Promise<void> {
    if (!this.#stopping.signal.aborted) {
      const status = new ClosedError("CANCELLED", "the client is closed");
      this.#stopping.abort(status);
      if (this.#session.phase === "open") {
        this.#session.close(new Status("CANCELLED", "done"), now());
        this.#connection.driver.flush();
      } else this.#finish(status);
    }
    await this.#closed;
  }

  #onSessionEvent(event: Event): void {
    this.#schema?.onEvent?.(event, this, this.#protocol.fingerprint);
    if (event.type === "connected") {
      const hadSession = this.#welcome !== undefined;
      this.#welcome = event.welcome;
      this.#connection.bodies = this.#bodiesOf(event.welcome);
      this.#connection.isLoggingIn = true;
      if (hadSession && !event.resumed) {
        this.#tell("onSessionLost", new ClosedError("UNKNOWN", "the server has lost the session"));
      }
      this.#attempt?.connected(event);
    } else if (event.type === "draining" || event.type === "closed") {
      // What the peer has said in its CLOSE comes first, and says more.
      const { stream, lostBy } = this.#connection.driver;
      const isLost = event.type === "closed" && stream === undefined && lostBy !== undefined;
      this.#closedBy ??= isLost ? new ClosedError("UNAVAILABLE", lostBy.message, { cause: lostBy }) : event.status;
    }
  }

  #onStreamEnd(error: Error | undefined): void {
    const closedBy = this.#closedBy;
    this.#closedBy = undefined;
    const reason =
      closedBy ?? new ClosedError("UNAVAILABLE", error?.message ?? "the connection was lost", { cause: error });
    if (this.#attempt !== undefined) this.#attempt.ended(reason);
    else if (this.#stopping.signal.aborted) this.#finish(this.#stopping.signal.reason as Status);
    else if (this.#state === "connected") {
      this.#comeBack(reason, closedBy).catch((failure: unknown) => {
        this.#finish(failure instanceof Status ? failure : new ClosedError("INTERNAL", String(failure)));
      });
    }
  }

  async #comeBack(reason: Status, closedBy: Status | undefined): Promise<void> {
    this.#state = "connecting";
    this.#backoff.connectedFor(now() - this.#connectedAt);
    this.#tell("onDisconnected", reason);
    let next: Reconnect = closedBy === undefined ? "backoff" : this.#afterClose(closedBy);
    for (let attempt = 1; next !== "stop"; attempt++) {
      await pause(typeof next === "object" ? next.afterMs : this.#backoff.next(Math.random()), this.#stopping.signal);
      try {
        await this.#connectAnywhere();
        return;
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        const failure = connectError(error);
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
    const comesBack =
      status.code === "UNAVAILABLE" ||
      status.code === "RESOURCE_EXHAUSTED" ||
      (status.code === "UNAUTHENTICATED" && typeof this.#options.credential === "function");
    return comesBack ? "backoff" : (this.#handler.onClosedByServer?.(status) ?? "stop");
  }

  /** Tries each address, beginning with the one that was in use. */
  async #connectAnywhere(): Promise<void> {
    const known = Math.max(0, this.#addresses.indexOf(this.#address));
    const order = [...this.#addresses.slice(known), ...this.#addresses.slice(0, known)];
    const errors: ConnectError[] = [];
    for (const address of order) {
      try {
        await this.#connect(address);
        return;
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        errors.push(connectError(error));
      }
    }
    if (errors.length === 1) throw errors[0];
    const all = errors.map(({ message }, at) => `${order[at]}: ${message}`).join("; ");
    throw new ConnectError("UNAVAILABLE", `no address can be connected to: ${all}`, { cause: errors });
  }

  async #connect(address: string): Promise<void> {
    try {
      await this.#connectOnce(address);
    } catch (error) {
      // A token that has run out is asked for once more.
      if (!(error instanceof Status && error.code === "UNAUTHENTICATED" && typeof this.#options.credential === "function")) throw error;
      await this.#connectOnce(address);
    }
  }

  async #connectOnce(address: string): Promise<void> {
    this.#address = address;
    const { connectTimeoutMs, insecure } = this.#settings;
    const late = new ConnectError("DEADLINE_EXCEEDED", `${address}: not connected within ${connectTimeoutMs} ms`);
    const [credential, stream] = await within(connectTimeoutMs, late, this.#stopping.signal, async (signal) => {
      const credential = await readCredential(this.#options.credential);
      signal.throwIfAborted();
      return [credential, await this.#transport.connect(address, signal)];
    });
    if (credential !== undefined && !stream.isConfidential && !insecure) {
      stream.destroy();
      throw new ConnectError(
        "FAILED_PRECONDITION",
        `${address}: the credential is not sent where others can read it: use TLS, or insecure=true in a trusted network`,
      );
    }
    if (this.#session.phase === "over") {
      this.#session = this.#newSession();
      this.#connection.driver.session = this.#session;
      this.#welcome = undefined;
    }
    this.#closedBy = undefined;
    this.#session.begin(now(), { credential });
    try {
      const { resumed } = await new Promise<Connected>((connected, reject) => {
        this.#attempt = { connected, ended: ({ code, message, cause }) => reject(new ConnectError(code, message, { cause })) };
        this.#connection.driver.attach(stream);
      });
      await this.#logIn(resumed);
    } finally {
      this.#attempt = undefined;
    }
    this.#state = "connected";
    this.#connectedAt = now();
    this.#connection.loggedIn();
    if (this.#connection.driver.stream === undefined) this.#onStreamEnd(undefined);
  }

  #newSession(): ClientSession {
    return new ClientSession(this.#protocol, this.#sessionSettings, { ...this.#parts, streams: this.#parts.streams?.session, topics: this.#parts.topics?.session });
  }

  /** Subscribes to the topic, and lets the handler log in. */
  async #logIn(resumed: boolean): Promise<void> {
    const { topic, loginTimeoutMs } = this.#settings;
    const late = new ConnectError("DEADLINE_EXCEEDED", `the login has taken longer than ${loginTimeoutMs} ms`);
    try {
      await within(loginTimeoutMs, late, this.#stopping.signal, async (_, abort) => {
        this.#attempt = {
          connected: () => {},
          ended: ({ code, message, cause }) => abort(new ConnectError(code, `the connection was lost in the login: ${message}`, { cause })),
        };
        if (!resumed) {
          const subscribed = await this.#subscriptions?.renew(topic, this.#address, this.#protocol);
          if (subscribed) this.#onSessionEvent(subscribed);
        }
        await this.#handler.onConnected?.(this.#makeLoginClient(), { resumed });
      });
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#connection.driver.lose();
      if (error instanceof ConnectError) throw error;
      const { code, message } = error instanceof Status ? error : new Status("INTERNAL", String(error));
      throw new ConnectError(code, `the login has failed: ${message}`, { cause: error });
    }
  }

  #finish(status: Status): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#stopping.abort(status);
    this.#attempt?.ended(status);
    this.#connection.stop(new ClosedError(status.code, status.message, { cause: status }));
    this.#resolveClosed(status);
  }

  /** What has been agreed on. */
  #bodiesOf(welcome: Welcome | undefined): Bodies {
    const isCompressed = welcome?.compression === this.#compression?.id;
    return new Bodies(this.#codec, isCompressed ? this.#compression : undefined, this.#settings);
  }
}

/** Does something within a time, which `stopping` ends too, and so does `abort`. */
async function within<T>(ms: number, late: Error, stopping: AbortSignal, work: (signal: AbortSignal, abort: (reason: Error) => void) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const { signal } = controller;
  const abort = (reason: unknown): void => controller.abort(reason);
  const stop = (): void => abort(stopping.reason);
  const timer = setTimeout(abort, ms, late);
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

/** An attempt to connect has failed by this. */
function connectError(error: unknown): ConnectError {
  return error instanceof ConnectError ? error : new ConnectError("UNAVAILABLE", (error as Error).message, { cause: error });
}

function shuffled(list: readonly string[]): string[] {
  const left = [...list];
  const drawn: string[] = [];
  while (left.length > 0) drawn.push(...left.splice(Math.floor(Math.random() * left.length), 1));
  return drawn;
}
