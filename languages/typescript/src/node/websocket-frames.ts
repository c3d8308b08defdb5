/** The frames of a WebSocket (RFC 6455), as MSIP uses them: binary messages of at most 64 KiB, in any fragments. */

import { randomFillSync } from "node:crypto";

/** Which end of the connection this is: a client masks what it sends, and a server does not. */
export type WebSocketRole = "client" | "server";

/** The longest message, sent or received. */
export const MAX_MESSAGE = 64 * 1024;

const OPCODE = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** So many frames that carry nothing are taken at once, and so many a second. */
const EMPTY_AT_ONCE = 1000;
const EMPTY_PER_SECOND = 10;

/** A peer broke the rules of WebSockets; `status` is what its close frame is to say. */
export class WebSocketError extends Error {
  override readonly name = "WebSocketError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Writes a frame. */
function frame(role: WebSocketRole, opcode: number, payload: Uint8Array): Uint8Array {
  const mask = role === "client" ? 4 : 0;
  const extended = payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8;
  const head = 2 + extended + mask;
  const bytes = Buffer.allocUnsafe(head + payload.length);
  const maskBit = mask === 0 ? 0 : 0x80;
  bytes[0] = 0x80 | opcode;
  if (extended === 0) bytes[1] = maskBit | payload.length;
  else if (extended === 2) {
    bytes[1] = maskBit | 126;
    bytes.writeUInt16BE(payload.length, 2);
  } else {
    bytes[1] = maskBit | 127;
    bytes.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  bytes.set(payload, head);
  if (mask !== 0) {
    randomFillSync(bytes, head - 4, 4);
    applyMask(bytes.subarray(head), bytes.subarray(head - 4, head));
  }
  return bytes;
}

function applyMask(bytes: Uint8Array, mask: Uint8Array): void {
  const [a = 0, b = 0, c = 0, d = 0] = mask;
  const whole = bytes.length & ~3;
  for (let at = 0; at < whole; at += 4) {
    bytes[at]! ^= a;
    bytes[at + 1]! ^= b;
    bytes[at + 2]! ^= c;
    bytes[at + 3]! ^= d;
  }
  for (let at = whole; at < bytes.length; at++) bytes[at]! ^= mask[at & 3]!;
}

/** Bytes as binary messages. */
export function binaryFrames(role: WebSocketRole, bytes: Uint8Array): Uint8Array[] {
  const frames = [];
  for (let at = 0; at < bytes.length; at += MAX_MESSAGE) {
    frames.push(frame(role, OPCODE.BINARY, bytes.subarray(at, at + MAX_MESSAGE)));
  }
  return frames;
}

/** A close frame. */
export function closeFrame(role: WebSocketRole, status: number): Uint8Array {
  const payload = new Uint8Array(2);
  new DataView(payload.buffer).setUint16(0, status);
  return frame(role, OPCODE.CLOSE, payload);
}

/** What a {@link FrameReader} finds. */
export interface FrameSink {
  /** Bytes of a message. */
  onBytes(bytes: Uint8Array): void;
  /** A frame that has to be sent. */
  onAnswer(frame: Uint8Array): void;
  /** The peer has closed. */
  onClose(): void;
}

/** Reads the frames that a peer sends, in any pieces. It holds one frame at most. */
export class FrameReader {
  readonly #role: WebSocketRole;
  readonly #sink: FrameSink;
  #held: Uint8Array = new Uint8Array(0);
  /** The length of the message that is under way; undefined between two. */
  #messageLen: number | undefined;
  #emptyAllowed = EMPTY_AT_ONCE;
  #emptyCountedAt = 0;
  #isClosed = false;

  constructor(role: WebSocketRole, sink: FrameSink) {
    this.#role = role;
    this.#sink = sink;
  }

  /**
   * Takes bytes.
   *
   * @throws {@link WebSocketError} where they break the rules.
   */
  push(bytes: Uint8Array, now: number): void {
    let rest = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    while (!this.#isClosed) {
      const len = this.#frameLen(rest);
      if (len === undefined || rest.length < len.head + len.payload) break;
      const payload = rest.subarray(len.head, len.head + len.payload);
      if (this.#role === "server") {
        // The bytes are ours: nobody else sees them without the mask.
        applyMask(payload, rest.subarray(len.head - 4, len.head));
      }
      const first = rest[0] ?? 0;
      rest = rest.subarray(len.head + len.payload);
      this.#take(first & 0x0f, (first & 0x80) !== 0, payload, now);
    }
    this.#held = rest;
  }

  #frameLen(bytes: Uint8Array): { head: number; payload: number } | undefined {
    const [first, second] = bytes;
    if (first === undefined || second === undefined) return undefined;
    if ((first & 0x70) !== 0) throw new WebSocketError(1002, "a frame of a WebSocket with an extension that was not agreed on");
    const isMasked = (second & 0x80) !== 0;
    if (isMasked !== (this.#role === "server")) {
      throw new WebSocketError(1002, isMasked ? "a server has masked a frame" : "a client has not masked a frame");
    }
    const short = second & 0x7f;
    const extended = short < 126 ? 0 : short === 126 ? 2 : 8;
    const head = 2 + extended + (isMasked ? 4 : 0);
    if (bytes.length < 2 + extended) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const payload = extended === 0 ? short : extended === 2 ? view.getUint16(2) : Number(view.getBigUint64(2));
    if ((first & 0x08) !== 0) {
      if (payload > 125 || (first & 0x80) === 0) throw new WebSocketError(1002, "a control frame that is too long, or a fragment");
    } else if ((this.#messageLen ?? 0) + payload > MAX_MESSAGE) {
      throw new WebSocketError(1009, `a message of more than ${MAX_MESSAGE} bytes`);
    }
    return { head, payload };
  }

  #take(opcode: number, isLast: boolean, payload: Uint8Array, now: number): void {
    if (payload.length === 0 || opcode >= OPCODE.CLOSE) this.#countEmpty(now);
    switch (opcode) {
      case OPCODE.CONTINUATION:
      case OPCODE.BINARY: {
        if ((opcode === OPCODE.CONTINUATION) === (this.#messageLen === undefined)) {
          throw new WebSocketError(1002, "a fragment of a message that is out of place");
        }
        this.#messageLen = isLast ? undefined : (this.#messageLen ?? 0) + payload.length;
        if (payload.length > 0) this.#sink.onBytes(payload);
        return;
      }
      case OPCODE.TEXT:
        throw new WebSocketError(1003, "a text came by the WebSocket");
      case OPCODE.CLOSE:
        this.#isClosed = true;
        this.#sink.onClose();
        return;
      case OPCODE.PING:
        this.#sink.onAnswer(frame(this.#role, OPCODE.PONG, payload));
        return;
      case OPCODE.PONG:
        return;
      default:
        throw new WebSocketError(1002, `a frame with the unknown opcode ${opcode}`);
    }
  }

  #countEmpty(now: number): void {
    const earned = ((now - this.#emptyCountedAt) / 1000) * EMPTY_PER_SECOND;
    this.#emptyAllowed = Math.min(EMPTY_AT_ONCE, this.#emptyAllowed + earned) - 1;
    this.#emptyCountedAt = now;
    if (this.#emptyAllowed < 0) throw new WebSocketError(1008, "too many frames that carry nothing");
  }
}
