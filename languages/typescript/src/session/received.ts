/**
 * What became of the peer's last 4,096 deliveries, so that none is handled twice (docs/protocol.md, "Resumption").
 *
 * @module
 */

export const DELIVERY_WINDOW = 4096;

export const NEW = 0;
export const HANDLING = 1;
export const HANDLED = 2;
export const FAILED = 3;
/** Older than the window. */
export const FORGOTTEN = 4;

/** The window of one direction of a session. */
export class ReceivedDeliveries {
  #oldest = 0;
  #states: Uint8Array | undefined;

  /** A delivery with this number was received. Returns its state until now; a new one is being handled from here on. */
  begin(number: number): number {
    const oldest = number - DELIVERY_WINDOW + 1;
    const states = (this.#states ??= new Uint8Array(DELIVERY_WINDOW));
    if (oldest - this.#oldest >= DELIVERY_WINDOW) {
      states.fill(NEW);
    } else {
      for (let leaving = this.#oldest; leaving < oldest; leaving++) {
        states[leaving % DELIVERY_WINDOW] = NEW;
      }
    }
    this.#oldest = Math.max(this.#oldest, oldest);
    if (number < this.#oldest) {
      return FORGOTTEN;
    }
    const state = states[number % DELIVERY_WINDOW]!;
    if (state === NEW) {
      states[number % DELIVERY_WINDOW] = HANDLING;
    }
    return state;
  }

  /** A delivery was handled, or has failed. */
  end(number: number, state: number): void {
    const place = number % DELIVERY_WINDOW;
    if (number >= this.#oldest && this.#states?.[place] === HANDLING) {
      this.#states[place] = state;
    }
  }
}
