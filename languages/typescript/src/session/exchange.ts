/**
 * The exchanges of a session: those that this side has opened, and the calls that it serves.
 *
 * @module
 */

import type { Member } from "../protocol.js";
import type { OutFrame } from "./outgoing.js";
import type { SendOptions } from "./session.js";
import type { ReceiveWindow, SendWindow } from "./window.js";

export const CALL = 0;
export const DELIVERING = 1;
export const PINGING = 2;
export const SUBSCRIBING = 3;
export const UNSUBSCRIBING = 4;

/** The windows of a call's streams, at either side. */
export interface Streams {
  readonly id: bigint;
  readonly urgent: boolean;
  /** Of what this side sends, while that is not complete. */
  send: SendWindow | undefined;
  /** Of what the peer sends, while that is not complete. */
  receive: ReceiveWindow | undefined;
  /** How many CREDITs may be under way for a stream of this side that is complete. */
  lateCredits: number;
}

/** An exchange that this side has opened, and that waits for its answer. */
export interface Outbound extends Streams {
  readonly type: number;
  readonly member: Member | undefined;
  readonly options: SendOptions | undefined;
  /** When its sender gives up. */
  deadline: number;
  /** The frame that opens it. */
  frame: OutFrame;
  /** What it takes while it is kept, in bytes. */
  readonly cost: number;
  /** Some of it was handed to the transport of an earlier connection. */
  wasSent: boolean;
  /** Nobody waits any more, and the peer has not said that it has ended there. */
  abandoned: boolean;
  /** It has streams, or had. */
  readonly streaming: boolean;
}

/** For what a caller waits: its answer, the end of its handler alone, or nothing. */
export const ANSWER = 0;
export const END = 1;
export const NONE = 2;

/** A call of the peer, until its handler has ended. */
export interface Inbound extends Streams {
  readonly member: Member;
  readonly size: number;
  interest: number;
  /** The driver knows of it. */
  started: boolean;
  /** Its answer carries a time. */
  readonly timed: boolean;
  readonly streaming: boolean;
}
