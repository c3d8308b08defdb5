/** Topics of a broker, as a part of a client. */

import { now } from "../connection/driver.js";
import { ConnectError } from "../errors.js";
import type { Protocol } from "../protocol.js";
import { subscribe, topics as sessionTopics, unsubscribe, type ClientSession, type Event, type MsgId, type SessionTopics, type Subscribe } from "../session/index.js";

/** What a client needs for topics. */
export interface ClientTopics {
  readonly session: SessionTopics;
  readonly subscriptions: (ask: Ask) => Subscriptions;
}

/** Sends something by the session, and waits for the answer. */
type Ask = (begin: (session: ClientSession) => MsgId) => Promise<Event>;

/** Topics. */
export const topics: ClientTopics = { session: sessionTopics, subscriptions: (ask) => new Subscriptions(ask) };

/** The subscriptions of a client, which are made again where its session is lost. */
export class Subscriptions {
  readonly #ask: Ask;
  readonly #made = new Map<string, Subscribe>();

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  async subscribe(topic: string, options: Subscribe): Promise<void> {
    await this.#ask((session) => subscribe(session, topic, now(), options));
    this.#made.set(topic, options);
  }

  async unsubscribe(topic: string): Promise<void> {
    this.#made.delete(topic);
    await this.#ask((session) => unsubscribe(session, topic, now()));
  }

  /** A new session has begun: subscribes to the topic at which the client speaks, where there is one, and to all others again. Returns what the topic has answered. */
  async renew(topic: string, address: string, { name: protocol, fingerprint }: Protocol): Promise<Event | undefined> {
    let answer: Event | undefined;
    if (topic !== "") {
      answer = await this.#ask((session) => {
        if (session.welcome?.broker !== true) {
          throw new ConnectError("FAILED_PRECONDITION", `${address}: the server is no broker, and has no topic \`${topic}\``);
        }
        return subscribe(session, topic, now(), { byPeer: true, protocol, fingerprint });
      });
    }
    for (const [filter, options] of this.#made) await this.subscribe(filter, options);
    return answer;
  }
}
