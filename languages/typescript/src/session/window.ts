/**
 * Windows: how much each side may send before the other has handled some of it (docs/protocol.md, "Credit").
 *
 * @module
 */

import { Fault } from "../wire/fault.js";

const LARGEST = 0xffffffff;
/** What was handled is granted, however little, where a window has been used up for so long. */
export const RELIEF = 100;

/** What the windows of a connection and of a stream begin with, and to how many times their items they may grow. */
export interface WindowSize {
  readonly items: number;
  readonly bytes: number;
  readonly growth: number;
}

export const CONNECTION_WINDOW: WindowSize = { items: 1024, bytes: 1_048_576, growth: 16 };
export const STREAM_WINDOW: WindowSize = { items: 16, bytes: 262_144, growth: 256 };

/** What this side may still send. While any of both is left one message may exceed the bytes. */
export class SendWindow {
  items: number;
  bytes: number;
  /** By how much this is more than `items`, so many more CREDITs may come. */
  #granted: number;

  constructor(size: WindowSize, early = 0) {
    this.items = size.items;
    this.bytes = size.bytes;
    this.#granted = size.items + early;
  }

  get isOpen(): boolean {
    return this.items > 0 && this.bytes > 0;
  }

  /** How many more CREDITs may come, if each grants what was freed by one message at least. */
  get uncredited(): number {
    return this.#granted - this.items;
  }

  spend(size: number): void {
    this.items--;
    this.bytes -= size;
  }

  /** The peer grants more. False where it has lost count. */
  grant(items: number, bytes: number): boolean {
    this.#granted += items - (this.uncredited > 0 ? 1 : 0);
    this.items += items;
    this.bytes += bytes;
    return this.items <= LARGEST && this.bytes <= LARGEST;
  }
}

/** What {@link SendWindow.grant} refuses. */
export function creditOverflow(id: bigint): Fault {
  return new Fault(`a CREDIT that makes the window larger than ${LARGEST}`, id);
}

/** What the peer may still send. */
export class ReceiveWindow {
  #items: number;
  #bytes: number;
  /** How many items it has now. */
  #size: number;
  readonly #start: WindowSize;
  #pendingItems = 0;
  #pendingBytes = 0;
  /** The largest message that was not urgent, and that was. */
  #largest: [number, number] = [0, 0];
  /** Since when it is used up. */
  usedUpSince: number | undefined = undefined;
  /** It was used up for long: what is handled next is granted at once. */
  isOverdue = false;

  constructor(
    size: WindowSize,
    /** Whose it is: of a stream, or 0 of the connection. */
    readonly id: bigint,
    readonly urgent: boolean,
  ) {
    this.#start = size;
    this.#items = this.#size = size.items;
    this.#bytes = size.bytes;
  }

  get isUsedUp(): boolean {
    return this.#items <= 0 || this.#bytes <= 0;
  }

  get hasPending(): boolean {
    return this.#pendingItems > 0 || this.#pendingBytes > 0;
  }

  /** How many bytes have come and are not handled. */
  get taken(): number {
    return this.#start.bytes - this.#bytes - this.#pendingBytes;
  }

  /**
   * A message was received. False where the peer had no credit for it: the last one of a window may exceed its bytes, and may
   * overtake those of the other priority.
   */
  accept(size: number, urgent: boolean): boolean {
    const lane = urgent ? 1 : 0;
    if (this.#items <= 0 || this.#bytes + this.#largest[1 - lane]! <= 0) {
      return false;
    }
    if (size > this.#largest[lane]!) {
      this.#largest[lane] = size;
    }
    this.#items--;
    this.#bytes -= size;
    return true;
  }

  /** Messages have been handled. Whether that is worth a grant. */
  consume(items: number, bytes: number): boolean {
    this.#pendingItems += items;
    this.#pendingBytes += bytes;
    return this.isOverdue || this.#pendingItems >= this.#size / 2 || this.#pendingBytes >= this.#start.bytes / 2;
  }

  /** Grants what was handled. A sender that has little left could have sent more: the window grows. */
  grant(): [items: number, bytes: number] {
    let items = this.#pendingItems;
    const bytes = this.#pendingBytes;
    const grown = Math.min(this.#size * 2, this.#start.items * this.#start.growth);
    if (items >= this.#size / 2 && this.#items < this.#size / 4) {
      items += grown - this.#size;
      this.#size = grown;
    }
    this.#items += items;
    this.#bytes += bytes;
    this.#pendingItems = this.#pendingBytes = 0;
    this.usedUpSince = undefined;
    this.isOverdue = false;
    return [items, bytes];
  }
}
