/** Streams over the sockets of Node: TCP, TLS and Unix. */

import type { Socket } from "node:net";

import type { ByteStream, StreamSink } from "../transport/transport.js";

/** So much is handed to the socket before the sender waits. */
const MAX_BUFFERED = 256 * 1024;

/** A stream over a socket that is connected. */
export class SocketStream implements ByteStream {
  readonly #socket: Socket;
  readonly isConfidential: boolean;
  readonly peerAddress: string;
  readonly #explain: (error: Error) => Error;
  #sink: StreamSink | undefined;
  #error: Error | undefined;

  /** @param explain Says in words what an error of the socket means. */
  constructor(socket: Socket, peerAddress: string, isConfidential: boolean, explain: (error: Error) => Error = (error) => error) {
    this.#socket = socket;
    this.peerAddress = peerAddress;
    this.isConfidential = isConfidential;
    this.#explain = explain;
    // An error that comes before somebody listens is told then.
    socket.on("error", (error) => {
      this.#error ??= this.#explain(error);
    });
    socket.pause();
  }

  get buffered(): number {
    return this.#socket.writableLength;
  }

  start(sink: StreamSink): void {
    const isStarted = this.#sink !== undefined;
    this.#sink = sink;
    if (isStarted) return;
    const socket = this.#socket;
    if (socket.destroyed) {
      queueMicrotask(() => this.#ended());
      return;
    }
    socket.on("data", (bytes: Buffer) => this.#sink?.onData(bytes));
    socket.on("drain", () => this.#sink?.onDrain());
    socket.on("end", () => this.#ended());
    socket.on("close", () => this.#ended());
    socket.resume();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return false;
    // Where it is refused, `drain` follows.
    return this.#socket.write(bytes) || this.#socket.writableLength < MAX_BUFFERED;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#sink = undefined;
    this.#socket.destroy();
  }

  #ended(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    // Whoever ended its direction closes: there are no half connections in MSIP.
    this.#socket.destroySoon();
    sink?.onEnd(this.#error);
  }
}

/** `127.0.0.1:7400` or `[::1]:7400`; the path where the socket has no address. */
export function peerAddressOf(socket: Socket, otherwise: string): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return otherwise;
  return `${remoteAddress.includes(":") ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`;
}
