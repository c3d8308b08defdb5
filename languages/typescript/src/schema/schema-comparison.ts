/** The comparison of a client's schema with those of its servers. */

import type { ClientConnection } from "../client/client-connection.js";
import { CodecId, readSubscribed, type Event } from "../session/index.js";
import { readNotice } from "../wire/broker.js";
import { askForSchema } from "./ask.js";
import { PeerSchemas, type OnDifference } from "./peer-schemas.js";
import type { SchemaDifference } from "./schema-difference.js";

/** How a client compares. */
export interface ComparisonOptions {
  /** Is told what differs, once for each version of the schema; by default the console is. */
  readonly onDifference?: OnDifference;
  /** How long a server may take to tell its schema, in milliseconds: 5 s. */
  readonly timeoutMs?: number;
}

/** What is known of a connection. */
interface Known {
  codec: number;
  check: Promise<SchemaDifference> | undefined;
  difference: SchemaDifference | undefined;
}

/**
 * As the option `description` of clients: they tell servers of another version their schema, as they do with the description alone, and also
 * ask for that of the server, and compare the two.
 *
 *     const schemas = new SchemaComparison(CHAT_DESCRIPTION);
 *     const chat = await ChatClient.connect(url, { handler, description: schemas });
 *     console.log(`${(await schemas.compared(chat.connection)) ?? "the same schema"}`);
 */
export class SchemaComparison {
  /** The description of the client's schema. */
  readonly text: string;
  readonly #timeoutMs: number;
  readonly #onDifference: OnDifference | undefined;
  #schemas: PeerSchemas | undefined;
  readonly #known = new WeakMap<ClientConnection, Known>();

  constructor(text: string, { onDifference, timeoutMs = 5000 }: ComparisonOptions = {}) {
    this.text = text;
    this.#timeoutMs = timeoutMs;
    this.#onDifference = onDifference;
  }

  /** What differs between a client's schema and that of its server; nothing where that has the same, or they were not compared yet. */
  difference(connection: ClientConnection): SchemaDifference | undefined {
    return this.#known.get(connection)?.difference;
  }

  /** The same, once they were compared. At a topic of a broker nothing is known where no service is there yet. */
  async compared(connection: ClientConnection): Promise<SchemaDifference | undefined> {
    return this.#known.get(connection)?.check;
  }

  /** Something has happened to the connection of a client of this fingerprint. @internal */
  onEvent(event: Event, connection: ClientConnection, fingerprint: bigint): void {
    const { topic } = connection.outbound.host;
    if (event.type === "connected") {
      const { welcome, resumed } = event;
      if (resumed) return;
      this.#known.set(connection, { codec: welcome.codec || CodecId.PROTOBUF, check: undefined, difference: undefined });
      if (topic === "") this.#check(connection, fingerprint, welcome.fingerprint, welcome.extensions?.has("schema-description") ?? false);
    } else if (event.type === "subscribed") this.#check(connection, fingerprint, readSubscribed(event.body).fingerprint, true);
    else if (event.type === "notice" && !event.compressed) {
      const { topic: speaks } = readNotice(event.body);
      if (speaks !== undefined && `${speaks.topic}/$in` === topic) this.#check(connection, fingerprint, speaks.fingerprint, true);
    }
  }

  #check(connection: ClientConnection, ours: bigint, theirs: bigint | undefined, isDescribed: boolean): void {
    const known = this.#known.get(connection);
    if (known === undefined) return;
    known.check = known.difference = undefined;
    if (!theirs || theirs === ours) return;
    const { outbound } = connection;
    this.#schemas ??= new PeerSchemas(this.text, ours, "server", this.#onDifference);
    const ask = isDescribed ? () => askForSchema(outbound, outbound.host.topic, this.#timeoutMs) : undefined;
    const check = this.#schemas.check({ fingerprint: theirs, codec: known.codec, ask });
    known.check = check;
    void check.then((difference) => {
      if (known.check === check) known.difference = difference;
    });
  }
}
