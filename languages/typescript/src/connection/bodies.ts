/** Bodies of messages: how a connection encodes and decodes them. */

import { Status } from "../errors.js";
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

/** The length of a number as a varint. */
function varintLen(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}

function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  while (value > 0x7f) {
    bytes[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  bytes[at++] = value;
  return at;
}

/** Protobuf, uncompressed. */
export const PROTOBUF: Bodies = {
  encode(member, message) {
    const inner = member.message === undefined ? new Uint8Array(0) : member.message.encode(message ?? {});
    const tag = member.number * 8 + 2;
    const head = varintLen(tag) + varintLen(inner.length);
    const bytes = new Uint8Array(head + inner.length);
    writeVarint(bytes, writeVarint(bytes, 0, tag), inner.length);
    bytes.set(inner, head);
    return { bytes, compressed: false };
  },
  decode(member, bytes, compressed) {
    if (compressed) throw new Status("INVALID_ARGUMENT", "a compressed body, where no compression was agreed on");
    const tag = member.number * 8 + 2;
    let at = 0;
    const varint = (): number => {
      let value = 0;
      for (let shift = 0; shift < 35; shift += 7) {
        const byte = bytes[at++];
        if (byte === undefined) break;
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) return value;
      }
      throw new Status("INVALID_ARGUMENT", `a body of ${member.name} that cannot be decoded`);
    };
    if (varint() !== tag || varint() !== bytes.length - at) throw new Status("INVALID_ARGUMENT", `a body of ${member.name} that cannot be decoded`);
    return member.message?.decode(bytes.subarray(at));
  },
};
