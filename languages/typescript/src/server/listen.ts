/** Listeners of Node: TCP, TLS, Unix sockets and WebSockets. */

import { chmod, lstat, unlink } from "node:fs/promises";
import { createServer as createHttpServer, STATUS_CODES, type IncomingMessage } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { connect, createServer, type Server as NetServer, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type TlsOptions as NodeTlsOptions } from "node:tls";

import { SocketStream, peerAddressOf } from "../node/socket-stream.js";
import { ALPN, SERVER_TLS_SETTINGS, readPem } from "../node/tls.js";
import { unixPath } from "../node/transport.js";
import { acceptOf } from "../node/websocket-connect.js";
import { WebSocketStream } from "../node/websocket-stream.js";
import { hostAndPort, isLoopback, type ServiceUrl } from "../settings/url.js";
import { SettingError } from "../settings/values.js";
import type { ByteStream } from "../transport/transport.js";
import { SUBPROTOCOL } from "../transport/websocket.js";
import type { ServerOptions } from "./options.js";

/** A place at which is listened. */
export interface Listener {
  /** As clients write it, with the port that it has. */
  readonly url: string;
  /** Accepts nothing more. */
  close(): void;
}

/** A connection that was accepted, and the names in the client's certificate. */
export type OnStream = (stream: ByteStream, certificateNames: string) => void;

/** Settings that belong to a listener, by its scheme. */
export function listenerSettings(scheme: string): readonly string[] {
  return [...(scheme === "tls" || scheme === "wss" ? SERVER_TLS_SETTINGS : []), ...(scheme === "unix" ? ["mode"] : []), ...(scheme.startsWith("w") ? ["origin"] : [])];
}

/**
 * Listens.
 *
 * @throws SettingError where the URL cannot be used, and the error of Node where its place cannot.
 */
export async function listen(url: ServiceUrl, options: ServerOptions, insecure: boolean, handshakeTimeoutMs: number, onStream: OnStream): Promise<Listener> {
  const { scheme } = url;
  if (scheme === "unix") return listenUnix(url, onStream);
  const [authority, ...others] = url.authorities;
  if (!["tcp", "tls", "ws", "wss"].includes(scheme) || authority === undefined || others.length > 0) {
    throw new SettingError(`a server listens at tcp://, tls://, ws:// or wss:// with one host:port, or at unix:///path, not at ${scheme}://${url.authorities.join(",")}`);
  }
  const at = hostAndPort(authority);
  const isSecure = scheme === "tls" || scheme === "wss";
  const isConfidential = isSecure || isLoopback(at.host);
  if (!isConfidential && !insecure) {
    throw new SettingError(`${scheme}://${authority}: others could read what is sent: listen at tls://, or set insecure=true where the network is trusted`);
  }
  const tls = isSecure ? await serverTls(url, options) : {};
  const server = scheme.startsWith("w")
    ? webSocketServer(url, isSecure, tls, isConfidential, handshakeTimeoutMs, onStream)
    : scheme === "tls"
      ? createTlsServer({ ...tls, ALPNProtocols: [ALPN], handshakeTimeout: handshakeTimeoutMs }, (socket) => accepted(socket, scheme, true, onStream))
      : createServer((socket) => accepted(socket, scheme, isConfidential, onStream));
  // What fails in a handshake of TLS ends that connection alone.
  server.on("tlsClientError", () => {});
  await listening(server, at, `${scheme}://${authority}`);
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : at.port;
  const host = at.host.includes(":") ? `[${at.host}]` : at.host;
  return {
    url: `${scheme}://${host}:${port}${scheme.startsWith("w") ? url.path || "/" : ""}`,
    close: () => server.close(),
  };
}

function accepted(socket: Socket, scheme: string, isConfidential: boolean, onStream: OnStream): void {
  socket.setNoDelay(true);
  const stream = new SocketStream(socket, peerAddressOf(socket, scheme), isConfidential);
  onStream(stream, certificateNames(socket));
}

function certificateNames(socket: Socket): string {
  const tls = socket as Partial<TLSSocket>;
  if (tls.getPeerCertificate === undefined || tls.authorized !== true) return "";
  return tls.getPeerCertificate().subjectaltname ?? "";
}

function listening(server: NetServer, at: { host: string; port: number } | { path: string }, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(explain(error, url));
    server.once("error", failed);
    server.listen(at, () => {
      server.off("error", failed);
      // A descriptor that is missing for one connection is no end of the server.
      server.on("error", () => {});
      resolve();
    });
  });
}

/** Says in words why nobody can listen there. The error stays Node's, with its code. */
function explain(error: Error & { code?: string }, url: string): Error {
  const place = url.startsWith("unix:") ? "its folder does not exist, or may not be written" : "this user may not listen at that port";
  const texts: Record<string, string> = {
    EADDRINUSE: "somebody listens there already: end that program, or take another port",
    EADDRNOTAVAIL: "this machine does not have that address",
    EACCES: place,
    ENOTFOUND: "the name of the host is not known",
  };
  error.message = `cannot listen at ${url}: ${texts[error.code ?? ""] ?? error.message}`;
  return error;
}

