/**
 * The payload of a message: metadata, topic and body (docs/protocol.md, "Payload").
 *
 * @module
 */

import type { Frame } from "./decoder.js";
import { isMessage } from "./decoder.js";
import { MessageFault } from "./fault.js";
import { ACK, ERROR, META } from "./header.js";
import type { Metadata } from "./messages.js";
import { OPTIONAL, decode, encode, type Fields } from "./proto.js";

export const MAX_METADATA = 8192;
export const MAX_ERROR_METADATA = 24_576;
export const MAX_TOPIC = 255;
/** What a payload may have besides its body. */
export const BESIDE_BODY = MAX_METADATA + MAX_TOPIC + 4;

export const NOTHING: Uint8Array = new Uint8Array();
/** In front of the body of a PUBLISH or an EVENT: the length of the topic, which is empty. */
export const NO_TOPIC: Uint8Array = new Uint8Array(2);

/** The parts of a payload. */
export interface Payload {
  readonly metadata: Metadata | undefined;
  readonly topic: string;
  readonly body: Uint8Array;
}

/** How metadata is read and written. Both throw {@link MessageFault}. */
export interface MetadataFormat {
  read(bytes: Uint8Array): Metadata;
  write(metadata: Metadata): Uint8Array;
}

/** How topics are read and written. Both throw {@link MessageFault}. */
export interface TopicFormat {
  read(bytes: Uint8Array): string;
  write(topic: string): Uint8Array;
}

/** What stands before a body, as far as it is understood here: without a format of metadata there are deadlines alone, and no topics. */
export interface PrefixFormats {
  readonly metadata?: MetadataFormat | undefined;
  readonly topics?: TopicFormat | undefined;
}

/** Metadata, of which only the deadline is understood. */
const DEADLINE: Fields = [["deadlineMs", OPTIONAL]];

/** Where a part of a payload ends that has its length before it. */
function endOf({ view, end }: Frame, at: number, what: string, max: number): number {
  const len = at + 2 > end ? 0 : view.getUint16(at);
  if (len > max) {
    throw new MessageFault(`the ${what} has ${len} bytes: ${max} are allowed`);
  }
  if (at + 2 + len > end) {
    throw new MessageFault(`the ${what} reaches beyond the payload`);
  }
  return at + 2 + len;
}

/**
 * Splits the payload of a PUBLISH, an EVENT, an ACK, or an ERROR that may have metadata.
 *
 * @throws {@link MessageFault}
 */
export function readPayload(frame: Frame, maxBody: number, { metadata: format, topics }: PrefixFormats): Payload {
  const { buffer, end, type } = frame;
  let at = frame.start;
  let metadata: Metadata | undefined;
  let topic = "";
  if (frame.flags & META && (isMessage(type) || type === ACK || type === ERROR)) {
    const start = at + 2;
    at = endOf(frame, at, "metadata", type === ERROR ? MAX_ERROR_METADATA : MAX_METADATA);
    try {
      const bytes = buffer.subarray(start, at);
      metadata = format ? format.read(bytes) : decode<Metadata>(DEADLINE, bytes);
    } catch (error) {
      throw new MessageFault(`malformed metadata: ${(error as Error).message}`);
    }
  }
  if (isMessage(type)) {
    const start = at + 2;
    at = endOf(frame, at, "topic", MAX_TOPIC);
    if (at > start) {
      if (!topics) {
        throw new MessageFault("a topic, and this is a direct connection");
      }
      topic = topics.read(buffer.subarray(start, at));
    }
  }
  if (end - at > maxBody) {
    throw new MessageFault(`the body has ${end - at} bytes: ${maxBody} are allowed (max_body)`, "RESOURCE_EXHAUSTED");
  }
  return { metadata, topic, body: at === end ? NOTHING : frame.slice(at) };
}

/**
 * What stands before a body: the metadata, where there is any, and the topic of a message.
 *
 * @throws {@link MessageFault} for what cannot be sent.
 */
export function prefix(metadata: Metadata | undefined, topic: string | undefined, { metadata: format, topics }: PrefixFormats, max = MAX_METADATA): Uint8Array {
  const parts: Uint8Array[] = [];
  if (metadata) {
    const encoded = format ? format.write(metadata) : encode(DEADLINE, metadata);
    if (encoded.length > max) {
      throw new MessageFault(`the metadata has ${encoded.length} bytes: ${max} are allowed`);
    }
    parts.push(encoded);
  }
  if (topic !== undefined) {
    if (topic && !topics) {
      throw new MessageFault("topics are not a part of this client", "UNIMPLEMENTED");
    }
    parts.push(topics?.write(topic) ?? NOTHING);
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
