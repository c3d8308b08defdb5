/**
 * The connecting side: it begins sessions, and resumes them.
 *
 * @module
 */

import { ConnectError } from "../errors.js";
import type { Protocol } from "../protocol.js";
import type { Frame } from "../wire/decoder.js";
import { Fault } from "../wire/fault.js";
import { ACK, CLOSE, ERROR, HELLO, frameName } from "../wire/header.js";
import { MAX_HELLO, SECRET_LEN, readWelcome, writeHello } from "../wire/handshake.js";
import type { Welcome } from "../wire/messages.js";
import { fromUtf8, utf8 } from "../wire/proto.js";
import { cut, readText } from "../wire/text.js";
import { pushControl } from "./frames.js";
import { opened, refused, sendWaiting } from "./lifecycle.js";
import type { SessionParts } from "./parts.js";
import { Session } from "./session.js";
import type { Settings } from "./settings.js";
import type { State } from "./state.js";

const NAME_LEN = 256;
const NOTHING = new Uint8Array();
/** What this side understands beyond the version: see docs/protocol.md, "Extensions". */
export function extensionsOf({ parts, description }: State): ReadonlyMap<string, Uint8Array> {
  const names = ["ends-cancelled"];
  if (parts.metadata) {
    names.push("error-metadata");
  }
  if (description !== undefined) {
    names.push("schema-description");
  }
  return new Map(names.map((name) => [name, NOTHING]));
}

/** What a client may say at each connect. */
export interface BeginOptions {
  readonly credential?: Uint8Array | undefined;
}

/** The first bytes of a name that a HELLO may have. */
function name(text: string): string {
  return fromUtf8(cut(utf8(text), NAME_LEN));
}

/** The session of a client. */
export class ClientSession extends Session {
  #sessionId = 0n;
  #secret: Uint8Array = NOTHING;
  #helloId = 0n;
  #welcome: Welcome | undefined;

  constructor(protocol: Protocol, settings: Settings = {}, parts: SessionParts = {}) {
    super(protocol, settings, false, parts);
    this.s.onHandshake = (frame) => this.#handleAnswer(frame);
  }

  /** What the server has answered to the last HELLO. */
  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  /**
   * A transport is connected: queues the HELLO, of a new session or of one that is to be resumed. `connected` or `closed` follows.
   */
  begin(now: number, options: BeginOptions = {}): void {
    const { s, protocol } = this;
    s.now = now;
    const resumes = s.phase === "suspended";
    if (!resumes) {
      this.#sessionId = 0n;
      while (this.#sessionId === 0n) {
        const bytes = s.limits.random(8);
        this.#sessionId = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
      }
      this.#secret = s.limits.random(SECRET_LEN);
    }
    const awaited = (resumes && s.resumption?.awaitedCalls(s)) || [];
    s.phase = "handshake";
    s.sessionEnds = resumes ? s.phaseEnds : Infinity;
    s.phaseEnds = now + s.limits.handshakeTimeoutMs;
    s.decoder.reset(MAX_HELLO);
    s.keepalive.received(now);
    this.#helloId = s.nextId();
    const { codecs, compressions, pingIntervalMs, maxBody, name: program, version } = s.limits;
    const hello = writeHello(this.#sessionId, {
      protocol: protocol.name,
      fingerprint: protocol.fingerprint,
      codecs,
      compressions,
      keepaliveMs: pingIntervalMs,
      maxBody,
      ...(options.credential && { credential: options.credential }),
      clientName: name(program),
      clientVersion: name(version),
      sessionSecret: this.#secret,
      awaited,
      extensions: extensionsOf(s),
    });
    if (hello.length > MAX_HELLO) {
      throw new ConnectError("INVALID_ARGUMENT", `the HELLO has ${hello.length} bytes: ${MAX_HELLO} are allowed`);
    }
    pushControl(s, HELLO, this.#helloId, hello, false);
  }

  #handleAnswer(frame: Frame): void {
    const { type, id } = frame;
    if (type === ERROR || type === CLOSE) {
      const [code, text] = readText(frame.payload);
      return refused(this.s, new ConnectError(code, text));
    }
    if (type !== ACK || id !== this.#helloId) {
      throw new Fault(`${frameName(type)} before the answer to HELLO`, id, "FAILED_PRECONDITION");
    }
    const { s, protocol } = this;
    const [, welcome] = readWelcome(frame);
    const { codec = 0, compression = 0 } = welcome;
    if (!s.limits.codecs.includes(codec || 1) || (compression && !s.limits.compressions.includes(compression))) {
      throw new Fault(`codec ${codec} and compression ${compression} were not offered`, id);
    }
    // A server may have begun another session under the same id, whose answer was lost.
    const resumed = (welcome.resumed ?? false) && welcome.peerId === this.#welcome?.peerId;
    if (this.#welcome && !resumed) {
      s.resumption?.restart(s);
    }
    if (!resumed) {
      s.peerEndsCancelled = welcome.extensions?.has("ends-cancelled") ?? false;
      s.errorMetadata = (s.parts.metadata && welcome.extensions?.has("error-metadata")) ?? false;
    }
    this.#welcome = welcome;
    s.compresses = compression !== 0;
    s.topics = (s.parts.topics && welcome.broker) ?? false;
    s.sameSchema = welcome.fingerprint === protocol.fingerprint;
    s.expiry = (s.resumption && welcome.sessionExpiryMs) ?? 0;
    opened(s, { maxBody: welcome.maxBody, maxCalls: welcome.maxOpenCalls, awaited: welcome.awaited }, resumed);
    s.emit({ type: "connected", welcome, resumed });
    sendWaiting(s);
  }
}
