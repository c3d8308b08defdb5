/** The check of the schema of one client that has another version of it. */

import { createHash } from "node:crypto";

import type { Outbound } from "../connection/outbound.js";
import { Status } from "../errors.js";
import type { Protocol } from "../protocol.js";
import { askForSchema } from "../schema/ask.js";
import type { OnDifference, SchemaDifference } from "../schema/index.js";
import { PeerSchemas } from "../schema/peer-schemas.js";

/** What is known of a client's schema before it is asked. */
export interface OtherSchema {
  readonly schemas: PeerSchemas;
  readonly fingerprint: bigint;
  /** Whether the client has said that it tells its schema. */
  readonly isDescribed: boolean;
  /** How long it may take for that, in milliseconds. */
  readonly timeoutMs: number;
}

/** Begins with {@link begin}, and is done when {@link compared} resolves. */
export class SchemaCheck {
  readonly #other: OtherSchema;
  difference: SchemaDifference | undefined;
  #begun: (difference: Promise<SchemaDifference>) => void = () => {};
  readonly compared: Promise<SchemaDifference>;

  constructor(other: OtherSchema) {
    this.#other = other;
    this.compared = new Promise((resolve) => {
      this.#begun = resolve;
    });
    void this.compared.then((difference) => {
      this.difference = difference;
    });
  }

  /** Asks the client, at a topic if there is one, and compares. */
  begin(outbound: Outbound, topic: string, codec: number): void {
    const { schemas, fingerprint, isDescribed, timeoutMs } = this.#other;
    const ask = isDescribed ? () => askForSchema(outbound, topic, timeoutMs) : undefined;
    this.#begun(schemas.check({ fingerprint, codec, ask }));
  }
}

/** Why a client with this difference is not served by a server with `schema=compatible`. */
export function refusalOf(difference: SchemaDifference): Status | undefined {
  const why = difference.notCompared !== undefined ? "cannot be compared" : difference.isWireBreaking ? "are not compatible" : undefined;
  return why === undefined ? undefined : new Status("FAILED_PRECONDITION", `the schemas ${why}, which this server requires: ${difference}`);
}

/** The schemas of the clients of a server; nothing where it cannot describe its own. */
export function schemasOf({ description, fingerprint }: Protocol, onDifference: OnDifference | undefined): PeerSchemas | undefined {
  if (description === undefined) return undefined;
  return new PeerSchemas(description, fingerprint, "client", onDifference, (bytes) => createHash("sha256").update(bytes).digest());
}
