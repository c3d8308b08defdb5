/** What clears a STATE: a message of its member without a body, with metadata that say which (docs/protocol.md, "Clearing a STATE"). */

import { unwritable } from "../codec/codec.js";
import { wrap } from "../codec/protobuf.js";
import { Status } from "../errors.js";
import { Reader, skipField, takeTag } from "../message/reader.js";
import { Kind, Shape, type Member } from "../protocol.js";
import { NOTHING } from "../wire/payload.js";
import type { KeyedBody } from "./keyed-body.js";

/**
 * As the option `clears` of a message of kind STATE: it clears the STATE that it would set, and of the message only the key counts.
 *
 *     await fleet.positionState({ vehicleId: "7" }, { clears });
 *
 * @throws Status `INVALID_ARGUMENT` where the member is no STATE.
 */
export function clears(member: Member, message: unknown): KeyedBody {
  if (member.kind !== Kind.STATE || member.shape === Shape.CALL) {
    throw new Status("INVALID_ARGUMENT", `${member.name} is no STATE: it cannot be cleared`);
  }
  const nothing = { bytes: NOTHING, compressed: false };
  let encoded: Uint8Array;
  try {
    encoded = member.message?.encode(message ?? {}) ?? NOTHING;
  } catch (error) {
    throw unwritable(member, error);
  }
  const { key: keyOf } = member;
  // No other field has a key by itself.
  const field = keyOf && fields(encoded).filter((field) => keyOf(field) !== "").at(-1);
  return keyOf && field ? { ...nothing, key: keyOf(field), metadata: { cleared: wrap(member, field) } } : nothing;
}

/** The fields of a message, each with its tag. */
function fields(encoded: Uint8Array): Uint8Array[] {
  const reader = new Reader(encoded);
  const all: Uint8Array[] = [];
  while (reader.position < reader.end) {
    skipField(reader, takeTag(reader));
    all.push(encoded.subarray(reader.start, reader.position));
  }
  return all;
}
