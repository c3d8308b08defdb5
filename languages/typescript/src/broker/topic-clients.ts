/** The clients that share a connection to a broker: what comes is sorted by its topic. */

import { Sorter } from "../attach/sorter.js";
import type { ClientConnection } from "../client/client-connection.js";
import type { Reconnect } from "../client/options.js";
import { answersOf, type Connection } from "../connection/connection.js";
import { ConnectError, Status, type Code } from "../errors.js";
import type { Member } from "../protocol.js";
import type { Event } from "../session/index.js";
import type { ClientSettings } from "../settings/defaults.js";
import type { BrokerNotice } from "../wire/broker.js";
import { TopicClient } from "./topic-client.js";

/** How much of the time for logging in each client has, so that one that hangs does not end the attempt for all. */
const LOGIN_SHARE = 7 / 8;

export class TopicClients extends Sorter<TopicClient> {
  /** Set once it is open. */
  link!: ClientConnection;
  readonly #settings: ClientSettings;
  readonly #byTopic = new Map<string, TopicClient>();
  /** The member that answers each call of a protocol that is spoken here, or was: its calls may be open still. */
  readonly #answers = new WeakMap<Member, Member>();

  constructor(connection: Connection, settings: ClientSettings) {
    super(connection);
    this.#settings = settings;
    const { answerOf } = connection;
    connection.answerOf = (member) => this.#answers.get(member) ?? answerOf.call(connection, member);
  }

  get shared(): Connection {
    return this.connection;
  }

  get drainTimeoutMs(): number {
    return this.#settings.drainTimeoutMs;
  }

  /** There is a connection. In a new session each of them subscribes first; then its handler logs in. */
  async connected(resumed: boolean): Promise<void> {
    const { driver } = this.connection;
    const { session } = driver;
    session.s.at = (topic) => this.find(topic) ?? session.s;
    const { connection } = session;
    await Promise.all(
      this.#all.map(async (client) => {
        try {
          await this.logIn(client, resumed);
        } catch (error) {
          // Where the connection is lost again it is not this client's fault.
          if (driver.session === session && session.connection === connection && session.phase === "open") {
            client.end(error instanceof Status ? error : new Status("INTERNAL", String(error)));
          }
        }
      }),
    );
  }

  disconnected(reason: Error): void {
    for (const client of this.#all) client.disconnected(reason);
  }

  sessionLost(reason: Status): void {
    this.forget();
    for (const client of this.#all) client.sessionLost(reason);
  }

  connectFailed(error: ConnectError, attempt: number): void {
    for (const client of this.#all) client.connectFailed(error, attempt);
  }

  /** What any of them wants. */
  closedByServer(status: Status): Reconnect {
    const wanted = this.#all.map((client) => client.closedByServer(status));
    return wanted.find((next) => next !== "stop") ?? "stop";
  }

  /** Takes a place at a topic. */
  add(client: TopicClient): void {
    if (this.#byTopic.has(client.topic)) {
      throw new ConnectError("ALREADY_EXISTS", `a client of this connection is at the topic \`${client.topic}\` already`);
    }
    this.#byTopic.set(client.topic, client);
    for (const [member, answer] of answersOf(client.protocol)) this.#answers.set(member, answer);
  }

  remove(client: TopicClient): void {
    if (this.#byTopic.get(client.topic) === client) this.#byTopic.delete(client.topic);
  }

  /** Lets one of them log in, within its share of the time. */
  logIn(client: TopicClient, resumed: boolean): Promise<void> {
    return this.within(this.#settings.loginTimeoutMs * LOGIN_SHARE, client.logIn(resumed));
  }

  /** Waits for something for so many milliseconds at most. */
  async within(ms: number, work: Promise<void>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Status("DEADLINE_EXCEEDED", `not done within ${ms} ms`)), ms);
    });
    try {
      await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The connection is closed, and all of them with it. */
  closeAll(status: Status): void {
    for (const client of this.#all) client.end(status);
  }

  protected override get endpoints(): Iterable<TopicClient> {
    return this.#byTopic.values();
  }

  protected override find(topic: string): TopicClient | undefined {
    return this.#byTopic.get(topic.split("/$to/")[0] ?? "");
  }

  protected override refusal(): undefined {
    return undefined;
  }

  protected override told({ topic, subscriptionEnded }: BrokerNotice, event: Event): void {
    if (topic !== undefined) this.#byTopic.get(topic.topic ?? "")?.speaks(topic, event);
    if (subscriptionEnded === undefined) return;
    const { topic: ended = "", code = "", text = "the broker has ended the subscription" } = subscriptionEnded;
    this.#byTopic.get(ended)?.end(new Status((code || "PERMISSION_DENIED") as Code, text));
  }

  override stopAll(status: Status): void {
    this.forget();
    for (const { inbound } of this.#all) inbound.stopAll(status);
  }

  get #all(): readonly TopicClient[] {
    return [...this.#byTopic.values()];
  }
}
