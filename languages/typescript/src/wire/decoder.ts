/**
 * Finds the frames in what a transport delivers, in any pieces.
 *
 * @module
 */

import { Fault } from "./fault.js";
import { ACK, EVENT, HEADER_LEN, PUBLISH, checkHeader, frameName } from "./header.js";

/** The largest payload of a frame that holds no message. */
const MAX_CONTROL = 65_536;
/** A frame that has begun has so many milliseconds, and one more for each so many bytes. */
const FRAME_TIME = 30_000;
const BYTES_PER_MS = 16.384;

/** A frame. It is used again for the next one: whoever keeps a part of it copies that. */
export class Frame {
  type = 0;
  flags = 0;
  kind = 0;
  variant = 0;
  id = 0n;
  /** The accepting side has chosen the id. */
  accepting = false;
  /** The id is that of a delivery. */
  delivery = false;
  /** What the payload is a part of. */
  buffer: Uint8Array = new Uint8Array();
  view: DataView = new DataView(this.buffer.buffer);
  start = 0;
  end = 0;

  /**
   * The payload from this place on. It is a view where it is a large part of what was received, else a copy, so that whoever
   * keeps it keeps not much more than it.
   */
  slice(from: number): Uint8Array {
    const len = this.end - from;
    return len * 16 < this.buffer.length ? this.buffer.slice(from, this.end) : this.buffer.subarray(from, this.end);
  }
}

/** Cuts a stream of bytes into frames. What it keeps grows with the bytes received, never with what a header announces. */
export class Decoder {
  /** The largest payload in force. */
  maxPayload: number;
  readonly #frame = new Frame();
  /** A frame of which a part has come. */
  #partial = new Uint8Array();
  #partialLen = 0;
  #begunAt = 0;
  #now = 0;

  constructor(maxPayload: number) {
    this.maxPayload = maxPayload;
  }

  /** Begins with another connection. */
  reset(maxPayload: number): void {
    this.maxPayload = maxPayload;
    this.#partial = new Uint8Array();
    this.#partialLen = 0;
  }

  /** Until when the frame that has begun has to be complete. */
  get deadline(): number {
    return this.#partialLen === 0 ? Infinity : this.#begunAt + FRAME_TIME + Math.max(0, this.#end) / BYTES_PER_MS;
  }

  /** How many bytes of a frame wait for the rest of it. */
  get pendingLen(): number {
    return this.#partialLen;
  }

  /** Where the frame that has begun ends; -1 while its header is not complete. */
  get #end(): number {
    const bytes = this.#partial;
    return this.#partialLen < HEADER_LEN ? -1 : HEADER_LEN + bytes[12]! * 0x1000000 + (bytes[13]! << 16) + (bytes[14]! << 8) + bytes[15]!;
  }

  /**
   * Calls `handle` for each frame that is complete now, until it returns false.
   *
   * @throws {@link Fault} where no frame can begin, or for one over its limit.
   */
  push(data: Uint8Array, now: number, handle: (frame: Frame) => boolean): void {
    this.#now = now;
    let bytes = data;
    let at = 0;
    if (this.#partialLen > 0) {
      // Only as much as the frame that has begun takes: the rest is read where it is.
      at = this.#complete(data);
      if (at < 0) {
        return;
      }
      bytes = this.#partial.subarray(0, this.#partialLen);
      this.#partial = new Uint8Array();
      this.#partialLen = 0;
      if (!this.#read(bytes, 0, handle) || at === data.length) {
        return;
      }
      bytes = data;
    } else if (data.constructor !== Uint8Array) {
      bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
    }
    this.#read(bytes, at, handle);
  }

  /** Reads whole frames, and keeps what is left. False where the handler wants no more. */
  #read(bytes: Uint8Array, start: number, handle: (frame: Frame) => boolean): boolean {
    const frame = this.#frame;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = start;
    while (at < bytes.length) {
      const end = this.#check(bytes, view, at);
      if (end < 0 || end > bytes.length) {
        this.#keep(bytes.subarray(at));
        return true;
      }
      frame.flags = view.getUint8(at + 5);
      frame.type = view.getUint8(at + 7);
      frame.kind = view.getUint16(at + 8);
      frame.variant = view.getUint16(at + 10);
      frame.id = view.getBigUint64(at + 16);
      const top = view.getUint8(at + 16);
      frame.accepting = top >= 128;
      frame.delivery = (top & 64) !== 0;
      frame.buffer = bytes;
      frame.view = view;
      frame.start = at + HEADER_LEN;
      frame.end = end;
      if (!handle(frame)) {
        return false;
      }
      at = end;
    }
    return true;
  }

  /** Checks what there is of a frame, and returns where it ends; -1 where its header is not complete. */
  #check(bytes: Uint8Array, view: DataView, at: number): number {
    const len = bytes.length - at;
    checkHeader(bytes, view, at, len);
    if (len < HEADER_LEN) {
      return -1;
    }
    const type = view.getUint8(at + 7);
    const payloadLen = view.getUint32(at + 12);
    const max = type >= PUBLISH && type <= ACK ? this.maxPayload : Math.min(MAX_CONTROL, this.maxPayload);
    if (payloadLen > max) {
      const text = `${frameName(type)} announces a payload of ${payloadLen} bytes: ${max} are allowed`;
      throw new Fault(text, view.getBigUint64(at + 16), "RESOURCE_EXHAUSTED");
    }
    return at + HEADER_LEN + payloadLen;
  }

  /** Adds to the frame that has begun. Returns how many bytes were taken; -1 where it is not complete with them. */
  #complete(data: Uint8Array): number {
    let taken = 0;
    for (;;) {
      const have = this.#partialLen;
      const end = this.#end;
      if (end === have) {
        return taken;
      }
      const part = data.subarray(taken, taken + (end < 0 ? HEADER_LEN : end) - have);
      if (part.length === 0) {
        return -1;
      }
      this.#keep(part);
      taken += part.length;
      if (end < 0) {
        const view = new DataView(this.#partial.buffer, 0, this.#partialLen);
        this.#check(this.#partial.subarray(0, this.#partialLen), view, 0);
      }
    }
  }

  #keep(part: Uint8Array): void {
    if (this.#partialLen === 0) {
      this.#begunAt = this.#now;
    }
    const len = this.#partialLen + part.length;
    if (len > this.#partial.length) {
      // Never more than twice what has come, nor more than the frame.
      const end = this.#end;
      const grown = new Uint8Array(Math.max(len, end < 0 ? 2 * len : Math.min(2 * len, end)));
      grown.set(this.#partial.subarray(0, this.#partialLen));
      this.#partial = grown;
    }
    this.#partial.set(part, this.#partialLen);
    this.#partialLen = len;
  }
}

/** Whether a frame of this type begins an exchange. */
export function isMessage(type: number): boolean {
  return type === PUBLISH || type === EVENT;
}
