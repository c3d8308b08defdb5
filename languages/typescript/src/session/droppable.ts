/**
 * Messages that do not hold up their sender, and may be dropped: STATE, LOG and METRIC under pressure (docs/protocol.md, "Kinds").
 *
 * @module
 */

import { FRAME_COST, type OutFrame } from "./outgoing.js";

/** A bounded queue, in which a STATE replaces an older one of its key. */
export class Droppable {
  /** In the order in which they are sent; STATEs by their key, others by a number. */
  readonly #frames = new Map<string | number, OutFrame>();
  #next = 0;
  #cost = 0;
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#frames.size;
  }

  /** Whether a STATE with a body of this size would be taken without displacing others. */
  hasPlace(size: number): boolean {
    return this.#cost + size + 2 * FRAME_COST <= this.#max;
  }

  /** Adds a message. Returns how many were dropped: the oldest LOG and METRIC ones, and a STATE that this one replaces. */
  add(frame: OutFrame, key: string | undefined): number {
    let dropped = 0;
    const before = key === undefined ? undefined : this.#frames.get(key);
    if (before) {
      this.#cost -= before.size + FRAME_COST;
      dropped = 1;
    }
    this.#frames.set(key ?? this.#next++, frame);
    this.#cost += frame.size + FRAME_COST;
    return this.#cost > this.#max ? dropped + this.#dropWhile(() => this.#cost > this.#max) : dropped;
  }

  /** Drops what may be dropped. Returns how many. */
  dropLogs(): number {
    return this.#dropWhile(() => true);
  }

  #dropWhile(wanted: () => boolean): number {
    let dropped = 0;
    for (const [key, frame] of this.#frames) {
      if (!wanted()) {
        break;
      }
      if (typeof key === "number") {
        this.#remove(key, frame);
        dropped++;
      }
    }
    return dropped;
  }

  /** Takes the first one; there has to be one. */
  take(): OutFrame {
    const [first] = this.#frames;
    const [key, frame] = first!;
    this.#remove(key, frame);
    return frame;
  }

  #remove(key: string | number, frame: OutFrame): void {
    this.#frames.delete(key);
    this.#cost -= frame.size + FRAME_COST;
  }
}
