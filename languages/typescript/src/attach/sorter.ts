/** Sorts what comes by a connection to a broker: for each end of a conversation what it is sent, within a window of its own. */

import type { Connection, InboundEvents } from "../connection/connection.js";
import { now } from "../connection/driver.js";
import type { Inbound } from "../connection/inbound.js";
import { Status } from "../errors.js";
import { Kind, Shape, type Member } from "../protocol.js";
import type { Event, Message, MsgId, Request } from "../session/index.js";
import { PEER_CREDIT, readNotice, type BrokerNotice } from "../wire/broker.js";
import type { PeerWindow } from "./peer-window.js";

/** What the broker is told. Its own handlers are read here, by no name. */
export const CREDIT: Member = { name: "peer_credit", number: 2, message: PEER_CREDIT, kind: Kind.EVENT, shape: Shape.ONE_WAY, compress: false };

/** An end of a conversation: a client of a service, or a client at a topic. */
export interface Endpoint {
  readonly inbound: Inbound;
  readonly window: PeerWindow;
  readonly topic: string;
  /** The client whose window it is; nothing where the window is its own. */
  readonly creditOf: string | undefined;
  /** Why nothing is taken for it. */
  readonly refused: Status | undefined;
}

export abstract class Sorter<E extends Endpoint> implements InboundEvents {
  protected readonly connection: Connection;
  readonly #calls = new Map<MsgId, E>();
  /** Messages that wait for their handlers, or are being handled. */
  #messages = 0;
  #messageBytes = 0;
  #nextDeadline = Infinity;
  #onIdle: (() => void) | undefined;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** The ends that are there. */
  protected abstract readonly endpoints: Iterable<E>;
  /** The end that hears what comes at this topic. */
  protected abstract find(topic: string): E | undefined;
  /** The broker says something of its own. */
  protected abstract told(notice: BrokerNotice, event: Event): void;
  /** Why no call is taken at the moment. */
  protected abstract refusal(): Status | undefined;

  /** How many bytes the messages have that wait for their handlers, or are being handled, which the session does not know of. */
  get held(): number {
    return this.#messageBytes;
  }

  get openCount(): number {
    return this.#calls.size;
  }

  onEvent(event: Event): boolean {
    switch (event.type) {
      case "notice":
        if (!event.compressed) this.told(readNotice(event.body), event);
        return true;
      case "message":
        this.#message(event);
        return true;
      case "request":
        this.#request(event);
        return true;
      case "requestItem": {
        const endpoint = this.#calls.get(event.id);
        if (endpoint === undefined) this.connection.driver.session.finished(event, now());
        else endpoint.inbound.onEvent(event);
        return true;
      }
      case "requestEnd":
      case "cancelled":
        this.#calls.get(event.id)?.inbound.onEvent(event);
        return true;
      case "writable": {
        const endpoint = this.#calls.get(event.id);
        endpoint?.inbound.onEvent(event);
        return endpoint !== undefined;
      }
      default:
        return false;
    }
  }

  proceed(): void {
    for (const { inbound } of this.endpoints) inbound.proceed();
  }

  expire(at: number): number {
    if (at < this.#nextDeadline) return this.#nextDeadline;
    this.#nextDeadline = Infinity;
    for (const { inbound } of new Set(this.#calls.values())) this.#nextDeadline = Math.min(this.#nextDeadline, inbound.expire(at));
    return this.#nextDeadline;
  }

  abstract stopAll(status: Status): void;

  /** Nothing is waited for any more. */
  protected forget(): void {
    this.#calls.clear();
    this.#messages = this.#messageBytes = 0;
    this.#checkIdle();
  }

  /** Resolves when all that has come was handled. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      this.#checkIdle();
    });
  }

  /** A message was handled: as much may be sent again. */
  handled({ window, topic, creditOf }: E, event: Message): void {
    this.#messages -= 1;
    this.#messageBytes -= event.size;
    const grant = window.handled(event.size, event.connection, this.connection.driver.session.connection);
    if (grant !== undefined) {
      const credit = { ...(creditOf !== undefined && { peer: creditOf }), ...grant };
      const granted = this.connection.outbound.send(CREDIT, credit, { topic: `$broker/${topic}`, timeoutMs: Infinity }, false);
      // Where the connection is lost meanwhile the window is full again.
      granted.catch(() => {});
    }
    this.#checkIdle();
  }

  onCallOver(endpoint: E, id: MsgId): void {
    if (this.#calls.get(id) === endpoint) this.#calls.delete(id);
    this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.#messages === 0 && this.#calls.size === 0) this.#onIdle?.();
  }

  #message(event: Message): void {
    const { session } = this.connection.driver;
    // Each end has a window of its own, so that none holds up the others.
    session.finished(event, now());
    const endpoint = this.find(event.topic);
    if (endpoint?.refused === undefined && endpoint?.window.receive() === true) {
      this.#messages += 1;
      this.#messageBytes += event.size;
      endpoint.inbound.onEvent(event);
    } else if (event.delivery) {
      session.fail(event.id, endpoint === undefined ? nobody() : (endpoint.refused ?? new Status("RESOURCE_EXHAUSTED", "more messages than the window allows")));
    }
  }

  #request(event: Request): void {
    const endpoint = this.find(event.topic);
    const refused = endpoint === undefined ? nobody() : (endpoint.refused ?? this.refusal());
    if (endpoint === undefined || refused !== undefined) {
      this.connection.driver.session.fail(event.id, refused ?? nobody());
      return;
    }
    this.#calls.set(event.id, endpoint);
    this.#nextDeadline = Math.min(this.#nextDeadline, event.deadline);
    endpoint.inbound.onEvent(event);
  }
}

function nobody(): Status {
  return new Status("NOT_FOUND", "nobody of this connection hears the topic");
}
