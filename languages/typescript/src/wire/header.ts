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
const NAMES = ["", "HELLO", "SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH", "EVENT", "ACK", "ERROR", "PING", "PONG", "CLOSE", "CREDIT", "CANCEL"];

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
export function checkHeader(bytes: Uint8Array, view: DataView, at: number, len: number): void {
  if (len >= 8 && view.getUint32(at) === MAGIC) {
    const word = view.getUint32(at + 4);
    const type = word & 0xffff;
    if ((word & 0xff800000) === 0x1000000 && type > 0 && type <= CANCEL) {
      return;
    }
  }
  for (let i = 0; i < 4 && i < len; i++) {
    if (bytes[at + i] !== ((MAGIC >> (24 - 8 * i)) & 0xff)) {
      throw badMagic(bytes.subarray(at, at + Math.min(4, len)));
    }
  }
  const version = len > 4 ? view.getUint8(at + 4) : 1;
  if (version !== 1) {
    throw new Fault(`unsupported version ${version}: version 1 is understood`);
  }
  const flags = len > 5 ? view.getUint8(at + 5) : 0;
  if (flags > 127) {
    throw new Fault(`unknown flags 0x${flags.toString(16)}: 0x7f are understood`);
  }
  const type = len > 7 ? view.getUint16(at + 6) : 1;
  if (type < 1 || type > CANCEL) {
    throw new Fault(`unknown frame_type ${type}: 1 (HELLO) to 12 (CANCEL) are understood`);
  }
}

function badMagic(found: Uint8Array): Fault {
  let hex = "";
  let text = "";
  for (const byte of found) {
    hex += byte.toString(16).padStart(2, "0");
    text += byte < 32 || byte === 127 ? `\\u{${byte.toString(16)}}` : byte > 127 ? "\ufffd" : String.fromCharCode(byte);
  }
  const remedy = text === "GET " ? "; a WebSocket needs a listener at ws://" : "";
  return new Fault(`bad magic ${hex} (${text}): frames begin with 4d534950 (MSIP)${remedy}`, 0n, undefined, true);
}
