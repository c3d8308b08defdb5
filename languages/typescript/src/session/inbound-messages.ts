/**
 * Messages of the peer that ask for no answer, and deliveries. A client whose schema has none of its server is made without this.
 *
 * @module
 */

import { Kind, type Member } from "../protocol.js";
import type { Frame } from "../wire/decoder.js";
import { MessageFault } from "../wire/fault.js";
import { ACK_REQUIRED, COMPRESSED, META, URGENT } from "../wire/header.js";
import type { Payload } from "../wire/payload.js";
import type { State } from "./state.js";

/** What a session needs for messages of its peer. */
export interface InboundMessages {
  /** One has come. Throws {@link MessageFault} where it is refused. */
  accept(s: State, frame: Frame, payload: Payload, member: Member): void;
}

/** Messages of the peer, as a part of a session. */
export const inboundMessages: InboundMessages = { accept };

function accept(s: State, frame: Frame, { metadata, topic, body }: Payload, member: Member): void {
  const { id, flags, size } = frame;
  const delivery = (flags & ACK_REQUIRED) !== 0;
  const cleared = body.length === 0;
  if (cleared && (frame.kind !== Kind.STATE || member.kind !== Kind.STATE)) {
    throw new MessageFault(`an empty body, and ${member.name} is no STATE`);
  }
  if (delivery && !s.deliveries) {
    throw new MessageFault("deliveries are not a part of this client", "UNIMPLEMENTED");
  }
  if (cleared && flags & META && !s.parts.metadata) {
    // Which STATE it is, its metadata say.
    throw new MessageFault("metadata is not a part of this client");
  }
  if (delivery) {
    s.deliveries?.inbound.set(id, (flags & URGENT) !== 0);
  }
  s.emit({
    type: "message",
    id,
    member,
    body,
    compressed: (flags & COMPRESSED) !== 0,
    metadata,
    topic,
    delivery,
    deadline: s.now + (metadata?.deadlineMs ?? Infinity),
    cleared,
    size,
    connection: s.connection,
  });
}
