import { Reader } from "./reader.js";
import { Writer, finish, reset } from "./writer.js";

/** A writer that nobody uses at the moment. */
let spare: Writer | undefined;

/** The bytes of a message that `write` writes. */
export function encode<T>(write: (message: T, writer: Writer) => void, message: T): Uint8Array {
  // A getter of a message may encode another one meanwhile.
  const writer = spare ?? new Writer();
  spare = undefined;
  try {
    write(message, writer);
    return finish(writer);
  } finally {
    reset(writer);
    spare = writer;
  }
}

/**
 * The message in these bytes, which `read` reads.
 *
 * @param max What it may take in memory, in bytes; without limit unless it is given.
 * @throws TooLargeError where it would take more.
 */
export function decode<T>(read: (reader: Reader) => T, bytes: Uint8Array, max?: number): T {
  return read(new Reader(bytes, max));
}
