/** A body with the key of its message, which a broker is told, since it reads no bodies (docs/schema.md, "Keys"). */

import { Kind, type Member } from "../protocol.js";
import type { Metadata } from "../session/index.js";
import type { Bodies, Body } from "./bodies.js";

/** The key of a message whose key field has its default. */
const DEFAULT_KEY = "%default";

/** A body, and the key that the schema names for its message. */
export interface KeyedBody extends Body {
  readonly key?: string | undefined;
  /** What goes along besides what the sender says. */
  readonly metadata?: Metadata;
}

/**
 * Encodes a message. It has a key at a topic, and where it is a STATE, which others of its key replace in a queue. A STATE whose key has its
 * default is the one without a key.
 *
 * @throws Status where the message has a value that its field cannot hold.
 */
export function encodeKeyed(bodies: Bodies, member: Member, message: unknown, topic: string): KeyedBody {
  const body = bodies.encode(member, message);
  const isState = member.kind === Kind.STATE;
  if (!member.key || !member.message || !(topic || isState)) return body;
  return { ...body, key: member.key(member.message.encode(message ?? {})) || (isState ? "" : DEFAULT_KEY) };
}
