/** Transports of Node: TCP, TLS, Unix sockets, and WebSockets with backpressure. */

import { connect as connectSocket, type NetConnectOpts, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

import { hostAndPort, isLoopback, parseUrl, type ServiceUrl } from "../settings/url.js";
import { SettingError } from "../settings/values.js";
import type { ByteStream, Transport } from "../transport/transport.js";
import { SocketStream, peerAddressOf } from "./socket-stream.js";
import { ALPN, CLIENT_TLS_SETTINGS, clientTls, explainTls, type TlsOptions } from "./tls.js";
import { connectWebSocket } from "./websocket-connect.js";

/** What only code says of a transport. */
export interface TransportOptions {
  /** For `tls://` and `wss://`. */
  readonly tls?: TlsOptions;
}

/** Unix allows no longer paths (macOS and the BSDs 103). */
const MAX_UNIX_PATH = process.platform === "linux" ? 107 : 103;

/** The path of a Unix socket. */
export function unixPath(url: ServiceUrl): string {
  const path = decodeURIComponent(url.path);
  if (url.authorities.length > 0 || path === "") {
    throw new SettingError("a Unix socket is named by an absolute path: unix:///run/chat.sock");
  }
  const length = Buffer.byteLength(path);
  if (length > MAX_UNIX_PATH) throw new SettingError(`the path of a Unix socket has ${length} bytes: ${MAX_UNIX_PATH} are allowed`);
  return path;
}

/**
 * The transport that a URL names: `tcp://`, `tls://`, `unix://`, `ws://` or `wss://` (docs/transports.md). Settings that are not its own
 * are for the client.
 *
 * @example
 * ```ts
 * const chat = await ChatClient.connect(transport("tls://chat.example.org:7400?ca=certs/ca.pem"));
 * ```
 * @throws {@link SettingError} where the URL cannot be used.
 */
export function transport(url: string, options: TransportOptions = {}): Transport {
  const parsed = parseUrl(url);
  const { scheme, authorities } = parsed;
  const isSecure = scheme === "tls" || scheme === "wss";
  if (!["tcp", "tls", "unix", "ws", "wss"].includes(scheme)) {
    throw new SettingError(`\`${url}\`: the scheme ${scheme} is not one of tcp, tls, unix, ws, wss`);
  }
  if (scheme === "unix") {
    const path = unixPath(parsed);
    return {
      addresses: [`unix://${path}`],
      settings: parsed.settings,
      connect: (address, signal) => openSocket({ path }, address, true, signal),
    };
  }
  if (authorities.length === 0) throw new SettingError(`\`${url}\`: expected ${scheme}://host:port`);
  for (const authority of authorities) hostAndPort(authority);
  const own = isSecure ? CLIENT_TLS_SETTINGS : [];
  const settings = new Map([...parsed.settings].filter(([name]) => !own.includes(name)));
  const path = scheme.startsWith("w") ? parsed.path || "/" : "";
  return {
    addresses: authorities.map((authority) => `${scheme}://${authority}${path}`),
    settings,
    connect: async (address, signal) => {
      const at = hostAndPort(address.slice(scheme.length + 3, path === "" ? undefined : -path.length));
      const isConfidential = isSecure || isLoopback(at.host);
      const explain = (error: Error) => explainTls(explainPlain(error, address), address);
      const tls = isSecure ? await clientTls(parsed.settings, options.tls ?? {}, at.host) : {};
      signal.throwIfAborted();
      if (scheme.startsWith("w")) {
        return connectWebSocket(address, { ...at, ...tls, path, isSecure, isConfidential }, signal, explain);
      }
      if (scheme === "tcp") return openSocket(at, address, isConfidential, signal);
      const socket = connectTls({ ...at, ...tls, ALPNProtocols: [ALPN] });
      await untilConnected(socket, "secureConnect", signal, explain);
      if (socket.alpnProtocol !== ALPN) {
        socket.destroy();
        throw new Error(`${address}: the server speaks TLS, and did not agree to ${ALPN}: it is no server of MSIP`);
      }
      return stream(socket, address, true, explain);
    },
  };
}

async function openSocket(to: NetConnectOpts, address: string, isConfidential: boolean, signal: AbortSignal): Promise<ByteStream> {
  const socket = connectSocket(to);
  const explain = (error: Error) => explainPlain(error, address);
  await untilConnected(socket, "connect", signal, explain);
  return stream(socket, address, isConfidential, explain);
}

function stream(socket: Socket, address: string, isConfidential: boolean, explain: (error: Error) => Error): ByteStream {
  socket.setNoDelay(true);
  return new SocketStream(socket, peerAddressOf(socket, address), isConfidential, explain);
}

function untilConnected(socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal, explain: (error: Error) => Error): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (how: () => void) => {
      signal.removeEventListener("abort", onAbort);
      socket.off("error", onError);
      socket.off(event, onConnected);
      how();
    };
    const onAbort = () => end(() => {
      socket.on("error", () => {});
      socket.destroy();
      reject(signal.reason as Error);
    });
    const onError = (error: Error) => end(() => reject(explain(error)));
    const onConnected = () => end(resolve);
    signal.addEventListener("abort", onAbort);
    socket.on("error", onError);
    socket.on(event, onConnected);
    if (signal.aborted) onAbort();
  });
}

function explainPlain(error: Error, address: string): Error {
  const code = (error as { code?: string }).code;
  if (code === "ECONNREFUSED") return new Error(`${address}: nobody listens there`, { cause: error });
  if (code === "ENOENT") return new Error(`${address}: there is no socket`, { cause: error });
  if (code === "ENOTFOUND") return new Error(`${address}: the name of the host is not known`, { cause: error });
  return error;
}
