/**
 * Deliveries: messages that are acknowledged, sent once in a session however often its connection is lost. A client whose schema has no
 * such message is made without this.
 *
 * @module
 */

import type { Member } from "../protocol.js";
import type { Frame } from "../wire/decoder.js";
import { ACCEPTING, ACK, ACK_REQUIRED, DELIVERY, REDELIVERED, SEQUENCE, URGENT } from "../wire/header.js";
import { NOTHING } from "../wire/payload.js";
import type { Status } from "../errors.js";
import { consume } from "./credit.js";
import type { MsgId } from "./event.js";
import { DELIVERING, type Outbound } from "./exchange.js";
import { pushControl, pushError, statusFrame } from "./frames.js";
import { PROVOKED, RESPONSE } from "./outgoing.js";
import { DELIVERY_WINDOW, FAILED, FORGOTTEN, HANDLED, NEW, ReceivedDeliveries } from "./received.js";
import { open, openingFrame, sendMessage } from "./send.js";
import type { SendOptions } from "./session.js";
import type { State } from "./state.js";

/** Deliveries, as a part of a session. */
export const deliveries = (): Deliveries => new Deliveries();

/** The deliveries of both sides. */
export class Deliveries {
  /** Those of this side, in their order. */
  readonly open = new Map<MsgId, Outbound>();
  /** What they cost that are kept. */
  keptCost = 0;
  /** Those of the peer whose handlers have not returned: whether they are urgent. */
  readonly inbound = new Map<MsgId, boolean>();
  #received = new ReceivedDeliveries();
  #sequence = 0n;

  /** Whether another one may be sent. */
  hasPlace(s: State): boolean {
    const [oldest = this.#sequence] = this.open.keys();
    return (
      this.#sequence + 1n < (oldest & SEQUENCE) + BigInt(DELIVERY_WINDOW) &&
      this.open.size < s.limits.sessionDeliveries &&
      this.keptCost < s.limits.sessionBuffer &&
      !s.isShort(s.outgoing.cost + this.keptCost)
    );
  }

  send(s: State, member: Member, body: Uint8Array, options: SendOptions | undefined): MsgId {
    const timeout = options?.timeoutMs ?? member.timeoutMs ?? Infinity;
    const id = (this.#sequence + 1n) | DELIVERY | (s.server ? ACCEPTING : 0n);
    const deadlineMs = options?.timeoutMs === undefined || timeout === Infinity ? undefined : timeout;
    const frame = openingFrame(s, member, id, body, options, ACK_REQUIRED, deadlineMs);
    this.#sequence++;
    const exchange = open(s, DELIVERING, id, timeout, frame, member, options);
    this.open.set(id, exchange);
    this.keptCost += exchange.cost;
    sendMessage(s, frame);
    return id;
  }

  /** One of this side has ended. */
  end({ id, cost }: Outbound): void {
    this.open.delete(id);
    this.keptCost -= cost;
  }

  /** Whether one of the peer came before: then it is answered as its original was, or will be. */
  isDuplicate(s: State, { id, flags, size }: Frame): boolean {
    const state = this.#received.begin(Number(id & SEQUENCE));
    if (state === NEW) {
      return false;
    }
    if (!(flags & REDELIVERED)) {
      s.allowances?.limit(s, id);
    }
    consume(s, s.receiveWindow, 1, size);
    const urgent = (flags & URGENT) !== 0;
    if (state === HANDLED) {
      pushControl(s, ACK, id, NOTHING, urgent, PROVOKED);
    } else if (state === FAILED || state === FORGOTTEN) {
      pushError(s, id, urgent, "ABORTED", state === FAILED ? "failed earlier" : "older than the window of 4096 deliveries");
    }
    return true;
  }

  /** One of the peer was not accepted. */
  rejected(id: MsgId): void {
    this.#received.end(Number(id & SEQUENCE), FAILED);
  }

  /** One of the peer was handled by the session itself. */
  handled(s: State, { id, flags }: Frame): void {
    this.#received.end(Number(id & SEQUENCE), HANDLED);
    pushControl(s, ACK, id, NOTHING, (flags & URGENT) !== 0, PROVOKED);
  }

  /** The handler of one of the peer has returned, or has failed. Whether there was one. */
  answer(s: State, id: MsgId, status?: Status): boolean {
    const urgent = this.inbound.get(id);
    if (urgent === undefined) {
      return false;
    }
    this.inbound.delete(id);
    this.#received.end(Number(id & SEQUENCE), status ? FAILED : HANDLED);
    // Without a connection the delivery comes again, and is answered then.
    if (s.phase === "open") {
      if (status) {
        s.outgoing.push(statusFrame(s, id, urgent, status));
      } else {
        pushControl(s, ACK, id, NOTHING, urgent, RESPONSE);
      }
    }
    return true;
  }

  /** Another session begins. */
  restart(): void {
    this.#sequence = 0n;
    this.#received = new ReceivedDeliveries();
  }
}
