/** The clients of a service, as the broker introduces them. */

import type { Connection } from "../connection/connection.js";
import { now } from "../connection/driver.js";
import { Status } from "../errors.js";
import { Kind, Shape, type Member } from "../protocol.js";
import type { ServerHandler } from "../server/options.js";
import { CONNECTED, DISCONNECT_REQ, GONE, LOOKED_AFTER, type BrokerNotice, type PresenceInd } from "../wire/broker.js";
import { AttachedPeer, type AttachedPeerOwner, type SchemaTerms } from "./attached-peer.js";
import { CREDIT, Sorter } from "./sorter.js";

/** What the broker is asked. Its answers are read here, by no name. */
const DISCONNECT: Member = { name: "disconnect_req", number: 1, message: DISCONNECT_REQ, kind: Kind.COMMAND, shape: Shape.CALL, answer: 1, compress: false };

/** What the broker is told and asked, in protobuf, whatever the codec of the topic is. */
export const BROKER_MEMBERS: readonly Member[] = [CREDIT, DISCONNECT];

/** Whose clients these are. */
export interface DemuxOwner extends SchemaTerms {
  readonly handler: ServerHandler<unknown>;
  makePeer(connection: AttachedPeer): unknown;
  /** Why such a client is not served. */
  refusalOf(about: PresenceInd): Status | undefined;
  onError(error: unknown, what: string): void;
  /** Why calls are refused at the moment. */
  shortOfMemory(): Status | undefined;
  /** Time has passed, or something else has changed. */
  onTick(): void;
  /** The broker has ended the subscription with this name. */
  onSubscriptionEnded(topic: string): void;
}

/** Sorts what the clients of a service send. */
export class Demux extends Sorter<AttachedPeer> implements AttachedPeerOwner {
  readonly handler: ServerHandler<unknown>;
  readonly schemaTerms: SchemaTerms;
  readonly #owner: DemuxOwner;
  /** By the topic at which what they send arrives. */
  readonly #peers = new Map<string, AttachedPeer>();

  constructor(connection: Connection, owner: DemuxOwner) {
    super(connection);
    this.#owner = owner;
    this.handler = owner.handler;
    this.schemaTerms = owner;
  }

  /** The clients that are there. */
  get peers(): readonly AttachedPeer[] {
    return [...this.#peers.values()];
  }

  protected override get endpoints(): Iterable<AttachedPeer> {
    return this.#peers.values();
  }

  protected override find(topic: string): AttachedPeer | undefined {
    return this.#peers.get(topic);
  }

  protected override refusal(): Status | undefined {
    return this.#owner.shortOfMemory();
  }

  override expire(at: number): number {
    this.#owner.onTick();
    return super.expire(at);
  }

  /** The session with the broker is over, and all clients with it. */
  override stopAll(status: Status): void {
    const peers = this.peers;
    this.#peers.clear();
    this.forget();
    for (const peer of peers) peer.stop(status);
  }

  onError(error: unknown, what: string): void {
    this.#owner.onError(error, what);
  }

  disconnect({ topic, name }: AttachedPeer, { code, message }: Status): void {
    const { driver, outbound, bodies } = this.connection;
    const body = bodies.encode(DISCONNECT, { peer: name, code: code === "ABORTED" ? "" : code, text: message });
    try {
      const id = driver.session.call(DISCONNECT, body.bytes, now(), { topic: `$broker/${topic}`, timeoutMs: 30_000 });
      outbound.awaitAnswer(id).catch((error: unknown) => this.onError(error, `the broker has not disconnected ${name}`));
    } catch (error) {
      this.onError(error, `the broker was not asked to disconnect ${name}`);
    }
  }

  protected override told({ presence, subscriptionEnded }: BrokerNotice): void {
    if (presence !== undefined) this.#presence(presence);
    if (subscriptionEnded !== undefined) this.#owner.onSubscriptionEnded(subscriptionEnded.topic ?? "");
  }

  #presence(about: PresenceInd): void {
    const key = `${about.topic ?? ""}/$in/${about.peer ?? ""}`;
    const known = this.#peers.get(key);
    if (about.presence === GONE) {
      this.#peers.delete(key);
      known?.leave(new Status("UNAVAILABLE", "its session with the broker has ended"));
    } else if (about.presence === CONNECTED || about.presence === LOOKED_AFTER) {
      const peer = known ?? this.#introduce(key, about);
      if (peer.refused !== undefined) return;
      if (about.looksAfter === true || about.presence === LOOKED_AFTER) peer.lookAfter();
    }
  }

  #introduce(key: string, about: PresenceInd): AttachedPeer {
    const refused = this.#owner.refusalOf(about);
    const peer = new AttachedPeer(this.connection, this, about, refused);
    if (refused !== undefined) this.disconnect(peer, refused);
    peer.peer = this.#owner.makePeer(peer);
    this.#peers.set(key, peer);
    return peer;
  }
}
