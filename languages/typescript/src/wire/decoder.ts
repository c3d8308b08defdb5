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

const NOTHING = new Uint8Array();

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

  /** How long the payload is. */
  get size(): number {
    return this.end - this.start;
  }

  /** The payload where it is. */
  get payload(): Uint8Array {
    return this.buffer.subarray(this.start, this.end);
  }

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
  #partial = NOTHING;
  #partialLen = 0;
  /** How long that frame is; 0 while its header is not complete. */
  #frameLen = 0;
  #begunAt = 0;

  constructor(maxPayload: number) {
    this.maxPayload = maxPayload;
  }

  /** Begins with another connection. */
  reset(maxPayload: number): void {
    this.maxPayload = maxPayload;
    this.#partial = NOTHING;
    this.#partialLen = 0;
  }

  /** Until when the frame that has begun has to be complete. */
  get deadline(): number {
    return this.#partialLen === 0 ? Infinity : this.#begunAt + FRAME_TIME + this.#frameLen / BYTES_PER_MS;
  }

  /** How many bytes of a frame wait for the rest of it. */
  get pendingLen(): number {
    return this.#partialLen;
  }

  /**
   * Calls `handle` for each frame that is complete now, until it returns false.
   *
   * @throws {@link Fault} where no frame can begin, or for one over its limit.
   */
  push(data: Uint8Array, now: number, handle: (frame: Frame) => boolean): void {
    const begun = this.#partialLen;
    if (begun > 0) {
      this.#append(data);
    }
    const { buffer, byteOffset } = begun > 0 ? this.#partial : data;
    // A Buffer would not copy by `slice`.
    const bytes = begun === 0 && data.constructor === Uint8Array ? data : new Uint8Array(buffer, byteOffset, begun + data.length);
    const view = new DataView(buffer, byteOffset, bytes.length);
    const frame = this.#frame;
    let at = 0;
    // What is complete does not wait.
    this.#partialLen = 0;
    for (;;) {
      const end = this.#check(bytes, view, at);
      if (end > bytes.length) {
        break;
      }
      frame.flags = bytes[at + 5]!;
      frame.type = bytes[at + 7]!;
      frame.kind = view.getUint16(at + 8);
      frame.variant = view.getUint16(at + 10);
      frame.id = view.getBigUint64(at + 16);
      const top = bytes[at + 16]!;
      frame.accepting = top >= 128;
      frame.delivery = (top & 64) !== 0;
      frame.buffer = bytes;
      frame.view = view;
      frame.start = at + HEADER_LEN;
      frame.end = at = end;
      if (!handle(frame)) {
        at = bytes.length;
        break;
      }
    }
    if (at > 0 || begun === 0) {
      // What is left begins another frame; what was read may be in use.
      this.#partial = at < bytes.length ? bytes.slice(at) : NOTHING;
      this.#begunAt = now;
    }
    this.#partialLen = bytes.length - at;
  }

  /** Checks what there is of a frame, and returns where it ends; `Infinity` where its header is not complete. */
  #check(bytes: Uint8Array, view: DataView, at: number): number {
    const len = bytes.length - at;
    checkHeader(bytes, at, len);
    this.#frameLen = 0;
    if (len < HEADER_LEN) {
      return Infinity;
    }
    const type = bytes[at + 7]!;
    const payloadLen = view.getUint32(at + 12);
    const max = type >= PUBLISH && type <= ACK ? this.maxPayload : Math.min(MAX_CONTROL, this.maxPayload);
    if (payloadLen > max) {
      const text = `${frameName(type)} announces a payload of ${payloadLen} bytes: ${max} are allowed`;
      throw new Fault(text, view.getBigUint64(at + 16), "RESOURCE_EXHAUSTED");
    }
    this.#frameLen = HEADER_LEN + payloadLen;
    return at + this.#frameLen;
  }

  /** Adds to the frame that has begun. */
  #append(data: Uint8Array): void {
    const begun = this.#partialLen;
    const len = begun + data.length;
    if (len > this.#partial.length) {
      // Never more than twice what has come, nor more than that and the frame.
      const grown = new Uint8Array(Math.max(len, Math.min(2 * len, this.#frameLen || Infinity)));
      grown.set(this.#partial.subarray(0, begun));
      this.#partial = grown;
    }
    this.#partial.set(data, begun);
    this.#partialLen = len;
  }
}

/** Whether a frame of this type begins an exchange. */
export function isMessage(type: number): boolean {
  return type === PUBLISH || type === EVENT;
}
