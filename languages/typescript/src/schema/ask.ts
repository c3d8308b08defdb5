/** The call by which a peer is asked for its schema (docs/protocol.md, "Schema fingerprint"). */

import type { ClientOutbound } from "../client/client-connection.js";
import { OneAnswer, type Completion } from "../connection/exchange.js";
import { Status } from "../errors.js";
import { Kind, Shape, type Member } from "../protocol.js";
import { NOTHING } from "../wire/payload.js";

/** The number of the call and of its answer, which no member has. */
const DESCRIBE = 65_535;

const CALL: Member = { name: "schema description", number: DESCRIBE, message: undefined, kind: Kind.COMMAND, shape: Shape.CALL, answer: DESCRIBE, compress: false };

/**
 * Asks for the description of the peer's schema, at a topic if there is one.
 *
 * @throws Status where it does not answer.
 */
export async function askForSchema(outbound: ClientOutbound, topic: string, timeoutMs: number): Promise<Uint8Array> {
  const answer = await new Promise<Completion>((resolve, reject) => {
    const options = { timeoutMs, topic };
    // As a login does, it waits for nobody who logs in.
    outbound.beginCall(CALL, { bytes: NOTHING, compressed: false }, options, true, new OneAnswer(options, resolve, reject));
  });
  // A broker may compress what it passes on.
  if (answer.type !== "answer" || (answer.compressed && topic === "")) throw new Status("INTERNAL", "the answer is no description");
  return outbound.host.bodies.unpack(answer.body, answer.compressed);
}
