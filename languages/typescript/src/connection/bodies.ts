/** Bodies of messages: how a connection encodes and decodes them. */

import type { Member } from "../protocol.js";

/** A body that can be sent. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly compressed: boolean;
}

/** What a connection has agreed on: a codec, and a compression or none. */
export interface Bodies {
  /** @throws Status where the message has a value that its field cannot hold. */
  encode(member: Member, message: unknown): Body;
  /** @throws Status where the body is not one of this member. */
  decode(member: Member, bytes: Uint8Array, compressed: boolean): unknown;
}
