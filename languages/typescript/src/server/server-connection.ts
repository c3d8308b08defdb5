/** A session of a client, over all of its connections. */

import type { Bodies } from "../connection/bodies.js";
import { Connection } from "../connection/connection.js";
import { now } from "../connection/driver.js";
import { InboundWithCalls } from "../connection/inbound-calls.js";
import { streams } from "../connection/inbound-streams.js";
import type { KeyedBody } from "../connection/keyed-body.js";
import type { CallOptions } from "../connection/options.js";
import type { Outbound } from "../connection/outbound.js";
import { ClosedError, Status } from "../errors.js";
import type { Member, Protocol } from "../protocol.js";
import type { SchemaDifference } from "../schema/index.js";
import { CodecId, heldBy, type Budget, type Event, type Identity, type ReceivedHello, type ServerSession, type Welcome } from "../session/index.js";
import type { ByteStream } from "../transport/transport.js";
import { Admission } from "./admission.js";
import { offer } from "./offer.js";
import type { ClientIdentity, ServerHandler, ServerSettings } from "./options.js";
import type { PeerConnection } from "./peer-connection.js";
import { SchemaCheck, refusalOf, type OtherSchema } from "./schema-check.js";

/** By so much what a connection holds has changed before the budget is told. */
const HELD_STEP = 65_536;

/** What the server keeps of a session. */
export interface SessionParts {
  readonly id: bigint;
  /** The hash of the secret by which the client comes back. */
  readonly secretHash: Uint8Array;
  /** Whose the session is. */
  readonly principal: string;
  readonly session: ServerSession;
  readonly protocol: Protocol;
  readonly settings: ServerSettings;
  readonly handler: ServerHandler<unknown>;
  readonly bodies: Bodies;
  readonly budget: Budget;
  /** Where the client has another version of the schema. */
  readonly otherSchema: OtherSchema | undefined;
  readonly onError: (error: unknown, what: string) => void;
}

/** Who hears how a session goes. */
export interface SessionOwner {
  /** It has no connection now, and is kept. */
  onDetached(connection: ServerConnection): void;
  /** It is over. */
  onOver(connection: ServerConnection): void;
}

/** A client that has a connection of its own. */
export class ServerConnection implements PeerConnection {
  /** @internal */
  readonly parts: SessionParts;
  readonly #owner: SessionOwner;
  readonly #connection: Connection;
  /** Of a client that has another version of the schema. */
  readonly #check: SchemaCheck | undefined;
  /** Where such a client is served only once its schema was compared. */
  readonly #admission: Admission | undefined;
  #isAdmitted: boolean;
  #hasBegun = false;
  #peer: unknown;
  #peerId = 0n;
  #clientName = "";
  #address = "";
  #isOtherSchema = false;
  #identity: ClientIdentity | undefined;
  /** When the identity expires, on the clock of timers. */
  #expiresAt = Infinity;
  #isConnected = false;
  #isStopped = false;
  #closedBy: Status | undefined;
  /** What the budget was told that it holds. */
  #held = 0;

