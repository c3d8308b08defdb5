/**
 * What waits to be written: two lanes, of which the urgent one goes first with at most half of the bytes while both wait.
 *
 * @module
 */

import { Queue } from "../queue.js";
import { HEADER_LEN, NO_KIND, PONG, URGENT, writeHeader } from "../wire/header.js";
import { NOTHING } from "../wire/payload.js";
import type { Outbound } from "./exchange.js";

/** What a frame counts besides its bytes. */
export const FRAME_COST = 64;
/** How much is given to the transport at once: also the longest message of a WebSocket. */
const CHUNK = 65_536;

/** Why a frame is sent: by this side's own will, to answer, or because reading alone led to it. */
export const OWN = 0;
export const RESPONSE = 1;
export const PROVOKED = 2;

/** A frame that is to be written. */
export class OutFrame {
  /** Some of it was handed to the transport. */
  sent = false;
  /** It is in the queue. */
  queued = false;
  withdrawn = false;
  /** The exchange that it opens. */
  exchange: Outbound | undefined = undefined;

  constructor(
    readonly type: number,
    readonly flags: number,
    public id: bigint,
    public body: Uint8Array,
    public prefix: Uint8Array = NOTHING,
    readonly variant = 0,
    readonly kind: number = NO_KIND,
    readonly role = OWN,
  ) {}

  get size(): number {
    return HEADER_LEN + this.prefix.length + this.body.length;
  }
}

/** Frames are joined here, by all sessions, one behind the other: what was given out is not written again. */
const SLAB = 4 * CHUNK;
let slab = new Uint8Array(SLAB);
let view = new DataView(slab.buffer);
let used = 0;

/** The outgoing queue of a connection. */
export class Outgoing {
  /** All that is queued, in bytes, each frame counted as its length + 64. */
  cost = 0;
  /** The same of answers alone. */
  owed = 0;
  /** The same of what reading alone has led to. */
  provoked = 0;
  /** How many PONGs wait. */
  pongs = 0;
  readonly #urgent = new Queue<OutFrame>();
  readonly #normal = new Queue<OutFrame>();
  /** By how many bytes the urgent lane is ahead. */
  #ahead = 0;
  /** The rest of a body whose beginning was given out. */
  #rest: Uint8Array = NOTHING;

  get isEmpty(): boolean {
    return this.cost === 0 && this.#rest.length === 0;
  }

  /** Queues a frame, in the lane that its flags name, or in the urgent one. */
  push(frame: OutFrame, urgent = (frame.flags & URGENT) !== 0): void {
    (urgent ? this.#urgent : this.#normal).push(frame);
    frame.queued = true;
    this.#count(frame, 1);
  }

  #count(frame: OutFrame, sign: number): void {
    const cost = sign * (frame.size + FRAME_COST);
    this.cost += cost;
    if (frame.role === RESPONSE) {
      this.owed += cost;
    } else if (frame.role === PROVOKED) {
      this.provoked += cost;
      if (frame.type === PONG) {
        this.pongs += sign;
      }
    }
  }

  /** Takes a frame back. False where some of it was handed to the transport. */
  withdraw(frame: OutFrame): boolean {
    if (frame.sent) {
      return false;
    }
    if (frame.queued && !frame.withdrawn) {
      frame.withdrawn = true;
      // Its place remains until the frames before it are written.
      this.cost -= frame.size;
      frame.body = frame.prefix = NOTHING;
    }
    return true;
  }

  /** All frames that are queued. */
  all(): OutFrame[] {
    return [...this.#urgent.all(), ...this.#normal.all()];
  }

  /** The next frame of a lane that was not withdrawn. */
  #first(lane: Queue<OutFrame>): OutFrame | undefined {
    while (lane.first?.withdrawn) {
      this.cost -= FRAME_COST;
      lane.shift();
    }
    return lane.first;
  }

  /** What is to be written next, at most 64 KiB. */
  transmit(): Uint8Array {
    if (this.#rest.length > 0) {
      const part = this.#rest.subarray(0, CHUNK);
      this.#rest = this.#rest.subarray(CHUNK);
      return part;
    }
    if (this.cost === 0) {
      return NOTHING;
    }
    if (SLAB - used < CHUNK) {
      slab = new Uint8Array(SLAB);
      view = new DataView(slab.buffer);
      used = 0;
    }
    const start = used;
    const limit = start + CHUNK;
    let at = start;
    for (;;) {
      const urgent = this.#first(this.#urgent);
      const normal = this.#first(this.#normal);
      const isUrgent = urgent !== undefined && (normal === undefined || this.#ahead <= 0);
      const frame = isUrgent ? urgent : normal;
      if (!frame) {
        this.#ahead = 0;
        break;
      }
      const { size, prefix, body } = frame;
      if (at + size > limit && at > start) {
        break;
      }
      (isUrgent ? this.#urgent : this.#normal).shift();
      this.#ahead = urgent && normal ? this.#ahead + (isUrgent ? size : -size) : 0;
      this.#count(frame, -1);
      frame.sent = true;
      frame.queued = false;
      writeHeader(view, at, frame.type, frame.flags, frame.kind, frame.variant, prefix.length + body.length, frame.id);
      at = copy(prefix, at + HEADER_LEN);
      if (at + body.length > limit) {
        const room = limit - at;
        slab.set(body.subarray(0, room), at);
        this.#rest = body.subarray(room);
        at = limit;
        break;
      }
      at = copy(body, at);
    }
    used = at;
    return slab.subarray(start, at);
  }

  /** What remains of a frame that was begun: only after that can another one follow. */
  takeRest(): Uint8Array {
    const rest = this.#rest;
    this.#rest = NOTHING;
    return rest;
  }

  /** Drops all, and returns what no byte of was handed to the transport. */
  takeUnsent(): OutFrame[] {
    const frames = [...this.#urgent.takeAll(), ...this.#normal.takeAll()].filter((frame) => !frame.withdrawn);
    for (const frame of frames) {
      frame.queued = false;
    }
    this.cost = this.owed = this.provoked = this.pongs = this.#ahead = 0;
    this.#rest = NOTHING;
    return frames;
  }
}

/** Copies bytes to this place of the slab, and returns where they end. */
function copy(bytes: Uint8Array, at: number): number {
  const len = bytes.length;
  if (len > 32) {
    slab.set(bytes, at);
  } else {
    for (let i = 0; i < len; i++) {
      slab[at + i] = bytes[i]!;
    }
  }
  return at + len;
}
