/**
 * Metadata (docs/protocol.md, "Metadata").
 *
 * @module
 */

import { MessageFault } from "./fault.js";
import { METADATA, type Metadata } from "./messages.js";
import { decode, encode } from "./proto.js";
import { controlCharacter } from "./text.js";

const MAX_DETAILS = 64;
const HEADER_NAME = /^[\w./-]+$/;

/** Reads metadata. Throws an `Error` for bytes that are none. */
export function readMetadata(bytes: Uint8Array): Metadata {
  const metadata = decode<Metadata>(METADATA, bytes);
  const { details } = metadata;
  return details && details.length > MAX_DETAILS ? { ...metadata, details: details.slice(0, MAX_DETAILS) } : metadata;
}

/** Writes metadata. Throws {@link MessageFault} for what cannot be sent. */
export function writeMetadata(metadata: Metadata): Uint8Array {
  for (const name of metadata.headers?.keys() ?? []) {
    if (!HEADER_NAME.test(name)) {
      throw new MessageFault(`the name of the header ${JSON.stringify(name)} may have letters, digits, "-", "_", "." and "/"`);
    }
  }
  const texts = [metadata.correlationId, metadata.traceparent, metadata.tracestate, metadata.key, ...(metadata.headers?.values() ?? [])];
  for (const text of texts) {
    const control = controlCharacter(text ?? "");
    if (control) {
      throw new MessageFault(`the metadata holds the control character ${control}`);
    }
  }
  return encode(METADATA, metadata);
}
