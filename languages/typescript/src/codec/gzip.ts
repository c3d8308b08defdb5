/**
 * gzip by the streams of the platform, as browsers have them.
 *
 * @module
 */

import { CompressionId } from "../wire/messages.js";
import { compression, oneMember, tooLarge, type Compression } from "./compression.js";

/** Runs a stream of the platform over bytes. */
async function through(stream: CompressionStream | DecompressionStream, bytes: Uint8Array, max: number): Promise<Uint8Array> {
  const writer = stream.writable.getWriter();
  // What fails here fails the reader too.
  const written = writer.write(bytes as Uint8Array<ArrayBuffer>).then(() => writer.close());
  written.catch(() => undefined);
  const reader = stream.readable.getReader();
  const parts: Uint8Array[] = [];
  let len = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    const part = value as Uint8Array;
    len += part.length;
    if (len > max) {
      reader.cancel().catch(() => undefined);
      throw tooLarge(max);
    }
    parts.push(part);
  }
  await written;
  const all = new Uint8Array(len);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** gzip, by the streams of the platform. */
export const gzip: Compression = /* @__PURE__ */ compression({
  id: CompressionId.GZIP,
  name: "gzip",
  compress: (bytes) => through(new CompressionStream("gzip"), bytes, Infinity),
  inflate: (bytes, max) => through(new DecompressionStream("gzip"), bytes, max).then((inflated) => oneMember(bytes, inflated)),
});