  /** @internal */
  constructor(parts: SessionParts, owner: SessionOwner) {
    this.parts = parts;
    this.#owner = owner;
    const { otherSchema, settings } = parts;
    this.#check = otherSchema && new SchemaCheck(otherSchema);
    this.#isAdmitted = this.#check === undefined || settings.schema !== "compatible";
    let admission: Admission | undefined;
    this.#connection = new Connection(
      {
        ...parts,
        topic: "",
        streams,
        inbound: (connection) => {
          const inbound = new InboundWithCalls(connection);
          return this.#isAdmitted ? inbound : (admission = new Admission(inbound, connection.driver));
        },
        owner: {
          onSessionEvent: (event) => this.#onSessionEvent(event),
          onStreamEnd: (error) => this.#onStreamEnd(error),
          onTick: (at) => this.#onTick(at),
        },
      },
      parts.bodies,
    );
    this.#admission = admission;
  }

  /** Who the client is, as `authenticate` has said. */
  get identity(): ClientIdentity | undefined {
    return this.#identity;
  }

  /** By what others know this client. It stays as long as the session does. */
  get peerId(): bigint {
    return this.#peerId;
  }

  /** What the client calls itself. */
  get clientName(): string {
    return this.#clientName;
  }

  /** Where it comes from. */
  get address(): string {
    return this.#address;
  }

  /** None: it speaks to this server alone. */
  get topic(): string {
    return "";
  }

  /** Whether it speaks another version of the schema. */
  get isOtherSchema(): boolean {
    return this.#isOtherSchema;
  }

  get schemaDifference(): SchemaDifference | undefined {
    return this.#check?.difference;
  }

  async schemaCompared(): Promise<SchemaDifference | undefined> {
    return this.#check?.compared;
  }

  /** Whether it is there now. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Whether it is there, and is served. @internal */
  get isServed(): boolean {
    return this.#isConnected && this.#isAdmitted;
  }

  /** How long a PING and its answer take, in milliseconds. */
  async ping(options: CallOptions = {}): Promise<number> {
    const begun = now();
    await this.outbound.awaitAnswer(this.parts.session.ping(begun), options);
    return now() - begun;
  }

  /** @internal */
  get outbound(): Outbound {
    return this.#connection.outbound;
  }

  /** @internal */
  get bodies(): Bodies {
    return this.#connection.bodies;
  }

  /** The client may have come back with another codec. @internal */
  useBodies(bodies: Bodies): void {
    this.#connection.bodies = bodies;
  }

  /** Its session says what has become of it. @internal */
  get gone(): Status | undefined {
    return undefined;
  }

  /** @internal */
  route<O extends CallOptions>(options: O): O {
    return options;
  }

  /** How many calls are open, both ways. @internal */
  get openCount(): number {
    return this.#connection.outbound.openCount + (this.#connection.inbound?.openCount ?? 0);
  }

  /** The session begins. @internal */
  begin(peer: unknown): void {
    this.#peer = peer;
    this.#connection.peer = peer;
  }

  /** The session has a connection: its first, or a further one. @internal */
  attach(stream: ByteStream, hello: ReceivedHello, welcome: Welcome, identity: ClientIdentity | undefined): void {
    this.#peerId = welcome.peerId ?? 0n;
    this.#clientName = hello.clientName ?? "";
    this.#address = stream.peerAddress;
    this.#isOtherSchema = (hello.fingerprint ?? 0n) !== this.parts.protocol.fingerprint;
    this.#identity = identity;
    this.#connection.identity = identityOf(identity, this.#peerId);
    this.#expiresAt = identity?.expiresAt === undefined ? Infinity : now() + (identity.expiresAt.getTime() - Date.now());
    this.#isConnected = true;
    this.#closedBy = undefined;
    if (this.#isAdmitted) this.#greet();
    this.#connection.driver.attach(stream);
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#check?.begin(this.outbound, "", welcome.codec || CodecId.PROTOBUF);
    if (!this.#isAdmitted) void this.#check?.compared.then((difference) => this.#decide(difference));
  }

  /** Tells the handler that the client is there. Nothing is handled before that has returned. */
  #greet(): void {
    const told = this.#tellConnected(this.parts.handler);
    if (told === undefined) return;
    this.#connection.isLoggingIn = true;
    told.then(
      () => this.#connection.loggedIn(),
      (error: unknown) => {
        this.parts.onError(error, "onClientConnected failed");
        this.disconnect(error instanceof Status ? error : new Status("INTERNAL", "the handler failed"));
        this.#connection.loggedIn();
      },
    );
  }

  /** The schemas were compared: the client is served, or is told why not. */
  #decide(difference: SchemaDifference): void {
    if (this.#isStopped) return;
    const refusal = refusalOf(difference);
    if (refusal === undefined) {
      this.#isAdmitted = true;
      if (this.#isConnected) this.#greet();
      this.#admission?.admit();
    } else {
      this.#admission?.refuse(refusal);
      this.disconnect(refusal);
    }
    this.#connection.driver.scheduleFlush();
  }

  /** Another connection takes the session over: the older stream is told so, and is returned while it ends. @internal */
  takeOver(): ByteStream | undefined {
    const { driver } = this.#connection;
    const older = driver.stream;
    driver.lose(new Error("session taken over"), (stream) => {
      for (const bytes of this.parts.session.takenOver()) stream.write(bytes);
      stream.end();
    });
    return older;
  }

  /** Ends the session gracefully. @internal */
  disconnect(status: Status): void {
    if (this.parts.session.phase === "open") {
      this.parts.session.close(status, now());
      this.#connection.driver.scheduleFlush();
    } else this.stop(status);
  }

  /** Ends the session at once. @internal */
  stop(status: Status): void {
    const wasConnected = this.#isConnected;
    this.#isConnected = false;
    this.#isStopped = true;
    this.#connection.stop(new ClosedError(status.code, status.message));
    this.#hold(0);
    if (wasConnected) this.#tell("onClientDisconnected", status);
    this.#tell("onClientGone", status);
    this.#owner.onOver(this);
  }

  /** Sends a message, where that is possible at once. @internal */
  offer(member: Member, body: KeyedBody): boolean {
    return offer(this.#connection.driver, member, body);
  }

  #onSessionEvent(event: Event): void {
    if (event.type !== "draining" && event.type !== "closed") return;
    this.#closedBy ??= event.status;
    if (event.type === "closed" && this.#connection.driver.stream === undefined) this.stop(event.status);
  }

  #onStreamEnd(error: Error | undefined): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    const reason = this.#closedBy ?? new ClosedError("UNAVAILABLE", error?.message ?? "the connection was lost");
    this.#tell("onClientDisconnected", reason);
    if (this.parts.session.phase === "over") this.stop(reason);
    else this.#owner.onDetached(this);
  }

  /** Tells how much memory it holds: not each byte, so that an idle connection counts as nothing. */
  #measure(): void {
    const held = heldBy(this.parts.session);
    if (Math.abs(held - this.#held) >= HELD_STEP || !this.#isConnected) this.#hold(held);
  }

  #hold(held: number): void {
    const by = held - this.#held;
    this.#held = held;
    if (by !== 0) this.parts.budget.change(by);
  }

  #onTick(at: number): number {
    this.#measure();
    if (at < this.#expiresAt) return this.#expiresAt;
    this.#expiresAt = Infinity;
    this.disconnect(new Status("UNAUTHENTICATED", "the identity has expired"));
    return Infinity;
  }

  #tellConnected(handler: ServerHandler<unknown>): Promise<void> | undefined {
    try {
      return handler.onClientConnected?.(this.#peer) ?? undefined;
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  #tell(what: "onClientDisconnected" | "onClientGone", reason: Status): void {
    // Of whom the handler was never told.
    if (!this.#isAdmitted) return;
    try {
      this.parts.handler[what]?.(this.#peer, reason);
    } catch (error) {
      this.parts.onError(error, `${what} failed`);
    }
  }
}

function identityOf(identity: ClientIdentity | undefined, peer: bigint): Identity | undefined {
  if (identity === undefined) return undefined;
  const { user, roles } = identity;
  return { peer, ...(user !== undefined && { user }), ...(roles !== undefined && { roles }) };
}
