/**
 * Bodies in protobuf: the envelope around a message.
 *
 * @module
 */

import type { Member } from "../protocol.js";
import { CodecId } from "../wire/messages.js";
import { NOTHING } from "../wire/payload.js";
import { malformed, unwritable, type BoundCodec, type Codec } from "./codec.js";

function lengthOf(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

function writeVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest > 127; rest >>>= 7) {
    bytes[at++] = (rest & 127) | 128;
  }
  bytes[at++] = rest;
  return at;
}

const BOUND: BoundCodec = {
  encode(member, message) {
    let inner: Uint8Array;
    try {
      inner = member.message?.encode(message ?? {}) ?? NOTHING;
    } catch (error) {
      throw unwritable(member, error);
    }
    const tag = member.number * 8 + 2;
    const head = lengthOf(tag) + lengthOf(inner.length);
    const body = new Uint8Array(head + inner.length);
    writeVarint(body, writeVarint(body, 0, tag), inner.length);
    body.set(inner, head);
    return body;
  },

  decode(member, body) {
    try {
      const message = messageOf(member, body);
      return member.message?.decode(message);
    } catch (error) {
      throw malformed(member, error);
    }
  },
};

/** The bytes of the member in an envelope: mostly all of it, and otherwise what is there of it, one behind the other. */
function messageOf(member: Member, body: Uint8Array): Uint8Array {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; shift < 2 ** 63; shift *= 128) {
      const byte = body[at++];
      if (byte === undefined) {
        break;
      }
      value += (byte & 127) * shift;
      if (byte < 128) {
        return value;
      }
    }
    throw new RangeError("a truncated or too long number");
  };
  let found: Uint8Array | undefined;
  while (at < body.length) {
    const tag = varint();
    const wire = tag % 8;
    const len = wire === 2 ? varint() : wire === 1 ? 8 : wire === 5 ? 4 : 0;
    if (wire === 0) {
      varint();
    } else if (len === 0 && wire !== 2) {
      throw new RangeError(`wire type ${wire}`);
    }
    if (at + len > body.length) {
      throw new RangeError("a truncated message");
    }
    const part = body.subarray(at, at + len);
    at += len;
    if (tag === member.number * 8 + 2) {
      found = found ? joined(found, part) : part;
    } else if (wire === 2 && found) {
      throw new RangeError("more than one member");
    }
  }
  if (!found) {
    throw new RangeError("the body holds another member than its frame names");
  }
  return found;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

/** Protobuf. */
export const protobuf: Codec = { id: CodecId.PROTOBUF, name: "protobuf", bind: () => BOUND };
