/**
 * Topics of a broker (docs/protocol.md, "Subscribe").
 *
 * @module
 */

import { Status } from "../errors.js";
import type { MessageFault } from "../wire/fault.js";
import { ACK_REQUIRED, META, SUBSCRIBE, UNSUBSCRIBE } from "../wire/header.js";
import type { Subscribe } from "../wire/messages.js";
import { writeSubscribe } from "../wire/subscribe.js";
import type { ClientSession } from "./client.js";
import type { MsgId } from "./event.js";
import { SUBSCRIBING, UNSUBSCRIBING } from "./exchange.js";
import { FRAME_COST, OutFrame } from "./outgoing.js";

export { readSubscribed } from "../wire/subscribe.js";

/** How many wait for their answers, at most. */
const MAX_UNANSWERED = 1024;

/**
 * Subscribes to a topic of a broker: `subscribed` or `failed` follows. A subscription lives as long as its session, over any
 * number of connections: what a lost connection leaves unanswered is asked again. Make it again after a `connected` that has not
 * resumed.
 *
 * @throws Status where it cannot be sent.
 */
export function subscribe(session: ClientSession, topic: string, now: number, options?: Subscribe): MsgId {
  return push(session, SUBSCRIBE, topic, now, options);
}

/** Revokes a subscription: `acknowledged` or `failed` follows. Throws as {@link subscribe} does. */
export function unsubscribe(session: ClientSession, topic: string, now: number): MsgId {
  return push(session, UNSUBSCRIBE, topic, now);
}

function push({ s }: ClientSession, type: number, topic: string, now: number, options?: Subscribe): MsgId {
  s.now = now;
  if (s.isClosing || (s.phase !== "open" && s.phase !== "suspended")) {
    throw new Status("UNAVAILABLE", "there is no session");
  }
  if (!s.topics) {
    throw new Status("UNIMPLEMENTED", "topics need a broker, and this is a direct connection");
  }
  if (!s.hasPlace || s.calls.size - s.openCalls >= MAX_UNANSWERED) {
    throw new Status("RESOURCE_EXHAUSTED", `more than ${MAX_UNANSWERED} subscriptions wait for their answers`);
  }
  let body: Uint8Array;
  try {
    body = writeSubscribe(topic, options);
  } catch (error) {
    throw new Status((error as MessageFault).code, (error as MessageFault).message);
  }
  const id = s.nextId();
  const frame = new OutFrame(type, ACK_REQUIRED | (options ? META : 0), id, body);
  s.calls.set(id, {
    id,
    urgent: false,
    type: type === SUBSCRIBE ? SUBSCRIBING : UNSUBSCRIBING,
    member: undefined,
    options: undefined,
    deadline: Infinity,
    frame,
    cost: frame.size + FRAME_COST,
    wasSent: false,
    abandoned: false,
    streaming: false,
    send: undefined,
    receive: undefined,
    lateCredits: 0,
  });
  if (s.phase === "open") {
    s.outgoing.push(frame);
  }
  return id;
}
