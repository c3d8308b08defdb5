/** Sorts what comes by a connection to a broker: for each client of the service what it has sent. */

import type { Connection, InboundEvents } from "../connection/connection.js";
import { now } from "../connection/driver.js";
import { Status } from "../errors.js";
import { Kind, Shape, type Member } from "../protocol.js";
import type { Event, Message, MsgId, Request } from "../session/index.js";
import type { ServerHandler } from "../server/options.js";
import { CONNECTED, DISCONNECT_REQ, GONE, LOOKED_AFTER, PEER_CREDIT, readNotice, type PresenceInd } from "../wire/broker.js";
import { AttachedPeer, type AttachedPeerOwner, type SchemaTerms } from "./attached-peer.js";

/** What the broker is told and asked. Its own handlers and answers are read here, by no name. */
const CREDIT: Member = { name: "peer_credit", number: 2, message: PEER_CREDIT, kind: Kind.EVENT, shape: Shape.ONE_WAY, compress: false };
const DISCONNECT: Member = { name: "disconnect_req", number: 1, message: DISCONNECT_REQ, kind: Kind.COMMAND, shape: Shape.CALL, answer: 1, compress: false };

/** What the broker says is encoded in protobuf, whatever the codec of the topic is. */
export const BROKER_MEMBERS: readonly Member[] = [CREDIT, DISCONNECT];

/** Whose clients these are. */
export interface DemuxOwner extends SchemaTerms {
  readonly handler: ServerHandler<unknown>;
  makePeer(connection: AttachedPeer): unknown;
  /** Why such a client is not served. */
  refusalOf(about: PresenceInd): Status | undefined;
  onError(error: unknown, what: string): void;
  /** The broker has ended the subscription with this name. */
  onSubscriptionEnded(topic: string): void;
}

export class Demux implements InboundEvents, AttachedPeerOwner {
  readonly handler: ServerHandler<unknown>;
  readonly schemaTerms: SchemaTerms;
  readonly #connection: Connection;
  readonly #owner: DemuxOwner;
  /** By the topic at which what they send arrives. */
  readonly #peers = new Map<string, AttachedPeer>();
  readonly #calls = new Map<MsgId, AttachedPeer>();
  /** Messages that wait for their handlers, or are being handled. */
  #messages = 0;
  #nextDeadline = Infinity;
  #onIdle: (() => void) | undefined;

  constructor(connection: Connection, owner: DemuxOwner) {
    this.#connection = connection;
    this.#owner = owner;
    this.handler = owner.handler;
    this.schemaTerms = owner;
  }

  /** The clients that are there. */
  get peers(): readonly AttachedPeer[] {
    return [...this.#peers.values()];
  }

  get openCount(): number {
    return this.#calls.size;
  }

  onEvent(event: Event): boolean {
    switch (event.type) {
      case "notice":
        if (!event.compressed) this.#told(event.body);
        return true;
      case "message":
        this.#message(event);
        return true;
      case "request":
        this.#request(event);
        return true;
      case "requestItem": {
        const peer = this.#calls.get(event.id);
        if (peer === undefined) this.#connection.driver.session.finished(event, now());
        else peer.receive(event);
        return true;
      }
      case "requestEnd":
      case "cancelled":
        this.#calls.get(event.id)?.receive(event);
        return true;
      case "writable": {
        const peer = this.#calls.get(event.id);
        peer?.receive(event);
        return peer !== undefined;
      }
      default:
        return false;
    }
  }

  proceed(): void {
    for (const peer of this.#peers.values()) peer.inbound.proceed();
  }

  expire(at: number): number {
    if (at < this.#nextDeadline) return this.#nextDeadline;
    this.#nextDeadline = Infinity;
    for (const peer of new Set(this.#calls.values())) this.#nextDeadline = Math.min(this.#nextDeadline, peer.inbound.expire(at));
    return this.#nextDeadline;
  }

  /** The session with the broker is over, and all clients with it. */
  stopAll(status: Status): void {
    const peers = this.peers;
    this.#peers.clear();
    this.#calls.clear();
    this.#messages = 0;
    for (const peer of peers) peer.stop(status);
    this.#checkIdle();
  }

  /** Resolves when all that has come was handled. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      this.#checkIdle();
    });
  }

  handled(peer: AttachedPeer, event: Message): void {
    this.#messages -= 1;
    const { session } = this.#connection.driver;
    const items = peer.window.handled(event.size, event.connection, session.connection);
    if (items > 0) {
      const granted = this.#connection.outbound.send(CREDIT, { peer: peer.name, items }, { topic: `$broker/${peer.topic}`, timeoutMs: Infinity }, false);
      // Where the connection is lost meanwhile the window is full again.
      granted.catch(() => {});
    }
    this.#checkIdle();
  }

  onCallOver(peer: AttachedPeer, id: MsgId): void {
    if (this.#calls.get(id) === peer) this.#calls.delete(id);
    this.#checkIdle();
  }

  onError(error: unknown, what: string): void {
    this.#owner.onError(error, what);
  }

  disconnect({ topic, name }: AttachedPeer, { code, message }: Status): void {
    const { driver, outbound, bodies } = this.#connection;
    const body = bodies.encode(DISCONNECT, { peer: name, code: code === "ABORTED" ? "" : code, text: message });
    try {
      const id = driver.session.call(DISCONNECT, body.bytes, now(), { topic: `$broker/${topic}`, timeoutMs: 30_000 });
      outbound.awaitAnswer(id).catch((error: unknown) => this.onError(error, `the broker has not disconnected ${name}`));
    } catch (error) {
      this.onError(error, `the broker was not asked to disconnect ${name}`);
    }
  }

  #checkIdle(): void {
    if (this.#messages === 0 && this.#calls.size === 0) this.#onIdle?.();
  }

  #message(event: Message): void {
    const { session } = this.#connection.driver;
    // Each client has a window of its own, so that none holds up the others.
    session.finished(event, now());
    const peer = this.#peers.get(event.topic);
    if (peer?.refused === undefined && peer?.window.receive() === true) {
      this.#messages += 1;
      peer.receive(event);
    } else if (event.delivery) {
      session.fail(event.id, peer === undefined ? nobody() : peer.refused ?? new Status("RESOURCE_EXHAUSTED", "more messages of this client than its window allows"));
    }
  }

  #request(event: Request): void {
    const peer = this.#peers.get(event.topic);
    if (peer === undefined || peer.refused !== undefined) {
      this.#connection.driver.session.fail(event.id, peer?.refused ?? nobody());
      return;
    }
    this.#calls.set(event.id, peer);
    this.#nextDeadline = Math.min(this.#nextDeadline, event.deadline);
    peer.receive(event);
  }

  #told(body: Uint8Array): void {
    const { presence, subscriptionEnded } = readNotice(body);
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
    const peer = new AttachedPeer(this.#connection, this, about, refused);
    if (refused !== undefined) this.disconnect(peer, refused);
    peer.peer = this.#owner.makePeer(peer);
    this.#peers.set(key, peer);
    return peer;
  }
}

function nobody(): Status {
  return new Status("NOT_FOUND", "nobody of this connection hears the topic");
}
