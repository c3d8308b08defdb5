/**
 * Codecs: how a message becomes a body, the whole envelope (docs/protocol.md, "Body").
 *
 * @module
 */

import { Status } from "../errors.js";
import { TooLargeError } from "../message/errors.js";
import type { Member, Protocol } from "../protocol.js";

/** A codec for the members of a protocol. */
export interface BoundCodec {
  /** @throws Status `INTERNAL` where the message has a value that its field cannot hold. */
  encode(member: Member, message: unknown): Uint8Array;
  /**
   * The message of a body, which may take `maxDecoded` bytes in memory.
   *
   * @throws Status `INVALID_ARGUMENT` where the body is not one of this member, and `RESOURCE_EXHAUSTED` where it would take more.
   */
  decode(member: Member, body: Uint8Array, maxDecoded: number): unknown;
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
export function undecodable(member: Member, error: unknown, maxDecoded: number): Status {
  const name = `${member.name} (${member.number})`;
  if (error instanceof TooLargeError) {
    return new Status(
      "RESOURCE_EXHAUSTED",
      `${name} would take more than ${maxDecoded} bytes decoded (max_decoded)`,
    );
  }
  return new Status("INVALID_ARGUMENT", `malformed body of ${name}: ${(error as Error).message}`, { cause: error });
}

/** The error of a message that cannot be encoded: of a handler's answer it is no fault of the caller. */
export function unwritable(member: Member, error: unknown): Status {
  return new Status("INTERNAL", `cannot encode ${member.name} (${member.number}): ${(error as Error).message}`, { cause: error });
}
