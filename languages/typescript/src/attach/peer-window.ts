/** How much the broker may forward of one client of a service (docs/protocol.md, "Typed traffic"). */

/** What it may forward at first, and by each new connection of the session. */
const ITEMS = 256;
const BYTES = 256 * 1024;

/** What may wait of a client, with what came by earlier connections and was not handled yet. */
const MAX_WAITING = 4 * ITEMS;

/** The window of one client, at one topic. */
export class PeerWindow {
  #connection = -1;
  #items = 0;
  #bytes = 0;
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
   * @returns how many the broker is to be told of: 0 as long as it is less than half of the window.
   */
  handled(size: number, connection: number, current: number): number {
    this.#waiting -= 1;
    if (this.#connection !== current) {
      // With each connection the window is full.
      this.#connection = current;
      this.#items = this.#bytes = 0;
    }
    if (connection !== current) return 0;
    this.#items += 1;
    this.#bytes += size;
    if (this.#items < ITEMS / 2 && this.#bytes < BYTES / 2) return 0;
    const items = this.#items;
    this.#items = this.#bytes = 0;
    return items;
  }
}
