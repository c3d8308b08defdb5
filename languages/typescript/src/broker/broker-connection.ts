/** One connection to a broker, by which many clients speak, each its protocol, at its topic. */

import type { ClientConnection } from "../client/client-connection.js";
import { OwnConnection } from "../client/own-connection.js";
import type { ClientHandler, ClientOptions } from "../client/options.js";
import { topics } from "../client/topics.js";
import { urls } from "../client/urls.js";
import { protobuf } from "../codec/index.js";
import { inboundMessages } from "../connection/inbound.js";
import { inboundCalls } from "../connection/inbound-calls.js";
import { streams } from "../connection/inbound-streams.js";
import { ConnectError, Status } from "../errors.js";
import type { Protocol } from "../protocol.js";
import { everyPart } from "../session/index.js";
import { SettingError } from "../settings/values.js";
import type { Transport } from "../transport/transport.js";
import { BROKER_PROTOCOL } from "../wire/broker.js";
import { TopicClient } from "./topic-client.js";
import { TopicClients } from "./topic-clients.js";

/** How the connection is made: the settings of a client, which its clients share. The URL wins over settings here. */
export type BrokerOptions = Omit<ClientOptions, "handler" | "topic" | "codec" | "description">;

/** What the broker itself speaks: each client has its own protocol. */
const PROTOCOL: Protocol = { name: BROKER_PROTOCOL, fingerprint: 0n, clientToServer: [], serverToClient: [] };

/** What holds the connection. */
class Link {
  constructor(readonly connection: ClientConnection) {}
}

/**
 * A connection to a broker for many clients.
 *
 *     const broker = await BrokerConnection.connect("wss://broker.example.org");
 *     const chat = await broker.client(ChatClient, "room1", { handler });
 *     const fleet = await broker.client(FleetClient, "devices/17");
 *
 * When it is lost it is made again, and its session resumed; in a new session each client subscribes again, and then the `onConnected` of each
 * is called. Until all have returned the sends of all wait. A client whose topic is refused then, or whose `onConnected` fails, is closed, and
 * the others go on.
 */
export class BrokerConnection {
  /** What is known of the connection. */
  readonly connection: ClientConnection;
  readonly #clients: TopicClients;

  private constructor(clients: TopicClients) {
    this.connection = clients.link;
    this.#clients = clients;
  }

  /**
   * Connects.
   *
   * @param endpoint A URL without a topic, or a transport: the clients name their topics.
   * @throws ConnectError where no address can be connected to, or the broker refuses.
   */
  static async connect(endpoint: string | Transport, options: BrokerOptions = {}): Promise<BrokerConnection> {
    const { settings } = typeof endpoint === "string" ? urls.webSocket(endpoint, options.webSocket) : endpoint;
    if (settings.has("topic")) throw new SettingError("setting `topic`: the clients of a shared connection name their topics");
    const chosen = urls.choose(settings, options);
    // It is made with the connection, before anything happens to that.
    let clients!: TopicClients;
    const handler: ClientHandler<unknown> = {
      onConnected: (_, { resumed }) => clients.connected(resumed),
      onDisconnected: (reason) => clients.disconnected(reason),
      onSessionLost: (reason) => clients.sessionLost(reason),
      onConnectFailure(error, attempt) {
        clients.connectFailed(error, attempt);
        return "backoff";
      },
      onClosedByServer: (status) => clients.closedByServer(status),
    };
    const parts = { ...everyPart, streams, inboundMessages, inboundCalls, topics, urls };
    const link = await OwnConnection.open(Link, PROTOCOL, endpoint, { ...options, codec: protobuf, handler }, parts, (connection) => {
      clients = new TopicClients(connection, chosen.settings);
      return clients;
    });
    clients.link = link.connection;
    void link.connection.closed.then((status) => clients.closeAll(status));
    return new BrokerConnection(clients);
  }

  /**
   * A client at a topic: returns once it is subscribed, and its handler's `onConnected` has returned.
   *
   * @param type A generated class, such as `ChatClient`.
   * @param options Its handler, `description` and `onError`; settings are those of the connection.
   * @throws ConnectError where the broker refuses it, a client of this connection is at the topic, or there is no connection.
   */
  client<C, O extends readonly unknown[]>(type: { connect(endpoint: Transport, ...options: O): Promise<C> }, topic: string, ...options: O): Promise<C> {
    return type.connect({ addresses: [], settings: new Map(), connect: () => Promise.reject(new Status("UNIMPLEMENTED", "it shares a connection")), join: this.#joinAt(topic) }, ...options);
  }

  /** Closes the connection, and all of its clients with it: open calls may finish within `drainTimeoutMs`. */
  close(): Promise<void> {
    return this.connection.close();
  }

  /** As {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #joinAt(topic: string): NonNullable<Transport["join"]> {
    return async (type, protocol, options, parts) => {
      if (options.codec !== undefined && options.codec !== protobuf) throw new SettingError("setting `codec`: clients of a shared connection speak protobuf");
      const client = new TopicClient(type, protocol, topic, options, parts, this.#clients);
      this.#clients.add(client);
      try {
        await this.#clients.logIn(client, false);
      } catch (error) {
        await client.close();
        const { code, message } = error instanceof Status ? error : new Status("INTERNAL", String(error));
        throw error instanceof ConnectError ? error : new ConnectError(code, message, { cause: error });
      }
      return client.peer as InstanceType<typeof type>;
    };
  }
}
