/**
 * Messages that do not hold up their sender, and may be dropped: STATE, LOG and METRIC under pressure (docs/protocol.md, "Kinds"). A
 * client that sends none of them is made without this.
 *
 * @module
 */

import { Kind, Shape, type Member } from "../protocol.js";
import { HEADER_LEN } from "../wire/header.js";
import { FRAME_COST, type OutFrame } from "./outgoing.js";
import type { SendOptions } from "./session.js";
import type { State } from "./state.js";

/** The queue, as a part of a session. */
export const droppable = (max: number): Droppable => new Droppable(max);

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

  /** What waits, in bytes, each frame counted as its length + 64. */
  get cost(): number {
    return this.#cost;
  }

  /** Whether a message of this kind waits here, rather than its sender. */
  takes({ kind, shape }: Member): boolean {
    return kind >= Kind.STATE && shape === Shape.ONE_WAY;
  }

  /** Keeps a message that cannot be sent now. False where it can be, or does not wait here. */
  keeps(s: State, member: Member, frame: OutFrame, options: SendOptions | undefined): boolean {
    const canBeSent = s.sendWindow.isOpen && s.hasPlace && !s.isWaiting && this.size === 0;
    if (!this.takes(member) || s.phase !== "open" || canBeSent) {
      return false;
    }
    const key = options?.metadata?.key ?? options?.key ?? "";
    // Neither a key nor a topic has a control character.
    s.dropped += this.#add(frame, member.kind === Kind.STATE ? `${member.number}\n${key}\n${options?.topic ?? ""}` : undefined);
    return true;
  }

  /** Whether a STATE with a body of this size would be taken without displacing others. */
  hasPlace(size: number): boolean {
    return this.size === 0 || this.#cost + size + 2 * FRAME_COST <= this.#max;
  }

  /** Adds a message. Returns how many were dropped: the oldest LOG and METRIC ones, and a STATE that this one replaces. */
  #add(frame: OutFrame, key: string | undefined): number {
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

  /** Sends what waits, as far as there is credit and capacity; where a message waits for all credit, no LOG and METRIC holds it up. */
  flush(s: State): void {
    const { sendWindow } = s;
    if (s.blockedMessage && sendWindow.isOpen && this.size >= sendWindow.items) {
      s.dropped += this.#dropWhile(() => true);
    }
    for (const [key, frame] of this.#frames) {
      if (!sendWindow.isOpen || !s.hasPlace) {
        return;
      }
      this.#remove(key, frame);
      frame.id = s.nextId();
      sendWindow.spend(frame.size - HEADER_LEN);
      s.outgoing.push(frame);
    }
    s.blockedMessage = false;
  }

  /** Drops all. */
  clear(s: State): void {
    s.dropped += this.size;
    this.#frames.clear();
    this.#cost = 0;
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

  #remove(key: string | number, frame: OutFrame): void {
    this.#frames.delete(key);
    this.#cost -= frame.size + FRAME_COST;
  }
}
