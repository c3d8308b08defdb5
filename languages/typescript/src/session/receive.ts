/**
 * Receiving: each frame is checked against the state, and becomes at most an event or two.
 *
 * @module
 */

import { Status } from "../errors.js";
import type { Frame } from "../wire/decoder.js";
import { Fault, MessageFault } from "../wire/fault.js";
import { ACK, CANCEL, CLOSE, COMPRESSED, CREDIT, ERROR, EVENT, HELLO, MORE, PING, PONG, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, frameName } from "../wire/header.js";
import { readCredit } from "../wire/credit.js";
import type { Metadata } from "../wire/messages.js";
import { readPayload } from "../wire/payload.js";
import { readText } from "../wire/text.js";
import { end, startDraining } from "./drain.js";
import { endOutbound, failOutbound } from "./ending.js";
import { DELIVERING, PINGING, SUBSCRIBING, UNSUBSCRIBING, type Outbound } from "./exchange.js";
import { pushOvertaking } from "./frames.js";
import { checkCompressed, handleMessage } from "./message.js";
import { PROVOKED } from "./outgoing.js";
import { flushWaiting } from "./send.js";
import type { State } from "./state.js";
import { creditOverflow } from "./window.js";

/** How many PONGs wait to be written, at most. */
const MAX_PONGS = 16;

/** Handles a frame. Returns whether the connection goes on. Throws {@link Fault}. */
export function handleFrame(s: State, frame: Frame): boolean {
  if (s.phase === "handshake") {
    s.onHandshake(frame);
  } else if (s.phase === "open") {
    handleOpen(s, frame);
  }
  return s.phase === "open";
}

function handleOpen(s: State, frame: Frame): void {
  const { type, id } = frame;
  switch (type) {
    case ACK:
      return handleAnswer(s, frame);
    case ERROR:
      return id === 0n ? handlePeerFault(s, frame) : handleError(s, frame);
    case PUBLISH:
    case EVENT:
      if ((type === PUBLISH) === s.server) {
        return handleMessage(s, frame);
      }
      break;
    case CREDIT:
      return handleCredit(s, frame);
    case PING:
      return handlePing(s, frame);
    case PONG:
      return handlePong(s, frame);
    case CANCEL:
      return s.inboundCalls?.handleCancel(s, frame);
    case CLOSE: {
      if (s.closeReceived) {
        s.allowances?.limit(s, id, "ERRORs and CLOSEs of a connection");
      }
      const [code, text] = readText(frame.payload);
      s.closeReceived = true;
      startDraining(s, text);
      s.emit({ type: "draining", status: new Status(code, text) });
      return;
    }
    case SUBSCRIBE:
    case UNSUBSCRIBE:
      if (s.onSubscribe) {
        return s.onSubscribe(frame);
      }
      break;
    case HELLO:
      if (s.server) {
        throw new Fault("a second HELLO on one connection", id);
      }
  }
  throw new Fault(`${frameName(type)} in the wrong direction`, id);
}

/** The open exchange of this side that a frame answers, awaited or not. */
function exchangeOf(s: State, frame: Frame): Outbound | undefined {
  const exchange = s.calls.get(frame.id);
  return exchange?.type === PINGING ? undefined : exchange;
}

function handleAnswer(s: State, frame: Frame): void {
  const { id, flags } = frame;
  const exchange = exchangeOf(s, frame);
  const more = (flags & MORE) !== 0;
  if (!exchange || (exchange.abandoned && more)) {
    return s.allowances?.limitLate(s, frame);
  }
  if (exchange.abandoned) {
    return endOutbound(s, exchange);
  }
  const { size } = frame;
  const { receive } = exchange;
  if (more && receive) {
    s.parts.streams!.accept(s, receive, size, id);
  }
  let body: Uint8Array;
  let metadata: Metadata | undefined;
  const compressed = (flags & COMPRESSED) !== 0;
  try {
    if (more && !receive) {
      throw new MessageFault("a stream, where one answer was asked for");
    }
    checkCompressed(s, frame);
    ({ body, metadata } = readPayload(frame, s.limits.maxBody, s.parts));
  } catch (error) {
    return unreadable(s, exchange, error as Error);
  }
  if (more) {
    s.emit({ type: "answerItem", id, body, compressed, size, connection: s.connection });
    return;
  }
  endOutbound(s, exchange);
  if (exchange.type === DELIVERING || exchange.type === UNSUBSCRIBING) {
    s.emit({ type: "acknowledged", id });
  } else if (exchange.type === SUBSCRIBING) {
    s.emit({ type: "subscribed", id, body });
  } else if (exchange.member?.responseStream) {
    if (body.length > 0) {
      s.emit({ type: "answerItem", id, body, compressed, size: 0, connection: s.connection });
    }
    s.emit({ type: "answerEnd", id, metadata });
  } else {
    s.emit({ type: "answer", id, body, compressed, metadata });
  }
}

/** An answer that cannot be read is not answered: its caller has an outcome. */
function unreadable(s: State, exchange: Outbound, error: Error): void {
  if (!(error instanceof MessageFault)) {
    throw error;
  }
  endOutbound(s, exchange);
  failOutbound(s, exchange, "INTERNAL", `the answer cannot be read: ${error.message}`);
}


function handleError(s: State, frame: Frame): void {
  const exchange = exchangeOf(s, frame);
  if (!exchange) {
    return s.allowances?.limitLate(s, frame);
  }
  if (exchange.abandoned) {
    return endOutbound(s, exchange);
  }
  let status: Status;
  try {
    status = s.errorMetadata ? s.parts.metadata!.readError(s, frame) : new Status(...readText(frame.payload));
  } catch (error) {
    return unreadable(s, exchange, error as Error);
  }
  const { code, message } = status;
  const isCertain =
    code === "UNAVAILABLE" &&
    ((message === "not received" && exchange.wasSent && !frame.delivery) || (message === "not accepted" && s.closeReceived));
  endOutbound(s, exchange);
  s.emit({ type: "failed", id: frame.id, status, repeatable: isCertain });
}

/** The peer says that this side has broken the protocol, and ends the connection. */
function handlePeerFault(s: State, frame: Frame): void {
  const [code, text] = readText(frame.payload);
  s.outgoing.takeUnsent();
  end(s, new Status(code, text));
}

function handlePing(s: State, frame: Frame): void {
  s.allowances?.limit(s, frame.id);
  if (s.outgoing.pongs < MAX_PONGS) {
    pushOvertaking(s, PONG, frame.id, frame.payload.slice(), PROVOKED);
  }
}

function handlePong(s: State, frame: Frame): void {
  const { id } = frame;
  if (s.keepalive.ponged(id)) {
    return;
  }
  const exchange = s.calls.get(id);
  if (exchange?.type !== PINGING) {
    return s.allowances?.limit(s, id);
  }
  endOutbound(s, exchange);
  s.emit({ type: "pong", id });
}

function handleCredit(s: State, frame: Frame): void {
  const { id } = frame;
  if (id !== 0n) {
    return s.parts.streams ? s.parts.streams.handleCredit(s, frame) : s.allowances?.limitLate(s, frame);
  }
  if (s.sendWindow.uncredited <= 0) {
    s.allowances?.limitCredit(s, id);
  }
  if (!s.sendWindow.grant(...readCredit(frame))) {
    throw creditOverflow(id);
  }
  flushWaiting(s);
}
