/** The upgrade of a client: an HTTP request that becomes a WebSocket. */

import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";

import { SUBPROTOCOL } from "../transport/websocket.js";
import type { ByteStream } from "../transport/transport.js";
import { SocketStream, peerAddressOf } from "./socket-stream.js";
import { WebSocketStream } from "./websocket-stream.js";

const MAX_HEAD = 16 * 1024;

/** What a server answers to the client's key (RFC 6455, 4.2.2). */
export function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** Connects, asks for the upgrade, and gives the stream within. */
export function connectWebSocket(
  address: string,
  options: RequestOptions & { isSecure: boolean; isConfidential: boolean },
  signal: AbortSignal,
  explain: (error: Error) => Error,
): Promise<ByteStream> {
  const key = randomBytes(16).toString("base64");
  const { isSecure, isConfidential, ...rest } = options;
  return new Promise((resolve, reject) => {
    const request = (isSecure ? httpsRequest : httpRequest)({
      ...rest,
      signal,
      agent: false,
      maxHeaderSize: MAX_HEAD,
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Protocol": SUBPROTOCOL,
      },
    });
    request.on("upgrade", ({ headers }, socket: Socket, head) => {
      if (headers["sec-websocket-accept"] !== acceptOf(key) || headers["sec-websocket-extensions"] !== undefined) {
        socket.destroy();
        reject(new Error(`${address}: the server's answer is none to this upgrade`));
      } else if (headers["sec-websocket-protocol"] !== SUBPROTOCOL) {
        socket.destroy();
        reject(new Error(`${address}: no server of MSIP: it has not agreed to ${SUBPROTOCOL}`));
      } else {
        socket.setNoDelay(true);
        const inner = new SocketStream(socket, peerAddressOf(socket, address), isConfidential, explain);
        resolve(new WebSocketStream(inner, "client", head));
      }
    });
    request.on("response", (response) => {
      response.destroy();
      const what = response.statusCode === 404 ? `: there is nothing at "${rest.path ?? "/"}"` : "";
      reject(new Error(`${address}: the server answered ${response.statusCode} ${response.statusMessage}${what}`));
    });
    request.on("error", (error: Error & { code?: string }) => {
      if (signal.aborted) reject(signal.reason as Error);
      else if (error.code?.startsWith("HPE_")) {
        reject(new Error(`${address}: the server speaks no HTTP here: where it speaks MSIP without a WebSocket, connect to tcp://`, { cause: error }));
      } else reject(explain(error));
    });
    request.end();
  });
}
