/**
 * What clients have in Node besides WebSockets: TCP, TLS and Unix sockets.
 *
 * @module
 */

export type { TlsOptions } from "./tls.js";
export { transport, type TransportOptions } from "./transport.js";
