/** A client of a service, as the broker has introduced it: what it sends, in order, and what is said to it. */

import type { Bodies } from "../connection/bodies.js";
import type { Connection } from "../connection/connection.js";
import { now, type Driver } from "../connection/driver.js";
import type { Inbound, InboundHost } from "../connection/inbound.js";
import { InboundWithCalls } from "../connection/inbound-calls.js";
import { streams, type Streams } from "../connection/inbound-streams.js";
import type { CallOptions } from "../connection/options.js";
import type { Outbound } from "../connection/outbound.js";
import { ClosedError, Status } from "../errors.js";
import type { Member } from "../protocol.js";
import type { SchemaDifference } from "../schema/index.js";
import type { PeerSchemas } from "../schema/peer-schemas.js";
import { SchemaCheck } from "../server/schema-check.js";
import type { Identity, Message, MsgId } from "../session/index.js";
import type { ClientIdentity, ServerHandler } from "../server/options.js";
import type { PeerConnection } from "../server/peer-connection.js";
import type { PresenceInd } from "../wire/broker.js";
import { PeerWindow } from "./peer-window.js";
import type { Endpoint } from "./sorter.js";

/** What a service has for clients that have another version of its schema. */
export interface SchemaTerms {
  readonly fingerprint: bigint;
  readonly schemas: PeerSchemas | undefined;
  /** The codec of the topic. */
  readonly codec: number;
  readonly handshakeTimeoutMs: number;
}

/** What a client asks of the service. */
export interface AttachedPeerOwner {
  readonly handler: ServerHandler<unknown>;
  readonly schemaTerms: SchemaTerms;
  onError(error: unknown, what: string): void;
  /** A message was handled. */
  handled(peer: AttachedPeer, event: Message): void;
  /** A call has ended. */
  onCallOver(peer: AttachedPeer, id: MsgId): void;
  /** The broker is to end the client's session. */
  disconnect(peer: AttachedPeer, status: Status): void;
}

export class AttachedPeer implements PeerConnection, InboundHost, Endpoint {
  readonly topic: string;
  /** As the broker names it. */
  readonly name: string;
  readonly peerId: bigint;
  readonly clientName: string;
  readonly address: string;
  readonly identity: (ClientIdentity & Identity) | undefined;
  readonly isOtherSchema: boolean;
  readonly inbound: Inbound;
  readonly window = new PeerWindow();
  readonly handler: ServerHandler<unknown>;
  /** Set before anything is handled. */
  peer: unknown;
  readonly #connection: Connection;
  readonly #owner: AttachedPeerOwner;
  readonly #check: SchemaCheck | undefined;
  #isLookedAfter = false;
  /** How many `onClientConnected` have not returned: nothing is handled meanwhile. */
  #greetings = 0;
  /** Why nothing can be sent to it any more. */
  gone: Status | undefined;

  constructor(
    connection: Connection,
    owner: AttachedPeerOwner,
    about: PresenceInd,
    /** Why it is not served. */
    readonly refused: Status | undefined,
  ) {
    const { topic = "", peer: name = "", clientName = "", address = "", fingerprint = 0n } = about;
    this.#connection = connection;
    this.#owner = owner;
    this.topic = topic;
    this.name = name;
    this.peerId = /^[0-9a-f]{1,16}$/i.test(name) ? BigInt(`0x${name}`) : 0n;
    this.clientName = clientName;
    this.address = address;
    this.identity = identityOf(about, this.peerId);
    const { schemas, codec, handshakeTimeoutMs, fingerprint: ours } = owner.schemaTerms;
    this.isOtherSchema = fingerprint !== 0n && fingerprint !== ours;
    if (this.isOtherSchema && schemas !== undefined && refused === undefined) {
      this.#check = new SchemaCheck({ schemas, fingerprint, isDescribed: true, timeoutMs: handshakeTimeoutMs });
      this.#check.begin(connection.outbound, this.#to, codec);
    }
    this.handler = owner.handler;
    this.inbound = new InboundWithCalls(this);
  }

  get schemaDifference(): SchemaDifference | undefined {
    return this.#check?.difference;
  }

  async schemaCompared(): Promise<SchemaDifference | undefined> {
    return this.#check?.compared;
  }

  /** The topic of what is for this client alone. */
  get #to(): string {
    return `${this.topic}/$to/${this.name}`;
  }

  get creditOf(): string {
    return this.name;
  }

  get isConnected(): boolean {
    return this.gone === undefined;
  }

  get outbound(): Outbound {
    return this.#connection.outbound;
  }

  get streams(): Streams {
    return streams;
  }

  route<O extends CallOptions>(options: O): O {
    return { ...options, topic: options.topic ?? this.#to };
  }

  get driver(): Driver {
    return this.#connection.driver;
  }

  get bodies(): Bodies {
    return this.#connection.bodies;
  }

  get isHeldUp(): boolean {
    return this.#greetings > 0 || this.#connection.isHeldUp;
  }

  answerOf(member: Member): Member {
    return this.#connection.answerOf(member);
  }

  onHandlerError(error: unknown, member: Member): void {
    this.#connection.onHandlerError(error, member);
  }

  topicOf(): string {
    return this.topic;
  }

  handled(event: Message): void {
    this.#owner.handled(this, event);
  }

  onCallOver(id: MsgId): void {
    this.#owner.onCallOver(this, id);
  }

  async ping(options: CallOptions = {}): Promise<number> {
    const begun = now();
    await this.#connection.outbound.awaitAnswer(this.driver.session.ping(begun), options);
    return now() - begun;
  }

  disconnect(status: Status): void {
    if (this.gone === undefined) this.#owner.disconnect(this, status);
  }

  /** This instance looks after the client: its handler is told of it, before anything else is handled. */
  lookAfter(): void {
    if (this.#isLookedAfter) return;
    this.#isLookedAfter = true;
    this.#greetings += 1;
    this.#greet()
      .catch((error: unknown) => {
        this.#owner.onError(error, "onClientConnected failed");
        this.disconnect(error instanceof Status ? error : new Status("INTERNAL", "the handler failed"));
      })
      .finally(() => {
        this.#greetings -= 1;
        this.inbound.proceed();
      });
  }

  async #greet(): Promise<void> {
    await this.handler.onClientConnected?.(this.peer);
  }

  /** Nothing more comes of it: what is there is handled still, and then the handler is told. */
  leave(status: Status): void {
    if (this.gone !== undefined) return;
    this.gone = new ClosedError(status.code, status.message);
    this.inbound.afterMessages(() => this.#tellGone(status));
  }

  /** It has gone with the connection to the broker: nothing is handled any more. */
  stop(status: Status): void {
    this.inbound.stopAll(status);
    if (this.gone !== undefined) return;
    this.gone = new ClosedError(status.code, status.message);
    this.#tellGone(status);
  }

  #tellGone(status: Status): void {
    if (!this.#isLookedAfter) return;
    for (const told of ["onClientDisconnected", "onClientGone"] as const) {
      try {
        this.handler[told]?.(this.peer, status);
      } catch (error) {
        this.#owner.onError(error, `${told} failed`);
      }
    }
  }
}

/** Who a client is; nothing where it is anonymous. */
function identityOf(about: PresenceInd, peer: bigint): (ClientIdentity & Identity) | undefined {
  const { principal = "", user, service, roles } = about;
  if (user === undefined && service === undefined && roles === undefined && (principal === "" || principal === "anonymous")) return undefined;
  return {
    peer,
    ...(principal !== "" && { subject: principal }),
    ...(user !== undefined && { user }),
    ...(service !== undefined && { service }),
    ...(roles !== undefined && { roles }),
  };
}
