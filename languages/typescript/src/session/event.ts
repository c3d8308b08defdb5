/**
 * What a session tells its driver.
 *
 * @module
 */

import type { Status } from "../errors.js";
import type { Member } from "../protocol.js";
import type { Metadata, Welcome } from "../wire/messages.js";

/**
 * The number of an exchange (docs/protocol.md, "Message ids"): bit 63 is set where the server has begun it, bit 62 where it is a
 * delivery.
 */
export type MsgId = bigint;

/** The session is open: a HELLO was answered. */
export interface Connected {
  readonly type: "connected";
  readonly welcome: Welcome;
  /** Whether an earlier session continues. Otherwise what was open has failed, by events before this one. */
  readonly resumed: boolean;
}

/** A body, and what the credit for it needs: pass it to {@link Session.finished} when it is done with. */
interface Received {
  /** The encoded envelope. It may be a view of what was received: copy it to keep it for long. */
  readonly body: Uint8Array;
  /** Whether the body is compressed: its first byte names the algorithm. */
  readonly compressed: boolean;
  /** What the body counts against the window. */
  readonly size: number;
  /** The connection that it came by: credit of an earlier one is not granted again. */
  readonly connection: number;
}

/** A call of the peer: answer it with `answer`, `answerItem` and `answerEnd`, or `fail`. */
export interface Request {
  readonly type: "request";
  readonly id: MsgId;
  readonly member: Member;
  /** Of a stream of requests: its first item where one came with the call, otherwise empty. It needs no credit. */
  readonly body: Uint8Array;
  readonly compressed: boolean;
  readonly metadata: Metadata | undefined;
  /** When its caller gives up, on the clock of the session; `Infinity` where it has no deadline. The handler is to end then. */
  readonly deadline: number;
  readonly topic: string;
  /** Whether items follow, as `requestItem` and `requestEnd`. */
  readonly streaming: boolean;
}

/** An item of a stream of requests. */
export interface RequestItem extends Received {
  readonly type: "requestItem";
  readonly id: MsgId;
}

/** A stream of requests is complete. */
export interface RequestEnd {
  readonly type: "requestEnd";
  readonly id: MsgId;
}

/** Nobody waits for this call of the peer any more: stop its handler, and end it with `fail` all the same. */
export interface Cancelled {
  readonly type: "cancelled";
  readonly id: MsgId;
}

/** A call was answered. */
export interface Answer {
  readonly type: "answer";
  readonly id: MsgId;
  readonly body: Uint8Array;
  readonly compressed: boolean;
  readonly metadata: Metadata | undefined;
}

/** An item of a stream of answers. */
export interface AnswerItem extends Received {
  readonly type: "answerItem";
  readonly id: MsgId;
}

/** A stream of answers is complete, and its call with it. */
export interface AnswerEnd {
  readonly type: "answerEnd";
  readonly id: MsgId;
  readonly metadata: Metadata | undefined;
}

/** An exchange of this side has failed. */
export interface Failed {
  readonly type: "failed";
  readonly id: MsgId;
  readonly status: Status;
  /** Whether the peer has certainly not handled it, so that it is safe to repeat. */
  readonly repeatable: boolean;
}

/** A delivery, or an UNSUBSCRIBE, was acknowledged. */
export interface Acknowledged {
  readonly type: "acknowledged";
  readonly id: MsgId;
}

/** A one-way message or a delivery of the peer. */
export interface Message extends Received {
  readonly type: "message";
  readonly id: MsgId;
  readonly member: Member;
  readonly metadata: Metadata | undefined;
  readonly topic: string;
  /** Whether its sender waits for `acknowledge` or `fail`. */
  readonly delivery: boolean;
  /** When its sender gives up waiting; `Infinity` where it does not say. */
  readonly deadline: number;
  /** Whether it clears the STATE of its variant: then its body is empty. */
  readonly cleared: boolean;
}

/** A sender that was refused may try again: of items of this call, or of calls and messages where the id is 0. */
export interface Writable {
  readonly type: "writable";
  readonly id: MsgId;
}

/** The peer has said CLOSE: it opens and accepts nothing new. */
export interface Draining {
  readonly type: "draining";
  readonly status: Status;
}

/**
 * The connection is over, by the protocol: write what `transmit` still gives, then close the transport. What was open has
 * failed by events before this one, unless the session is `suspended`: then its handshake was refused, and another may do.
 */
export interface Closed {
  readonly type: "closed";
  readonly status: Status;
}

/** The peer has been silent for too long: close the transport at once. The session waits for another one, or has ended. */
export interface Lost {
  readonly type: "lost";
  readonly status: Status;
}

/** A SUBSCRIBE was accepted. */
export interface Subscribed {
  readonly type: "subscribed";
  readonly id: MsgId;
  /** The encoded `msip.v1.Subscribed`, empty unless the subscription is `byPeer`. */
  readonly body: Uint8Array;
}

/**
 * A broker says something of its own: a member of `msip.broker.v1.ServerToClient`, at `$broker` that a subscription has ended, and
 * at `$presence/T` who is there. Nothing has to be done about it.
 */
export interface Notice {
  readonly type: "notice";
  readonly topic: string;
  /** Which member it is. */
  readonly variant: number;
  /** The envelope in the codec of the connection. */
  readonly body: Uint8Array;
  readonly compressed: boolean;
}

/** A PING was answered. */
export interface Pong {
  readonly type: "pong";
  readonly id: MsgId;
}

/** What happened. */
export type Event =
  | Connected
  | Request
  | RequestItem
  | RequestEnd
  | Cancelled
  | Answer
  | AnswerItem
  | AnswerEnd
  | Failed
  | Acknowledged
  | Message
  | Writable
  | Draining
  | Closed
  | Lost
  | Subscribed
  | Notice
  | Pong;
