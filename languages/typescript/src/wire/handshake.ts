/**
 * The payloads of HELLO and of its answer: a session id, and a message (docs/protocol.md, "Handshake").
 *
 * @module
 */

import type { Frame } from "./decoder.js";
import { Fault } from "./fault.js";
import { NO_KIND } from "./header.js";
import { HELLO_FIELDS, WELCOME_FIELDS, type Hello, type Welcome } from "./messages.js";
import { decode, encode, utf8, type Fields } from "./proto.js";

export const SECRET_LEN = 16;
export const MAX_HELLO = 16_384;

/** Reads the payload of a HELLO. Throws {@link Fault}. */
export function readHello(frame: Frame): [sessionId: bigint, hello: Hello] {
  const fault = (text: string): Fault => new Fault(text, frame.id);
  if (frame.kind !== NO_KIND || frame.end - frame.start <= 8) {
    throw new Fault("this is a HELLO of the MIP dialect: the MSIP dialect is understood", frame.id, "UNIMPLEMENTED");
  }
  const [sessionId, hello] = read<Hello>(frame, HELLO_FIELDS, "the HELLO");
  if (!hello.protocol) {
    throw fault("the HELLO names no protocol");
  }
  const { length } = utf8(hello.protocol);
  if (length > 255) {
    throw new Fault(`the protocol name has ${length} bytes: 255 are allowed`, frame.id, "FAILED_PRECONDITION");
  }
  const secret = hello.sessionSecret?.length ?? 0;
  if (secret !== SECRET_LEN) {
    throw fault(`the session secret has ${secret} bytes, not ${SECRET_LEN}`);
  }
  return [sessionId, hello];
}

/** Reads the payload of the answer to a HELLO. Throws {@link Fault}. */
export function readWelcome(frame: Frame): [sessionId: bigint, welcome: Welcome] {
  const len = frame.end - frame.start;
  if (len < 8) {
    throw new Fault(`the answer to the HELLO has ${len} bytes: a session id alone has 8`, frame.id);
  }
  if (len === 8) {
    throw new Fault("the server speaks the MIP dialect, not the MSIP dialect", frame.id, undefined, true);
  }
  return read<Welcome>(frame, WELCOME_FIELDS, "the answer to the HELLO");
}

function read<T>({ view, buffer, start, end, id }: Frame, fields: Fields, what: string): [bigint, T] {
  const sessionId = view.getBigUint64(start);
  if (sessionId === 0n) {
    throw new Fault("the session id is 0", id);
  }
  try {
    return [sessionId, decode<T>(fields, buffer.subarray(start + 8, end))];
  } catch {
    throw new Fault(`${what} cannot be decoded`, id);
  }
}

/** The payload of a HELLO. */
export function writeHello(sessionId: bigint, hello: Hello): Uint8Array {
  return write(sessionId, HELLO_FIELDS, hello);
}

/** The payload of the answer to a HELLO. */
export function writeWelcome(sessionId: bigint, welcome: Welcome): Uint8Array {
  return write(sessionId, WELCOME_FIELDS, welcome);
}

function write(sessionId: bigint, fields: Fields, message: object): Uint8Array {
  const encoded = encode(fields, message);
  const payload = new Uint8Array(8 + encoded.length);
  new DataView(payload.buffer).setBigUint64(0, sessionId);
  payload.set(encoded, 8);
  return payload;
}
