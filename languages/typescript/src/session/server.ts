/**
 * The accepting side: a connection before its HELLO is answered, and the session after that.
 *
 * @module
 */

import { ConnectError, type Status } from "../errors.js";
import type { Protocol } from "../protocol.js";
import { Decoder, type Frame } from "../wire/decoder.js";
import { Fault } from "../wire/fault.js";
import { ACK, CLOSE, ERROR, HELLO, frameName } from "../wire/header.js";
import { MAX_HELLO, readHello, writeWelcome } from "../wire/handshake.js";
import type { Hello, Metadata, Welcome } from "../wire/messages.js";
import { readMetadata } from "../wire/metadata.js";
import { writeText } from "../wire/text.js";
import { extensionsOf } from "./client.js";
import type { MsgId } from "./event.js";
import { pushOvertaking } from "./frames.js";
import { opened, sendWaiting } from "./lifecycle.js";
import { reject } from "./message.js";
import { metadata, type SessionMetadata } from "./metadata.js";
import { OutFrame, Outgoing } from "./outgoing.js";
import { everyPart } from "./parts.js";
import { Session } from "./session.js";
import { withDefaults, type Settings } from "./settings.js";

/** A HELLO that waits for its answer. */
export interface ReceivedHello extends Hello {
  readonly id: MsgId;
  readonly sessionId: bigint;
}

/** The accepting side before the HELLO is answered. */
export class Accepting {
  /** Until when the HELLO has to be here. */
  readonly deadline: number;
  readonly #decoder = new Decoder(MAX_HELLO);
  #helloId = 0n;
  #hello: ReceivedHello | undefined;
  #isForeign = false;

  constructor(now: number, settings: Settings = {}) {
    this.deadline = now + withDefaults(settings).handshakeTimeoutMs;
  }

  /**
   * Bytes have come.
   *
   * @throws ConnectError where they are no HELLO: write what {@link refuse} gives for it, and close the transport.
   */
  receive(data: Uint8Array): ReceivedHello | undefined {
    try {
      if (this.#hello && data.length > 0) {
        throw new Fault("bytes before its HELLO was answered", 0n, "FAILED_PRECONDITION");
      }
      this.#decoder.push(data, 0, (frame) => this.#handle(frame));
    } catch (error) {
      if (!(error instanceof Fault)) {
        throw error;
      }
      this.#helloId = error.id;
      this.#isForeign = error.foreign;
      const isTls = error.foreign && (data[0] === 21 || data[0] === 22) && (data[1] ?? 3) === 3;
      throw new ConnectError(error.code, isTls ? "TLS, where MSIP is spoken without it" : error.message);
    }
    return this.#hello;
  }

  #handle(frame: Frame): boolean {
    const { type, id } = frame;
    if (this.#hello) {
      throw new Fault(`${frameName(type)} before its HELLO was answered`, id, "FAILED_PRECONDITION");
    }
    if (type !== HELLO) {
      throw new Fault(`${frameName(type)} before HELLO`, id, "FAILED_PRECONDITION");
    }
    if (id === 0n || frame.accepting) {
      throw new Fault("a HELLO with a message id that nothing could answer", 0n);
    }
    const [sessionId, hello] = readHello(frame);
    this.#helloId = id;
    this.#hello = { ...hello, id, sessionId };
    return true;
  }

  /** What tells the client that it is refused. */
  refuse(status: Status): Uint8Array {
    const outgoing = new Outgoing();
    outgoing.push(new OutFrame(ERROR, 0, this.#isForeign ? 0n : this.#helloId, writeText(status.code, status.message)));
    return outgoing.transmit();
  }
}

/** Metadata of clients, which cannot assert an identity. */
const metadataOfClients: SessionMetadata = {
  ...metadata,
  read(bytes) {
    const read: { -readonly [K in keyof Metadata]: Metadata[K] } = readMetadata(bytes);
    delete read.identity;
    return read;
  },
};

/** The session of a server with one client. */
export class ServerSession extends Session {
  readonly #peerId: bigint;

  private constructor(protocol: Protocol, settings: Settings) {
    super(protocol, settings, true, { ...everyPart, metadata: metadataOfClients });
    const { s } = this;
    s.onSubscribe = (frame) => {
      s.allowances?.limit(s, frame.id);
      reject(s, frame, "UNIMPLEMENTED", "topics need a broker, and this is a direct connection");
    };
    const bytes = s.limits.random(8);
    this.#peerId = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0) || 1n;
  }

  /** The random number under which others know the client. */
  get peerId(): bigint {
    return this.#peerId;
  }

  /** Answers a HELLO with a new session. `welcome` names the codec and the compression; the session adds its own terms. */
  static accept(protocol: Protocol, settings: Settings, hello: ReceivedHello, welcome: Welcome, now: number): ServerSession {
    const session = new ServerSession(protocol, settings);
    const { s } = session;
    const has = (name: string): boolean => hello.extensions?.has(name) ?? false;
    s.peerEndsCancelled = has("ends-cancelled");
    s.errorMetadata = has("error-metadata");
    session.#open(hello, welcome, now, false);
    return session;
  }

  /** Continues with a further connection, whose HELLO has named this session and proved its secret. The one before is lost. */
  resume(hello: ReceivedHello, welcome: Welcome, now: number): void {
    const { s } = this;
    if (s.phase === "open") {
      s.now = now;
      s.resumption?.suspend(s);
    }
    this.#open(hello, welcome, now, true);
  }

  /**
   * Another connection claims the session: what the older one is told, by the rest of a frame that was begun and CLOSE. Nothing where
   * there is no older one. Tell the session that it is lost then.
   */
  takenOver(): readonly Uint8Array[] {
    const { s } = this;
    if (s.phase !== "open") {
      return [];
    }
    const outgoing = new Outgoing();
    outgoing.push(new OutFrame(CLOSE, 0, 0n, writeText("ABORTED", "session taken over")));
    return [s.outgoing.takeRest(), outgoing.transmit()];
  }

  #open(hello: ReceivedHello, welcome: Welcome, now: number, resumed: boolean): void {
    const { s, protocol } = this;
    const { limits } = s;
    s.now = now;
    s.compresses = (welcome.compression ?? 0) !== 0;
    s.sameSchema = hello.fingerprint === protocol.fingerprint;
    s.expiry = limits.sessionExpiryMs;
    const awaited = (resumed && s.resumption?.awaitedCalls(s)) || [];
    const answer: Welcome = {
      fingerprint: protocol.fingerprint,
      codec: 1,
      resumed,
      keepaliveMs: limits.pingIntervalMs,
      maxBody: limits.maxBody,
      maxOpenCalls: limits.maxCalls,
      sessionExpiryMs: limits.sessionExpiryMs,
      peerId: this.#peerId,
      serverName: limits.name,
      serverVersion: limits.version,
      awaited,
      extensions: extensionsOf(s),
      ...welcome,
    };
    // Nothing may overtake the answer.
    pushOvertaking(s, ACK, hello.id, writeWelcome(hello.sessionId, answer));
    opened(s, { maxBody: hello.maxBody, maxCalls: undefined, awaited: hello.awaited }, resumed);
    s.emit({ type: "connected", welcome: answer, resumed });
    sendWaiting(s);
  }
}
