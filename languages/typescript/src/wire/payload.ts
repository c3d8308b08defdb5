/**
 * The payload of a message: metadata, topic and body (docs/protocol.md, "Payload").
 *
 * @module
 */

import type { Frame } from "./decoder.js";
import { isMessage } from "./decoder.js";
import { MessageFault } from "./fault.js";
import { ACK, ERROR, META } from "./header.js";
import { METADATA, type Metadata } from "./messages.js";
import { decode, encode, fromUtf8, utf8 } from "./proto.js";

export const MAX_METADATA = 8192;
export const MAX_ERROR_METADATA = 24_576;
const MAX_TOPIC = 255;
const MAX_DETAILS = 64;
/** What a payload may have besides its body. */
export const BESIDE_BODY = MAX_METADATA + MAX_TOPIC + 4;

/** What control characters a topic, an id, a key or a header may not have. */
// eslint-disable-next-line no-control-regex -- these are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const HEADER_NAME = /^[\w./-]+$/;

export const NOTHING: Uint8Array = new Uint8Array();
/** In front of the body of a PUBLISH or an EVENT: the length of the topic, which is empty. */
export const NO_TOPIC: Uint8Array = new Uint8Array(2);

/** The parts of a payload. */
export interface Payload {
  readonly metadata: Metadata | undefined;
  readonly topic: string;
  readonly body: Uint8Array;
}

/** A first control character, as it is named to people. */
export function controlCharacter(text: string): string | undefined {
  const found = CONTROL.exec(text);
  return found ? `U+${found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}` : undefined;
}

/**
 * Splits the payload of a PUBLISH, an EVENT, an ACK, or an ERROR that may have metadata.
 *
 * @throws {@link MessageFault}
 */
export function readPayload(frame: Frame, maxBody: number): Payload {
  const { view, end } = frame;
  let at = frame.start;
  let metadata: Metadata | undefined;
  let topic = "";
  if (frame.flags & META && (isMessage(frame.type) || frame.type === ACK || frame.type === ERROR)) {
    at += 2;
    const len = at > end ? Infinity : view.getUint16(at - 2);
    const max = frame.type === ERROR ? MAX_ERROR_METADATA : MAX_METADATA;
    if (at <= end && len > max) {
      throw new MessageFault(`the metadata has ${len} bytes: ${max} are allowed`);
    }
    if (at + len > end) {
      throw new MessageFault("the metadata reaches beyond the payload");
    }
    metadata = readMetadata(frame.buffer.subarray(at, at + len));
    at += len;
  }
  if (isMessage(frame.type)) {
    at += 2;
    const len = at > end ? Infinity : view.getUint16(at - 2);
    if (at + len > end) {
      throw new MessageFault("the topic reaches beyond the payload");
    }
    if (len > 0) {
      topic = readTopic(frame.buffer.subarray(at, at + len));
      at += len;
    }
  }
  if (end - at > maxBody) {
    throw new MessageFault(`the body has ${end - at} bytes: ${maxBody} are allowed (max_body)`, "RESOURCE_EXHAUSTED");
  }
  return { metadata, topic, body: at === end ? NOTHING : frame.slice(at) };
}

function readMetadata(bytes: Uint8Array): Metadata {
  let metadata: Metadata;
  try {
    metadata = decode<Metadata>(METADATA, bytes);
  } catch (error) {
    throw new MessageFault(`malformed metadata: ${(error as Error).message}`);
  }
  const { details } = metadata;
  return details && details.length > MAX_DETAILS ? { ...metadata, details: details.slice(0, MAX_DETAILS) } : metadata;
}

/** Reads a topic, or throws {@link MessageFault}. */
export function readTopic(bytes: Uint8Array): string {
  if (bytes.length > MAX_TOPIC) {
    throw new MessageFault(`the topic has ${bytes.length} bytes: ${MAX_TOPIC} are allowed`);
  }
  let topic: string;
  try {
    topic = fromUtf8(bytes);
  } catch {
    throw new MessageFault("the topic is not UTF-8");
  }
  const control = controlCharacter(topic);
  if (control) {
    throw new MessageFault(`the topic holds the control character ${control}`);
  }
  return topic;
}

/** The bytes of a topic. Throws {@link MessageFault} for one that cannot be sent. */
export function topicBytes(topic: string): Uint8Array {
  const bytes = utf8(topic);
  readTopic(bytes);
  return bytes;
}

/**
 * What stands before a body: the metadata, where there is any, and the topic of a message.
 *
 * @throws {@link MessageFault} for what cannot be sent.
 */
export function prefix(metadata: Metadata | undefined, topic: string | undefined, max = MAX_METADATA): Uint8Array {
  if (!metadata && !topic) {
    return topic === undefined ? NOTHING : NO_TOPIC;
  }
  const parts: Uint8Array[] = [];
  if (metadata) {
    checkMetadata(metadata);
    const encoded = encode(METADATA, metadata);
    if (encoded.length > max) {
      throw new MessageFault(`the metadata has ${encoded.length} bytes: ${max} are allowed`);
    }
    parts.push(encoded);
  }
  if (topic !== undefined) {
    parts.push(topicBytes(topic));
  }
  const bytes = new Uint8Array(parts.reduce((len, part) => len + 2 + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes[at] = part.length >> 8;
    bytes[at + 1] = part.length & 255;
    bytes.set(part, at + 2);
    at += 2 + part.length;
  }
  return bytes;
}

function checkMetadata(metadata: Metadata): void {
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
}
