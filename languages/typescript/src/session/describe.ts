/**
 * The call by which a peer asks for the schema of this side (docs/protocol.md, "Schema fingerprint").
 *
 * @module
 */

import type { Frame } from "../wire/decoder.js";
import { MessageFault } from "../wire/fault.js";
import { ACK, MORE, URGENT } from "../wire/header.js";
import { NOTHING, type Payload } from "../wire/payload.js";
import { utf8 } from "../wire/proto.js";
import { OutFrame, PROVOKED } from "./outgoing.js";
import type { State } from "./state.js";

/** The variant of the call and of its answer, which no member has. */
export const DESCRIBE = 65_535;

/** How often the peer of a session is told, which asks once. Those who ask at a topic of a broker are many. */
const MAX_DESCRIBED = 4;

/** Answers it: at once, whatever the handlers do. Throws {@link MessageFault}. */
export function describe(s: State, { id, flags }: Frame, { topic }: Payload): void {
  const { description } = s.at(topic);
  if (description === undefined || flags & MORE) {
    throw new MessageFault("this side does not tell its schema", "UNIMPLEMENTED");
  }
  const body = utf8(description);
  if (topic === "" && ++s.described > MAX_DESCRIBED) {
    throw new MessageFault(`the schema was sent ${MAX_DESCRIBED} times already`, "RESOURCE_EXHAUSTED");
  }
  if (body.length > s.peerMaxBody) {
    throw new MessageFault(`a schema of ${body.length} bytes, where the caller accepts ${s.peerMaxBody} (its setting \`max_body\`)`, "RESOURCE_EXHAUSTED");
  }
  s.resumption?.ended.end(id);
  s.allowances?.expectLate(false);
  s.outgoing.push(new OutFrame(ACK, flags & URGENT, id, body, NOTHING, DESCRIBE, undefined, PROVOKED));
}
