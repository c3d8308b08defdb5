/**
 * The connections of a session: how one opens, and how it is lost.
 *
 * @module
 */

import { ClosedError, Status } from "../errors.js";
import { MAX_HELLO } from "../wire/handshake.js";
import { BESIDE_BODY } from "../wire/payload.js";
import { wake } from "./credit.js";
import { end } from "./drain.js";
import { Keepalive } from "./keepalive.js";
import { flushWaiting } from "./send.js";
import { ANYTHING, type State } from "./state.js";
import { CONNECTION_WINDOW, ReceiveWindow, SendWindow } from "./window.js";

/** What the peer says of itself in a handshake. */
export interface PeerTerms {
  readonly maxBody: number | undefined;
  readonly maxCalls: number | undefined;
  readonly awaited: readonly bigint[] | undefined;
}

/** A connection is open: of a new session, or of one that continues. */
export function opened(s: State, terms: PeerTerms, isResumed: boolean): void {
  s.phase = "open";
  s.phaseEnds = Infinity;
  s.decoder.reset(s.limits.maxBody + BESIDE_BODY);
  s.keepalive = new Keepalive(s.limits.pingIntervalMs, s.now);
  s.sendWindow = new SendWindow(CONNECTION_WINDOW);
  s.receiveWindow = new ReceiveWindow(CONNECTION_WINDOW, 0n, true);
  // Of zero, which is left out, the default is meant.
  s.peerMaxBody = terms.maxBody || 4_194_304;
  s.peerMaxCalls = terms.maxCalls || 1024;
  if (isResumed) {
    s.resumption?.resume(s, terms.awaited);
  }
}

/** After a handshake, and what has to be said of it: sends what waits. */
export function sendWaiting(s: State): void {
  flushWaiting(s);
  wake(s, ANYTHING);
}

/** The transport is gone. */
export function lost(s: State): void {
  s.decoder.reset(MAX_HELLO);
  if (s.phase === "handshake") {
    refused(s, new Status("UNAVAILABLE", "the connection was lost in the handshake"));
  } else if (s.phase === "open" && s.expiry > 0 && !s.isClosing) {
    s.resumption?.suspend(s);
  } else if (s.phase === "open") {
    s.connection++;
    end(s, new ClosedError("UNAVAILABLE", s.isClosing ? "the session is closed" : "the connection was lost"));
  }
  s.outgoing.takeUnsent();
}

/** A handshake has failed. A session that it was to resume may still be, by another connection. */
export function refused(s: State, status: Status): void {
  s.outgoing.takeUnsent();
  if (s.expiry > 0) {
    s.phase = "suspended";
    s.phaseEnds = s.sessionEnds;
    s.emit({ type: "closed", status });
  } else {
    end(s, status);
  }
}
