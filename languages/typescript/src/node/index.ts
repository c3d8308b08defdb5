/**
 * What clients have in Node besides WebSockets: TCP, TLS and Unix sockets.
 *
 * @module
 */

import * as zlib from "node:zlib";

import { zlibGzip, zlibZstd } from "../codec/index.js";

/** Compression by gzip. */
export const gzip = zlibGzip(zlib);

/** Compression by zstd, where Node has it: since 22.15. */
export const zstd = zlibZstd(zlib);

export type { TlsOptions } from "./tls.js";
export { transport, type TransportOptions } from "./transport.js";
