/**
 * Topics of a broker (docs/protocol.md, "Subscribe").
 *
 * @module
 */

import { Status } from "../errors.js";
import type { Frame } from "../wire/decoder.js";
import { ACK_REQUIRED, COMPRESSED, META, SUBSCRIBE, UNSUBSCRIBE } from "../wire/header.js";
import type { Subscribe } from "../wire/messages.js";
import type { Payload, TopicFormat } from "../wire/payload.js";
import { writeSubscribe } from "../wire/subscribe.js";
import { readTopic, writeTopic } from "../wire/topic.js";
import type { ClientSession } from "./client.js";
import { consume } from "./credit.js";
import type { MsgId } from "./event.js";
import { SUBSCRIBING, UNSUBSCRIBING } from "./exchange.js";
import { OutFrame } from "./outgoing.js";
import { open } from "./send.js";
import type { State } from "./state.js";

export { readSubscribed } from "../wire/subscribe.js";

/** What a session needs for topics. */
export interface SessionTopics extends TopicFormat {
  /** The broker itself says something, in a protocol of its own. */
  handleNotice(s: State, frame: Frame, payload: Payload): void;
}

/** Topics of a broker, as a part of a session: without it every connection is a direct one. */
export const topics: SessionTopics = { read: readTopic, write: writeTopic, handleNotice };

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
  if (!s.hasPlace || s.calls.size - s.openCalls - (s.deliveries?.open.size ?? 0) >= MAX_UNANSWERED) {
    throw new Status("RESOURCE_EXHAUSTED", `more than ${MAX_UNANSWERED} subscriptions wait for their answers`);
  }
  const body = writeSubscribe(topic, options);
  const id = s.nextId();
  const frame = new OutFrame(type, ACK_REQUIRED | (options ? META : 0), id, body);
  open(s, type === SUBSCRIBE ? SUBSCRIBING : UNSUBSCRIBING, id, Infinity, frame);
  if (s.phase === "open") {
    s.outgoing.push(frame);
  }
  return id;
}

function handleNotice(s: State, frame: Frame, { topic, body }: Payload): void {
  consume(s, s.receiveWindow, 1, frame.size);
  if (frame.flags & ACK_REQUIRED) {
    s.deliveries?.handled(s, frame);
  }
  s.emit({ type: "notice", topic, variant: frame.variant, body, compressed: (frame.flags & COMPRESSED) !== 0 });
}
