/**
 * The header of a frame (docs/protocol.md, "Header", "Flags" and "Frame types").
 *
 * @module
 */

import { Fault } from "./fault.js";

export const HEADER_LEN = 24;

export const HELLO = 1;
export const SUBSCRIBE = 2;
export const UNSUBSCRIBE = 3;
export const PUBLISH = 4;
export const EVENT = 5;
export const ACK = 6;
export const ERROR = 7;
export const PING = 8;
export const PONG = 9;
export const CLOSE = 10;
export const CREDIT = 11;
export const CANCEL = 12;

export const ACK_REQUIRED = 1;
export const COMPRESSED = 2;
export const URGENT = 4;
export const MORE = 8;
export const META = 16;
export const ITEM = 32;
export const REDELIVERED = 64;

/** Bit 63 of a message id: the accepting side has chosen it. */
export const ACCEPTING = 1n << 63n;
/** Bit 62: it is a delivery. */
export const DELIVERY = 1n << 62n;
/** The rest: which one of its class it is. */
export const SEQUENCE = DELIVERY - 1n;

/** The kind of frames that open no exchange. */
export const NO_KIND = 3;

const MAGIC = 0x4d534950;
const NAMES = " HELLO SUBSCRIBE UNSUBSCRIBE PUBLISH EVENT ACK ERROR PING PONG CLOSE CREDIT CANCEL".split(" ");

/** The name of a type of frames. */
export function frameName(type: number): string {
  return NAMES[type] ?? "";
}

/** Writes a header at this place, where 24 bytes are left. */
export function writeHeader(
  view: DataView,
  at: number,
  type: number,
  flags: number,
  kind: number,
  variant: number,
  payloadLen: number,
  id: bigint,
): void {
  view.setUint32(at, MAGIC);
  view.setUint32(at + 4, 0x1000000 | (flags << 16) | type);
  view.setUint32(at + 8, (kind << 16) | variant);
  view.setUint32(at + 12, payloadLen);
  view.setBigUint64(at + 16, id);
}

/** Checks the header at this place as far as it can be without its limit. Fewer bytes than 24 may be there. */
export function checkHeader(bytes: Uint8Array, at: number, len: number): void {
  for (let i = 0; i < 4 && i < len; i++) {
    if (bytes[at + i] !== ((MAGIC >> (24 - 8 * i)) & 0xff)) {
      throw badMagic([...bytes.subarray(at, at + Math.min(4, len))]);
    }
  }
  const version = len > 4 ? bytes[at + 4] : 1;
  const flags = len > 5 ? bytes[at + 5]! : 0;
  const type = len > 7 ? bytes[at + 6]! * 256 + bytes[at + 7]! : HELLO;
  if (version !== 1) {
    throw new Fault(`unsupported version ${version}: version 1 is understood`);
  }
  if (flags > 127) {
    throw new Fault(`unknown flags 0x${flags.toString(16)}: 0x7f are understood`);
  }
  if (type < HELLO || type > CANCEL) {
    throw new Fault(`unknown frame_type ${type}: 1 (HELLO) to 12 (CANCEL) are understood`);
  }
}

function badMagic(found: readonly number[]): Fault {
  const hex = (byte: number): string => byte.toString(16);
  const text = found.map((byte) => (byte < 32 || byte === 127 ? `\\u{${hex(byte)}}` : byte > 127 ? "\ufffd" : String.fromCharCode(byte))).join("");
  const digits = found.map((byte) => hex(byte).padStart(2, "0")).join("");
  const remedy = text === "GET " ? "; a WebSocket needs a listener at ws://" : "";
  return new Fault(`bad magic ${digits} (${text}): frames begin with 4d534950 (MSIP)${remedy}`, 0n, undefined, true);
}
