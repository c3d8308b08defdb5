/**
 * The protocol without input and output: bytes go in and come out, time is given, and what happened is polled.
 *
 * Times are milliseconds of any clock that does not go back. A driver does, in a loop: {@link Session.receive} with what the
 * transport has, {@link Session.handleTimeout} when {@link Session.timeout} is due, {@link Session.poll} until nothing is left,
 * and {@link Session.transmit} as long as the transport takes more.
 *
 * @module
 */

import type { Status } from "../errors.js";
import type { Member, Protocol } from "../protocol.js";
import type { Hello, Metadata, Subscribe, Welcome } from "../wire/messages.js";
import type { AnswerItem, Event, Message, MsgId, RequestItem } from "./event.js";
import type { Settings } from "./settings.js";

export * from "./event.js";
export type { Settings } from "./settings.js";
export type { Detail } from "../errors.js";
export { CodecId, CompressionId } from "../wire/messages.js";
export type { Hello, Identity, Metadata, Subscribe, Welcome } from "../wire/messages.js";

/** How a message or a call is sent. */
export interface SendOptions {
  /** How long its sender waits; default that of the member. `Infinity` is without limit. */
  readonly timeoutMs?: number;
  readonly metadata?: Metadata | undefined;
  /** The topic of a broker. */
  readonly topic?: string;
  /** Whether the body is compressed already, with the algorithm's byte in front. */
  readonly compressed?: boolean;
  /** Of a STATE: what tells it from others of its member while it waits. */
  readonly stateKey?: string;
}

/** How an answer or an item is sent. */
export interface BodyOptions {
  readonly metadata?: Metadata | undefined;
  readonly compressed?: boolean;
}

/** Where a session is: before its first connection, in the handshake, open, without a connection, or ended. */
export type Phase = "idle" | "handshake" | "open" | "suspended" | "over";

/** What both sides do. */
export declare abstract class Session {
  readonly protocol: Protocol;
  get phase(): Phase;
  /** Whether all is done: close the transport once {@link transmit} has nothing left. */
  get isFinished(): boolean;
  /** Whether the driver should not read from the transport now, since the peer does not read what it is owed. */
  get isPaused(): boolean;
  /** The number of the connection; each loss begins the next one. */
  get connection(): number;

  /** Bytes have come, in any pieces. Never throws: a peer that breaks the protocol leads to {@link Closed}. */
  receive(data: Uint8Array, now: number): void;
  /** The transport is gone: the session is kept for resumption, or ends, and all that was open has failed. */
  lost(now: number): void;
  /** When {@link handleTimeout} is to be called next. */
  timeout(): number | undefined;
  handleTimeout(now: number): void;
  /** What happened next. */
  poll(): Event | undefined;
  /** What is to be written next: at most 64 KiB, empty where there is nothing. It counts as handed to the transport. */
  transmit(): Uint8Array;

  /** Whether a call, or a message, with a body of this size would be taken now. If not, a {@link Writable} of id 0 follows. */
  canSend(member: Member, size: number): boolean;
  /** Whether an item of this size would be taken now. If not, a {@link Writable} of this id follows. */
  canSendItem(id: MsgId, size: number): boolean;
  /**
   * Calls. Of a stream of requests the body is the first item, or empty.
   *
   * @throws Status where it cannot be sent: `UNAVAILABLE` without a connection or after CLOSE, `RESOURCE_EXHAUSTED` without
   * capacity or for a body over the peer's limit, `INVALID_ARGUMENT` for metadata that it may not have.
   */
  call(member: Member, body: Uint8Array, now: number, options?: SendOptions): MsgId;
  /** Sends a message that is not answered, or a delivery where the member is acknowledged. Throws as {@link call} does. */
  send(member: Member, body: Uint8Array, now: number, options?: SendOptions): MsgId;
  /** Sends an item of a stream of requests; `last` ends the stream, and the body may then be empty. */
  item(id: MsgId, body: Uint8Array, last: boolean, compressed?: boolean): void;
  /** Nobody waits for this exchange any more: CANCEL, or nothing where it was not sent yet. No event follows. */
  cancel(id: MsgId, now: number): void;

  /** Answers a call of the peer. */
  answer(id: MsgId, body: Uint8Array, options?: BodyOptions): void;
  answerItem(id: MsgId, body: Uint8Array, compressed?: boolean): void;
  answerEnd(id: MsgId, metadata?: Metadata): void;
  /** Answers a call or a delivery with an error. */
  fail(id: MsgId, status: Status): void;
  /** The handler of a delivery has returned. */
  acknowledge(id: MsgId): void;
  /** A message or an item is done with: its credit may be granted again. */
  finished(event: Message | RequestItem | AnswerItem, now: number): void;

  /** Sends a PING, which a {@link Pong} or a {@link Failed} answers. */
  ping(now: number, payload?: Uint8Array): MsgId;
  /** Says CLOSE: opens and accepts nothing new, and finishes what is open. */
  close(status: Status, now: number): void;
  /** Ends the session at once, as a fault of the peer does: ERROR and CLOSE. */
  abort(status: Status): void;
}

/** What a client may say at each connect. */
export interface BeginOptions {
  readonly credential?: Uint8Array;
}

/** The connecting side. */
export declare class ClientSession extends Session {
  constructor(protocol: Protocol, settings?: Settings);
  /** A transport is connected: queues the HELLO, of a new session or of one that is to be resumed. */
  begin(now: number, options?: BeginOptions): void;
  /** What the server has answered to the last HELLO. */
  get welcome(): Welcome | undefined;
}

/** Subscribes to a topic of a broker: {@link Subscribed} or {@link Failed} follows. It is made again with each new session. */
export declare function subscribe(session: ClientSession, topic: string, now: number, options?: Subscribe): MsgId;
/** Revokes a subscription: {@link Acknowledged} or {@link Failed} follows. */
export declare function unsubscribe(session: ClientSession, topic: string, now: number): MsgId;

/** A HELLO that waits for its answer. */
export interface ReceivedHello extends Hello {
  readonly id: MsgId;
  readonly sessionId: bigint;
}

/** The accepting side before the HELLO is answered. */
export declare class Accepting {
  constructor(now: number, settings?: Settings);
  /** Until when the HELLO has to be here. */
  readonly deadline: number;
  /**
   * Bytes have come.
   *
   * @throws ConnectError where they are no HELLO: write what {@link refuse} gives for it, and close the transport.
   */
  receive(data: Uint8Array): ReceivedHello | undefined;
  /** What tells the client that it is refused. */
  refuse(status: Status): Uint8Array;
}

/** The accepting side. */
export declare class ServerSession extends Session {
  /** Answers a HELLO with a new session. `welcome` names what the server has chosen; the session adds its own terms. */
  static accept(protocol: Protocol, settings: Settings, hello: ReceivedHello, welcome: Welcome, now: number): ServerSession;
  /** Continues with a further connection, whose HELLO has named this session and proved its secret. */
  resume(hello: ReceivedHello, welcome: Welcome, now: number): void;
}
