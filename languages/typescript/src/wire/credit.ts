/**
 * CREDIT: how much more a peer may send.
 *
 * @module
 */

import { Fault } from "./fault.js";
import type { Frame } from "./decoder.js";

/** Reads a CREDIT. Throws {@link Fault}. */
export function readCredit({ view, start, end, id }: Frame): [items: number, bytes: number] {
  if (end - start !== 8) {
    throw new Fault(`a CREDIT has a payload of 8 bytes, not ${end - start}`, id);
  }
  const items = view.getUint32(start);
  const bytes = view.getUint32(start + 4);
  if (items === 0 && bytes === 0) {
    throw new Fault("a CREDIT of 0 items and 0 bytes adds nothing", id);
  }
  return [items, bytes];
}

/** The payload of a CREDIT. */
export function writeCredit(items: number, bytes: number): Uint8Array {
  const payload = new Uint8Array(8);
  const view = new DataView(payload.buffer);
  view.setUint32(0, items);
  view.setUint32(4, bytes);
  return payload;
}
