/**
 * Bodies in protobuf: the envelope around a message.
 *
 * @module
 */

import { Reader, takeTag, takeUnknown, takeView } from "../message/reader.js";
import { varintLength } from "../message/writer.js";
import type { Member } from "../protocol.js";
import { CodecId } from "../wire/messages.js";
import { NOTHING } from "../wire/payload.js";
import { undecodable, unwritable, type BoundCodec, type Codec } from "./codec.js";

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
    return wrap(member, inner);
  },
  decode: unwrap,
};

/** An envelope with this message, which is encoded. */
export function wrap(member: Member, message: Uint8Array): Uint8Array {
  const tag = member.number * 8 + 2;
  const head = varintLength(tag) + varintLength(message.length);
  const body = new Uint8Array(head + message.length);
  writeVarint(body, writeVarint(body, 0, tag), message.length);
  body.set(message, head);
  return body;
}

/** The message in an envelope. Throws as {@link BoundCodec.decode} does. */
export function unwrap(member: Member, body: Uint8Array, maxDecoded: number): unknown {
  try {
    const message = messageOf(member, body);
    return member.message?.decode(message, maxDecoded);
  } catch (error) {
    throw undecodable(member, error, maxDecoded);
  }
}

/** The bytes of the member in an envelope: mostly all of it, and otherwise what is there of it, one behind the other. */
function messageOf(member: Member, body: Uint8Array): Uint8Array {
  const reader = new Reader(body);
  const own = member.number * 8 + 2;
  let found: Uint8Array | undefined;
  while (reader.position < reader.end) {
    const tag = takeTag(reader);
    if (tag === own) {
      const part = takeView(reader, "");
      found = found === undefined ? part : joined(found, part);
    } else if (found !== undefined && (tag & 7) === 2) {
      throw new RangeError("more than one member");
    } else {
      takeUnknown(reader, tag, undefined);
    }
  }
  if (!found) {
    throw new RangeError("another member than its frame names");
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
