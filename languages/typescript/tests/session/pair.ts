/** Two sessions back to back, without a transport: what one writes the other reads, cut anywhere. */

import assert from "node:assert/strict";

import { Kind, Shape, type Member, type Protocol } from "../../src/protocol.js";
import { Accepting, ClientSession, ServerSession, everyPart, type Event, type Session, type SessionParts, type Settings } from "../../src/session/index.js";

/** The members of the test's protocol; those that answer have the same numbers. */
export const CALL: Member = { name: "call_req", number: 1, message: undefined, kind: Kind.COMMAND, shape: Shape.CALL, answer: 1, timeoutMs: 30_000 };
export const WATCH: Member = { name: "watch_req", number: 2, message: undefined, kind: Kind.COMMAND, shape: Shape.CALL, answer: 2, responseStream: true };
export const UPLOAD: Member = { name: "upload_req", number: 3, message: undefined, kind: Kind.COMMAND, shape: Shape.CALL, answer: 3, requestStream: true };
export const BOTH: Member = { name: "both_req", number: 4, message: undefined, kind: Kind.COMMAND, shape: Shape.CALL, answer: 4, requestStream: true, responseStream: true, urgent: true };
export const NOTE: Member = { name: "note_ind", number: 5, message: undefined, kind: Kind.EVENT, shape: Shape.ONE_WAY };
export const ORDER: Member = { name: "order_ind", number: 6, message: undefined, kind: Kind.EVENT, shape: Shape.ACKNOWLEDGED, timeoutMs: 30_000 };
export const STATE: Member = { name: "state_ind", number: 7, message: undefined, kind: Kind.STATE, shape: Shape.ONE_WAY };
export const LOG: Member = { name: "log_ind", number: 8, message: undefined, kind: Kind.LOG, shape: Shape.ONE_WAY };
export const URGENT_CALL: Member = { ...CALL, name: "urgent_req", number: 9, answer: 9, urgent: true };
export const URGENT_NOTE: Member = { ...NOTE, name: "urgent_ind", number: 10, urgent: true };

const MEMBERS = [CALL, WATCH, UPLOAD, BOTH, NOTE, ORDER, STATE, LOG, URGENT_CALL, URGENT_NOTE];
export const PROTOCOL: Protocol = { name: "test.v1", fingerprint: 0x1122334455667788n, clientToServer: MEMBERS, serverToClient: MEMBERS };

/** A client and a server, and what has happened to each. */
export class Pair {
  now = 1000;
  readonly client: ClientSession;
  server!: ServerSession;
  accepting: Accepting | undefined;
  readonly atClient: Event[] = [];
  readonly atServer: Event[] = [];

  constructor(
    readonly clientSettings: Settings = {},
    readonly serverSettings: Settings = {},
    /** Of the client; a server has all. */
    parts: SessionParts = everyPart,
  ) {
    this.client = new ClientSession(PROTOCOL, clientSettings, parts);
  }

  /** A connection, and its handshake. */
  connect(): this {
    this.client.begin(this.now);
    this.accepting = new Accepting(this.now, this.serverSettings);
    const hello = this.accepting.receive(this.client.transmit());
    assert(hello, "a HELLO");
    if (this.server?.phase === "suspended" || this.server?.phase === "open") this.server.resume(hello, { codec: 1 }, this.now);
    else this.server = ServerSession.accept(PROTOCOL, this.serverSettings, hello, { codec: 1 }, this.now);
    this.run();
    return this;
  }

  /** The connection is lost, with what was under way. */
  cut(): void {
    this.client.lost(this.now);
    this.server.lost(this.now);
    this.note();
  }

  /** Passes all bytes on, until nothing is left. */
  run(): this {
    for (let isBusy = true; isBusy; ) {
      isBusy = this.pass(this.client, this.server);
      isBusy = this.pass(this.server, this.client) || isBusy;
      this.note();
    }
    return this;
  }

  pass(from: Session, to: Session): boolean {
    const bytes = from.transmit();
    if (bytes.length > 0) to.receive(bytes, this.now);
    return bytes.length > 0;
  }

  note(): void {
    for (let event = this.client.poll(); event; event = this.client.poll()) this.atClient.push(event);
    for (let event = this.server.poll(); event; event = this.server.poll()) this.atServer.push(event);
  }

  /** Time passes, and both do what is due. */
  wait(ms: number): this {
    this.now += ms;
    for (const session of [this.client, this.server]) {
      const due = session.timeout();
      if (due !== undefined && due <= this.now) session.handleTimeout(this.now);
    }
    return this.run();
  }
}

/** Takes the events of this type out of a list. */
export function take<T extends Event["type"]>(events: Event[], type: T): Extract<Event, { type: T }>[] {
  const taken = events.filter((event) => event.type === type);
  events.splice(0, events.length, ...events.filter((event) => event.type !== type));
  return taken as Extract<Event, { type: T }>[];
}

/** The bytes of a text. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The text of bytes. */
export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
