/** How much the broker may forward of one client, or to one (docs/protocol.md, "Typed traffic"). */

/** What it may forward at first, and by each new connection of the session. */
const ITEMS = 256;
const BYTES = 256 * 1024;

/** How many messages it may forward at most. */
const MAX_ITEMS = 16 * ITEMS;

/** What may wait, with what came by earlier connections and was not handled yet. */
const MAX_WAITING = 4 * MAX_ITEMS;

/** What the broker is told. */
export interface Grant {
  /** So many messages were handled. */
  readonly items: number;
  /** How many it may forward from here on, where that has changed. */
  readonly window?: number;
}

/**
 * The window of one client, at one topic. It grows while it is used up, as that of a connection does: else broker and service take turns
 * for every few messages. Its bytes stay.
 */
export class PeerWindow {
  #connection = -1;
  /** How many messages the broker may forward now. */
  #size = ITEMS;
  /** What was handled, and not told yet. */
  #items = 0;
  #bytes = 0;
  /** What waits, or is being handled. */
  #waiting = 0;

  /** A message has come. False where that is more than the broker may forward: it is refused. */
  receive(): boolean {
    if (this.#waiting >= MAX_WAITING) return false;
    this.#waiting += 1;
    return true;
  }

  /**
   * A message of this size, which has come by this connection of the session, was handled.
   *
   * @returns what the broker is to be told: nothing as long as it is less than half of the window.
   */
  handled(size: number, connection: number, current: number): Grant | undefined {
    this.#waiting -= 1;
    if (this.#connection !== current) {
      // With each connection the window is full, and as small as at first.
      this.#connection = current;
      this.#size = ITEMS;
      this.#items = this.#bytes = 0;
    }
    if (connection !== current) return undefined;
    this.#items += 1;
    this.#bytes += size;
    if (this.#items < this.#size / 2 && this.#bytes < BYTES / 2) return undefined;
    const items = this.#items;
    this.#items = this.#bytes = 0;
    return this.#grow(items) ? { items, window: this.#size } : { items };
  }

  /** So many messages are granted again. A broker that has little left by then could have forwarded more. */
  #grow(granted: number): boolean {
    const left = this.#size - this.#waiting - granted;
    if (left >= this.#size / 4 || this.#size === MAX_ITEMS) return false;
    this.#size *= 2;
    return true;
  }
}
