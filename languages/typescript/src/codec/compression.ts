/**
 * Compression of bodies (docs/protocol.md, "Body"): an algorithm is a value that a client or a server is given, so that a
 * bundle has none that is not used.
 *
 * @module
 */

import { Status } from "../errors.js";
import { CompressionId } from "../wire/messages.js";

/** A body that can be sent. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly compressed: boolean;
}

/** An algorithm. Where its results are promises, {@link InOrder} keeps messages in their order. */
export interface Compression {
  /** Its number of {@link CompressionId}. */
  readonly id: number;
  /** As settings name it. */
  readonly name: string;
  compress(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /**
   * Inflates all of the input.
   *
   * @throws Status `RESOURCE_EXHAUSTED` beyond `max` bytes of output, where it stops; any error for what is malformed.
   */
  inflate(bytes: Uint8Array, max: number): Uint8Array | Promise<Uint8Array>;
}

/** The error of a body that is inflated to more than this. */
export function tooLarge(max: number): Status {
  return new Status("RESOURCE_EXHAUSTED", `the inflated body has more than ${max} bytes (max_body)`);
}

/** A body as it is sent: compressed, unless it does not get smaller. */
export function compressBody(compression: Compression, bytes: Uint8Array): Body | Promise<Body> {
  const pack = (packed: Uint8Array): Body => {
    if (packed.length + 1 >= bytes.length) {
      return { bytes, compressed: false };
    }
    const body = new Uint8Array(packed.length + 1);
    body[0] = compression.id;
    body.set(packed, 1);
    return { bytes: body, compressed: true };
  };
  const packed = compression.compress(bytes);
  return packed instanceof Promise ? packed.then(pack) : pack(packed);
}

/**
 * The body that was compressed.
 *
 * @throws Status `INVALID_ARGUMENT` where it was by another algorithm, or is malformed, and `RESOURCE_EXHAUSTED` beyond `max`
 * bytes. With an algorithm whose results are promises the promise is rejected.
 */
export function inflateBody(compression: Compression, bytes: Uint8Array, max: number): Uint8Array | Promise<Uint8Array> {
  if (bytes[0] !== compression.id) {
    throw new Status("INVALID_ARGUMENT", `a body compressed by ${bytes[0] ?? "nothing"}, where ${compression.name} was agreed on`);
  }
  const refuse = (error: unknown): never => {
    throw error instanceof Status ? error : new Status("INVALID_ARGUMENT", `malformed ${compression.name}: ${(error as Error).message}`, { cause: error });
  };
  try {
    const inflated = compression.inflate(bytes.subarray(1), max);
    return inflated instanceof Promise ? inflated.catch(refuse) : inflated;
  } catch (error) {
    return refuse(error);
  }
}

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

/** What was inflated, where it is of one member: platforms take several, one behind the other. */
export function oneMember(bytes: Uint8Array, inflated: Uint8Array): Uint8Array {
  // A member ends with the length of what it holds.
  const end = bytes.length - 4;
  if (end < 0 || new DataView(bytes.buffer, bytes.byteOffset).getUint32(end, true) !== inflated.length) {
    throw new Error("more than one member");
  }
  return inflated;
}

/** gzip, by the streams of the platform. */
export const gzip: Compression = {
  id: CompressionId.GZIP,
  name: "gzip",
  compress: (bytes) => through(new CompressionStream("gzip"), bytes, Infinity),
  inflate: (bytes, max) => through(new DecompressionStream("gzip"), bytes, max).then((inflated) => oneMember(bytes, inflated)),
};
