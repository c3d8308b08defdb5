/** A client at a topic of a connection that it shares with others. */

import { PeerWindow } from "../attach/peer-window.js";
import type { Endpoint } from "../attach/sorter.js";
import type { ClientConnection } from "../client/client-connection.js";
import type { ClientClass } from "../client/client.js";
import type { ClientHandler, ClientOptions, ConnectionState, DescribedSchema, Reconnect } from "../client/options.js";
import type { ClientParts } from "../client/parts.js";
import type { Bodies } from "../connection/bodies.js";
import type { Connection } from "../connection/connection.js";
import { now, type Driver } from "../connection/driver.js";
import type { Inbound, InboundHost } from "../connection/inbound.js";
import { InboundWithCalls } from "../connection/inbound-calls.js";
import type { CallOptions } from "../connection/options.js";
import { ClosedError, ConnectError, Status } from "../errors.js";
import type { Member, Protocol } from "../protocol.js";
import { readSubscribed, subscribe, unsubscribe, type ClientSession, type Event, type Message, type MsgId, type Request } from "../session/index.js";
import type { Spoken } from "../session/state.js";
import type { BrokerNotice } from "../wire/broker.js";
import type { TopicClients } from "./topic-clients.js";
import { TopicOutbound } from "./topic-outbound.js";

export class TopicClient implements ClientConnection, InboundHost, Endpoint, Spoken {
  readonly topic: string;
  readonly protocol: Protocol;
  readonly handler: ClientHandler<unknown>;
  readonly streams: InboundHost["streams"];
  /** What a client is given to send and call with. */
  readonly peer: unknown;
  readonly outbound: TopicOutbound;
  readonly members: Map<number, Member>;
  readonly description: string | undefined;
  inbound: Inbound;
  window = new PeerWindow();
  readonly closed: Promise<Status>;
  readonly #loginPeer: unknown;
  readonly #schema: Partial<DescribedSchema> | undefined;
  readonly #connection: Connection;
  readonly #clients: TopicClients;
  readonly #onError: (error: unknown, what: string) => void;
  /** Whether it is subscribed, in the session that there is. */
  #isSubscribed = false;
  #isLoggingIn = true;
  /** The schema of the first service at the topic. */
  #spoken = 0n;
  #isClosing = false;
  #resolveClosed: (status: Status) => void = () => {};
  #onIdle: (() => void) | undefined;

  constructor(type: ClientClass<unknown>, protocol: Protocol, topic: string, options: ClientOptions, parts: ClientParts, clients: TopicClients) {
    const connection = clients.shared;
    this.topic = topic;
    this.handler = (options.handler ?? {}) as ClientHandler<unknown>;
    this.streams = parts.streams;
    this.protocol = protocol;
    this.#schema = options.description as Partial<DescribedSchema> | undefined;
    this.description = this.#schema?.text ?? (options.description as string | undefined);
    this.#connection = connection;
    this.#clients = clients;
    this.members = new Map(protocol.serverToClient.map((member) => [member.number, member]));
    this.#onError = options.onError ?? ((error, what) => console.error(`${what}:`, error));
    this.outbound = new TopicOutbound(connection.outbound, `${topic}/$in`, connection.callTimeoutMs);
    this.inbound = new InboundWithCalls(this);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.peer = new type(this);
    this.#loginPeer = new type(this, true);
  }

  get state(): ConnectionState {
    return this.outbound.closed === undefined ? this.#clients.link.state : "closed";
  }

  get address(): string {
    return this.#clients.link.address;
  }

  get peerId(): bigint {
    return this.#clients.link.peerId;
  }

  get serverName(): string {
    return this.#clients.link.serverName;
  }

  get isOtherSchema(): boolean {
    return this.#spoken !== 0n && this.#spoken !== this.protocol.fingerprint;
  }

  ping(options?: CallOptions): Promise<number> {
    return this.#clients.link.ping(options);
  }

  async subscribe(): Promise<void> {
    throw new Status("UNIMPLEMENTED", "a client of a shared connection hears its topic alone");
  }

  async unsubscribe(): Promise<void> {
    return this.subscribe();
  }

  /** Ends the subscription; what has come is handled, and calls of both sides are answered, within `drainTimeoutMs`. */
  async close(): Promise<void> {
    if (!this.#isClosing && this.outbound.closed === undefined) {
      this.#isClosing = true;
      this.outbound.closed = new ClosedError("CANCELLED", "the client is closed");
      await this.#clients.within(this.#clients.drainTimeoutMs, this.#leave()).catch(() => {});
      this.end(this.outbound.closed);
    }
    await this.closed;
  }