async function serverTls({ settings }: ServiceUrl, { tls = {} }: ServerOptions): Promise<NodeTlsOptions> {
  const [cert, key, clientCa] = await Promise.all([
    readPem(settings, "cert", tls.cert),
    readPem(settings, "key", tls.key),
    readPem(settings, "client_ca", tls.clientCa),
  ]);
  if (cert === undefined || key === undefined) throw new SettingError("a server with TLS needs a certificate and its key: set cert and key");
  const asked = settings.get("client_auth") ?? (clientCa === undefined ? "none" : "require");
  if (!["none", "ask", "require"].includes(asked)) throw new SettingError(`setting \`client_auth\`: expected none, ask or require, found \`${asked}\``);
  if (asked !== "none" && clientCa === undefined) throw new SettingError("setting `client_auth`: who may issue certificates of clients is said by client_ca");
  return {
    cert,
    key,
    ...(clientCa && { ca: clientCa }),
    requestCert: asked !== "none",
    // With `ask` too, one that is shown has to be right.
    rejectUnauthorized: asked === "require",
    minVersion: "TLSv1.3",
  };
}

async function listenUnix(url: ServiceUrl, onStream: OnStream): Promise<Listener> {
  const path = unixPath(url);
  const mode = url.settings.get("mode") ?? "0600";
  if (!/^0?[0-7]{3}$/.test(mode)) throw new SettingError(`setting \`mode\`: expected three octal digits such as 0600, found \`${mode}\``);
  await removeStale(path);
  const server = createServer((socket) => {
    onStream(new SocketStream(socket, url.path, true), "");
  });
  // Nobody else connects before the mode is set.
  const before = process.umask(0o177);
  try {
    const ready = listening(server, { path }, `unix://${path}`);
    process.umask(before);
    await ready;
  } finally {
    process.umask(before);
  }
  await chmod(path, parseInt(mode, 8));
  return { url: `unix://${url.path}`, close: () => server.close() };
}

/** Removes a socket of this user to which nobody listens; whatever else is there stays. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new SettingError(`unix://${path}: is not a socket`);
  if (found.uid !== process.getuid?.()) throw new SettingError(`unix://${path}: is a socket of another user`);
  const isAlive = await new Promise<boolean>((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
  if (isAlive) throw new SettingError(`unix://${path}: is a socket at which somebody listens`);
  await unlink(path);
}

/** A server that upgrades requests for its path, and answers others with an error. */
function webSocketServer(url: ServiceUrl, isSecure: boolean, tls: NodeTlsOptions, isConfidential: boolean, timeoutMs: number, onStream: OnStream): NetServer {
  const options = { maxHeaderSize: 16 * 1024, headersTimeout: timeoutMs, requestTimeout: timeoutMs, connectionsCheckingInterval: Math.min(timeoutMs, 1000) };
  const server = isSecure ? createHttpsServer({ ...options, ...tls, ALPNProtocols: ["http/1.1"], handshakeTimeout: timeoutMs }) : createHttpServer(options);
  server.on("request", (request: IncomingMessage, response) => {
    const status = pathOf(request) === (url.path || "/") ? 426 : 404;
    response.writeHead(status, { Connection: "close", ...(status === 426 && { Upgrade: "websocket" }) }).end();
  });
  const origins = (url.settings.get("origin") ?? "").split(",");
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => {});
    const refused = refusal(request, url.path || "/", origins);
    if (refused !== undefined) {
      socket.end(`HTTP/1.1 ${refused} ${STATUS_CODES[refused]}\r\nConnection: close\r\nContent-Length: 0\r\n${refused === 426 ? "Sec-WebSocket-Version: 13\r\n" : ""}\r\n`);
      return;
    }
    socket.setNoDelay(true);
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${acceptOf(request.headers["sec-websocket-key"] ?? "")}\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`,
    );
    const inner = new SocketStream(socket, peerAddressOf(socket, "ws"), isConfidential);
    onStream(new WebSocketStream(inner, "server", head), certificateNames(socket));
  });
  return server;
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "").split("?")[0] ?? "";
}

/** The status with which an upgrade is refused; undefined where it is not. */
function refusal(request: IncomingMessage, path: string, origins: readonly string[]): number | undefined {
  const { headers } = request;
  if (pathOf(request) !== path) return 404;
  if (headers["sec-websocket-version"] !== "13" || headers.upgrade?.toLowerCase() !== "websocket") return 426;
  if (headers.origin !== undefined && !origins.includes(headers.origin)) return 403;
  const protocols = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  const key = headers["sec-websocket-key"] ?? "";
  if (request.method !== "GET" || !protocols.includes(SUBPROTOCOL) || !/^[A-Za-z0-9+/]{22}==$/.test(key)) return 400;
  return undefined;
}

