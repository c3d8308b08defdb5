/**
 * Codecs: how a message becomes a body, the whole envelope (docs/protocol.md, "Body").
 *
 * @module
 */

import { Status } from "../errors.js";
import type { Member, Protocol } from "../protocol.js";

/** A codec for the members of a protocol. */
export interface BoundCodec {
  /** @throws Status `INVALID_ARGUMENT` where the message has a value that its field cannot hold. */
  encode(member: Member, message: unknown): Uint8Array;
  /** @throws Status `INVALID_ARGUMENT` where the body is not one of this member. */
  decode(member: Member, body: Uint8Array): unknown;
}

/** A codec, as a client or a server is given it. */
export interface Codec {
  /** Its number of `CodecId`. */
  readonly id: number;
  /** As settings name it. */
  readonly name: string;
  bind(protocol: Protocol): BoundCodec;
}

/** The error of a body that cannot be decoded. */
export function malformed(member: Member, error: unknown): Status {
  return new Status("INVALID_ARGUMENT", `malformed body of ${member.name} (${member.number}): ${(error as Error).message}`, { cause: error });
}

/** The error of a message that cannot be encoded. */
export function unwritable(member: Member, error: unknown): Status {
  return new Status("INVALID_ARGUMENT", `${member.name} cannot be encoded: ${(error as Error).message}`, { cause: error });
}