  async #leave(): Promise<void> {
    const { phase } = this.#session;
    if (this.#isSubscribed && phase === "open") await this.#ask(() => unsubscribe(this.#session, this.topic, now()));
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      this.#checkIdle();
    });
  }

  /** It is over, for this reason, and the others go on. */
  end(status: Status): void {
    this.outbound.closed ??= new ClosedError(status.code, status.message, { cause: status });
    this.#clients.remove(this);
    this.inbound.stopAll(status);
    this.#onIdle?.();
    this.#resolveClosed(status);
  }

  /** Subscribes, unless the session has the subscription, and lets the handler log in. */
  async logIn(resumed: boolean): Promise<void> {
    this.#isLoggingIn = true;
    try {
      if (!this.#isSubscribed) await this.#subscribe();
      await this.handler.onConnected?.(this.#loginPeer, { resumed });
    } finally {
      this.#isLoggingIn = false;
      this.inbound.proceed();
    }
  }

  async #subscribe(): Promise<void> {
    const { topic } = this;
    const { name: protocol, fingerprint } = this.protocol;
    const { welcome } = this.#session;
    if (welcome?.broker !== true) throw new ConnectError("FAILED_PRECONDITION", `${this.address}: the server is no broker, and has no topic \`${topic}\``);
    this.#tellSchema({ type: "connected", welcome, resumed: false });
    const answer = await this.#ask(() => subscribe(this.#session, topic, now(), { byPeer: true, ownWindow: true, protocol, fingerprint }));
    this.#isSubscribed = true;
    if (answer.type !== "subscribed") return;
    this.#spoken = readSubscribed(answer.body).fingerprint ?? 0n;
    this.#tellSchema(answer);
  }

  #ask(begin: () => MsgId): Promise<Event> {
    return this.#connection.outbound.awaitAnswer(begin());
  }

  #tellSchema(event: Event): void {
    this.#schema?.onEvent?.(event, this, this.protocol.fingerprint);
  }

  /** The broker says what is spoken at the topic from now on. */
  speaks({ fingerprint = 0n }: NonNullable<BrokerNotice["topic"]>, event: Event): void {
    this.#spoken = fingerprint;
    this.#tellSchema(event);
  }

  /** The session was lost: nothing of it is left. */
  sessionLost(reason: Status): void {
    this.#isSubscribed = false;
    this.#spoken = 0n;
    this.inbound.stopAll(reason);
    this.inbound = new InboundWithCalls(this);
    this.window = new PeerWindow();
    this.#tell("onSessionLost", reason);
  }

  disconnected(reason: Error): void {
    this.#tell("onDisconnected", reason as Status);
  }

  /** An attempt to connect has failed. */
  connectFailed(error: ConnectError, attempt: number): void {
    let next: Reconnect | undefined;
    try {
      next = this.handler.onConnectFailure?.(error, attempt);
    } catch (failure) {
      this.#onError(failure, "onConnectFailure failed");
    }
    if (next === "stop") this.end(error);
  }

  closedByServer(status: Status): Reconnect {
    try {
      return this.handler.onClosedByServer?.(status) ?? "stop";
    } catch (failure) {
      this.#onError(failure, "onClosedByServer failed");
      return "stop";
    }
  }

  #tell(what: "onDisconnected" | "onSessionLost", reason: Status): void {
    try {
      this.handler[what]?.(reason);
    } catch (error) {
      this.#onError(error, `${what} failed`);
    }
  }

  get creditOf(): undefined {
    return undefined;
  }

  get refused(): undefined {
    return undefined;
  }

  get driver(): Driver {
    return this.#connection.driver;
  }

  get bodies(): Bodies {
    return this.#connection.bodies;
  }

  get isHeldUp(): boolean {
    return this.#isLoggingIn || this.#connection.isHeldUp;
  }

  get identity(): undefined {
    return undefined;
  }

  answerOf(member: Member): Member {
    return this.#connection.answerOf(member);
  }

  onHandlerError(error: unknown, member: Member): void {
    this.#onError(error, `the handler of ${member.name} failed`);
  }

  topicOf(event: Message | Request): string {
    return event.topic;
  }

  handled(event: Message): void {
    this.#clients.handled(this, event);
    this.#checkIdle();
  }

  onCallOver(id: MsgId): void {
    this.#clients.onCallOver(this, id);
    this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.#onIdle !== undefined && this.inbound.openCount === 0) this.inbound.afterMessages(this.#onIdle);
  }

  get #session(): ClientSession {
    return this.driver.session as ClientSession;
  }
}
