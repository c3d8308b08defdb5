/**
 * Credit that this side grants, and senders of this side that wait for credit or capacity.
 *
 * @module
 */

import { writeCredit } from "../wire/credit.js";
import { CREDIT } from "../wire/header.js";
import { pushControl } from "./frames.js";
import { PROVOKED } from "./outgoing.js";
import type { State } from "./state.js";
import { RELIEF, ReceiveWindow } from "./window.js";

/** Something of a window was handled. */
export function consume(s: State, window: ReceiveWindow, items: number, bytes: number): void {
  if (window.consume(items, bytes)) {
    grant(s, window);
  } else {
    watch(s, window);
  }
}

/** Grants what was handled. */
export function grant(s: State, window: ReceiveWindow): void {
  s.starved.delete(window);
  const [items, bytes] = window.grant();
  if (s.phase === "open") {
    pushControl(s, CREDIT, window.id, writeCredit(items, bytes), window.urgent, PROVOKED);
  }
}

/** A window that is used up is granted after a while what was handled. */
export function watch(s: State, window: ReceiveWindow): void {
  if (window.isUsedUp && window.usedUpSince === undefined) {
    window.usedUpSince = s.now;
    s.starved.add(window);
  }
}

/** Grants what was handled of windows that have been used up for long. */
export function relieve(s: State): void {
  for (const window of s.starved) {
    if (s.now < window.usedUpSince! + RELIEF) {
      break;
    }
    s.starved.delete(window);
    if (window.hasPending) {
      grant(s, window);
    } else {
      window.isOverdue = true;
    }
  }
}

/** Whoever was refused for want of this may try again. */
export function wake(s: State, what: number): void {
  if (s.blocked & what) {
    s.blocked = 0;
    s.emit({ type: "writable", id: 0n });
  }
}
