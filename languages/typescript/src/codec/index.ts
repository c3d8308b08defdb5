/**
 * Codecs and compressions, as a client or a server is given them.
 *
 * @module
 */

export type { BoundCodec, Codec } from "./codec.js";
export type { Body, Compression } from "./compression.js";
export { protobuf } from "./protobuf.js";
export { json, messagePack } from "./trees.js";
export { zlibGzip, zlibZstd, type Zlib } from "./zlib.js";
