/** MSIP in the binary messages of a WebSocket, as browsers have them (docs/protocol.md, "WebSocket"). */

import { SettingError } from "../settings/values.js";
import { isLoopback, parseUrl } from "../settings/url.js";
import type { ByteStream, StreamSink, Transport } from "./transport.js";

/** What both ends agree on in the upgrade. */
export const SUBPROTOCOL = "msip.1";

/** A message of a WebSocket is at most so long. */
const MAX_MESSAGE = 64 * 1024;

/** So much is handed to the WebSocket, which takes anything, before the sender waits. */
const MAX_BUFFERED = 256 * 1024;

/** How often a WebSocket, which does not say so by itself, is asked whether it has sent what it was given. */
const DRAIN_POLL_MS = 20;

/** What is used of a WebSocket: browsers', Node's since 22, and that of the package `ws` are such. */
export interface WebSocketLike {
  binaryType: string;
  readonly protocol: string;
  readonly bufferedAmount: number;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void;
  send(data: Uint8Array): void;
  close(code?: number): void;
}

/** A class of WebSockets. */
export type WebSocketClass = new (url: string, protocol: string) => WebSocketLike;

/**
 * A transport for `ws://` and `wss://` over a class of WebSockets, by default the one of the platform.
 *
 * @throws {@link SettingError} where the URL is no such, or no class is there.
 */
export function webSocket(url: string, socketClass?: WebSocketClass): Transport {
  const { scheme, authorities, path, settings } = parseUrl(url);
  if (scheme !== "ws" && scheme !== "wss") {
    throw new SettingError(`\`${url}\`: a client in a browser connects to ws:// or wss://; for others take transport() of "msip/node"`);
  }
  if (authorities.length === 0) throw new SettingError(`\`${url}\`: expected ${scheme}://host:port/path`);
  const addresses = authorities.map((authority) => `${scheme}://${authority}${path || "/"}`);
  return overWebSockets(url, socketClass, addresses, settings);
}

/**
 * The same for the URL of one WebSocket.
 *
 * @throws {@link SettingError} where the URL is no such, or has settings, or no class is there.
 */
export function plainWebSocket(url: string, socketClass?: WebSocketClass): Transport {
  if (!/^wss?:\/\/[^?#]+$/.test(url)) throw new SettingError(`\`${url}\`: expected ws:// or wss://, without settings`);
  return overWebSockets(url, socketClass, [url], new Map());
}

function overWebSockets(url: string, socketClass: WebSocketClass | undefined, addresses: readonly string[], settings: ReadonlyMap<string, string>): Transport {
  const found = socketClass ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket;
  if (found === undefined) {
    throw new SettingError(`\`${url}\`: no WebSocket here: give the option webSocket, or transport() of msip/node`);
  }
  return {
    addresses,
    settings,
    connect(address, signal) {
      const { protocol, hostname } = new URL(address);
      return open(found, address, protocol === "wss:" || isLoopback(hostname), signal);
    },
  };
}

function open(socketClass: WebSocketClass, address: string, isConfidential: boolean, signal: AbortSignal): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const socket = new socketClass(address, SUBPROTOCOL);
    socket.binaryType = "arraybuffer";
    const stream = new WebSocketStream(socket, address, isConfidential);
    let isSettled = false;
    const abandon = () => {
      settle(() => reject(signal.reason as Error));
      stream.destroy();
    };
    const settle = (how: () => void) => {
      if (isSettled) return;
      isSettled = true;
      signal.removeEventListener("abort", abandon);
      how();
    };
    signal.addEventListener("abort", abandon);
    socket.addEventListener("open", () => {
      settle(() => {
        if (socket.protocol === SUBPROTOCOL) resolve(stream);
        else {
          stream.destroy();
          reject(new Error(`${address}: no server of MSIP: it has not agreed to ${SUBPROTOCOL}`));
        }
      });
    });
    socket.addEventListener("close", () => {
      // A page is not told why.
      settle(() => reject(new Error(`${address}: cannot connect`)));
    });
    if (signal.aborted) abandon();
  });
}

class WebSocketStream implements ByteStream {
  readonly #socket: WebSocketLike;
  readonly isConfidential: boolean;
  readonly peerAddress: string;
  #sink: StreamSink | undefined;
  #drainTimer: ReturnType<typeof setTimeout> | undefined;
  #isEnding = false;
  #hasEnded = false;

  constructor(socket: WebSocketLike, peerAddress: string, isConfidential: boolean) {
    this.#socket = socket;
    this.peerAddress = peerAddress;
    this.isConfidential = isConfidential;
    socket.addEventListener("message", ({ data }) => {
      if (this.#hasEnded) return;
      if (!(data instanceof ArrayBuffer)) {
        this.#fail(new Error("a text came by the WebSocket"));
        return;
      }
      this.#sink?.onData(new Uint8Array(data));
      // A timer of a hidden page is late, and what comes is not.
      if (this.#drainTimer !== undefined && !this.#isEnding) this.#checkDrained();
    });
    socket.addEventListener("error", () => {});
    socket.addEventListener("close", ({ code, reason }) => {
      this.#fail(code === 1000 ? undefined : new Error(`the WebSocket has ended: ${code} ${reason}`));
    });
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  start(sink: StreamSink): void {
    this.#sink = sink;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#hasEnded) return false;
    for (let at = 0; at < bytes.length; at += MAX_MESSAGE) {
      this.#socket.send(bytes.subarray(at, at + MAX_MESSAGE));
    }
    if (this.#socket.bufferedAmount < MAX_BUFFERED) return true;
    this.#drainTimer ??= setTimeout(() => this.#checkDrained(), DRAIN_POLL_MS);
    return false;
  }

  // A WebSocket cannot be paused: what comes is bounded by credit alone.
  pause(): void {}
  resume(): void {}

  end(): void {
    // It sends what it has been given first. A page waits many seconds for the answer of a peer that is dead, so nobody else does.
    this.#isEnding = true;
    this.#socket.close(1000);
    clearTimeout(this.#drainTimer);
    this.#drainTimer = setTimeout(() => this.#checkSent(), 0);
  }

  destroy(): void {
    this.#hasEnded = true;
    clearTimeout(this.#drainTimer);
    this.#drainTimer = undefined;
    this.#socket.close(1000);
  }

  #checkDrained(): void {
    clearTimeout(this.#drainTimer);
    this.#drainTimer = undefined;
    if (this.#hasEnded) return;
    if (this.#socket.bufferedAmount < MAX_BUFFERED / 2) this.#sink?.onDrain();
    else this.#drainTimer = setTimeout(() => this.#checkDrained(), DRAIN_POLL_MS);
  }

  #checkSent(): void {
    if (this.#socket.bufferedAmount === 0) this.#fail(undefined);
    else this.#drainTimer = setTimeout(() => this.#checkSent(), DRAIN_POLL_MS);
  }

  #fail(error: Error | undefined): void {
    if (this.#hasEnded) return;
    this.destroy();
    this.#sink?.onEnd(error);
  }
}
