/** A stream of bytes within the messages of a WebSocket, over a stream of Node. */

import { performance } from "node:perf_hooks";

import type { ByteStream, StreamSink } from "../transport/transport.js";
import { FrameReader, WebSocketError, binaryFrames, closeFrame, type WebSocketRole } from "./websocket-frames.js";

/** The WebSocket whose upgrade is over. */
export class WebSocketStream implements ByteStream {
  readonly #inner: ByteStream;
  readonly #role: WebSocketRole;
  readonly #reader: FrameReader;
  /** What came with the upgrade. */
  readonly #head: Uint8Array;
  #sink: StreamSink | undefined;
  #hasEnded = false;

  constructor(inner: ByteStream, role: WebSocketRole, head: Uint8Array) {
    this.#inner = inner;
    this.#role = role;
    this.#head = head;
    this.#reader = new FrameReader(role, {
      onBytes: (bytes) => this.#sink?.onData(bytes),
      onAnswer: (frame) => {
        if (!this.#hasEnded) inner.write(frame);
      },
      onClose: () => this.#close(1000, undefined),
    });
  }

  get isConfidential(): boolean {
    return this.#inner.isConfidential;
  }

  get peerAddress(): string {
    return this.#inner.peerAddress;
  }

  get buffered(): number {
    return this.#inner.buffered;
  }

  start(sink: StreamSink): void {
    const isStarted = this.#sink !== undefined;
    this.#sink = sink;
    if (isStarted) return;
    this.#inner.start({
      onData: (bytes) => this.#read(bytes),
      onDrain: () => this.#sink?.onDrain(),
      onEnd: (error) => {
        this.#hasEnded = true;
        const told = this.#sink;
        this.#sink = undefined;
        told?.onEnd(error);
      },
    });
    if (this.#head.length > 0) this.#read(this.#head);
  }

  write(bytes: Uint8Array): boolean {
    let takesMore = true;
    for (const frame of binaryFrames(this.#role, bytes)) takesMore = this.#inner.write(frame);
    return takesMore;
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#inner.write(closeFrame(this.#role, 1000));
    this.#inner.end();
  }

  destroy(): void {
    this.#hasEnded = true;
    this.#sink = undefined;
    this.#inner.destroy();
  }

  #read(bytes: Uint8Array): void {
    if (this.#hasEnded) return;
    try {
      this.#reader.push(bytes, performance.now());
    } catch (error) {
      if (!(error instanceof WebSocketError)) throw error;
      this.#close(error.status, error);
    }
  }

  #close(status: number, error: Error | undefined): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#inner.write(closeFrame(this.#role, status));
    this.#inner.end();
    const told = this.#sink;
    this.#sink = undefined;
    told?.onEnd(error);
  }
}
