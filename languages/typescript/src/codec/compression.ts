/**
 * Compression of bodies (docs/protocol.md, "Body"): an algorithm is a value that a client or a server is given, so that a
 * bundle has none that is not used.
 *
 * @module
 */

import { Status } from "../errors.js";

/** A body that can be sent. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly compressed: boolean;
}

/** An algorithm. */
export interface Algorithm {
  /** Its number of `CompressionId`. */
  readonly id: number;
  /** As settings name it. */
  readonly name: string;
  compress(bytes: Uint8Array): Uint8Array;
  /**
   * Inflates all of the input.
   *
   * @throws Status `RESOURCE_EXHAUSTED` beyond `max` bytes of output, where it stops; any error for what is malformed.
   */
  inflate(bytes: Uint8Array, max: number): Uint8Array;
}

/** A compression of bodies, as a client or a server is given it. */
export interface Compression extends Algorithm {
  /** A body as it is sent: compressed, unless it does not get smaller. */
  pack(bytes: Uint8Array): Body;
  /**
   * The body that was compressed.
   *
   * @throws Status `INVALID_ARGUMENT` where it was by another algorithm, or is malformed, and `RESOURCE_EXHAUSTED` beyond `max`
   * bytes.
   */
  unpack(bytes: Uint8Array, max: number): Uint8Array;
}

/** The compression by an algorithm. */
export function compression(algorithm: Algorithm): Compression {
  return { ...algorithm, pack: (bytes) => pack(algorithm, bytes), unpack: (bytes, max) => unpack(algorithm, bytes, max) };
}

/** The error of a body that is inflated to more than this. */
export function tooLarge(max: number): Status {
  return new Status("RESOURCE_EXHAUSTED", `the inflated body has more than ${max} bytes (max_body)`);
}

function pack(compression: Algorithm, bytes: Uint8Array): Body {
  const packed = compression.compress(bytes);
  if (packed.length + 1 >= bytes.length) {
    return { bytes, compressed: false };
  }
  const body = new Uint8Array(packed.length + 1);
  body[0] = compression.id;
  body.set(packed, 1);
  return { bytes: body, compressed: true };
}

function unpack(compression: Algorithm, bytes: Uint8Array, max: number): Uint8Array {
  if (bytes[0] !== compression.id) {
    throw new Status("INVALID_ARGUMENT", `a body compressed by ${bytes[0] ?? "nothing"}, where ${compression.name} was agreed on`);
  }
  try {
    return compression.inflate(bytes.subarray(1), max);
  } catch (error) {
    throw error instanceof Status ? error : new Status("INVALID_ARGUMENT", `malformed ${compression.name}: ${(error as Error).message}`, { cause: error });
  }
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
