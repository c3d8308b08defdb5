/**
 * Topics of a broker (docs/protocol.md, "Topics").
 *
 * @module
 */

import { MessageFault } from "./fault.js";
import { MAX_TOPIC } from "./payload.js";
import { fromUtf8, utf8 } from "./proto.js";
import { controlCharacter } from "./text.js";

/** Reads a topic, or throws {@link MessageFault}. */
export function readTopic(bytes: Uint8Array): string {
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
export function writeTopic(topic: string): Uint8Array {
  const bytes = utf8(topic);
  if (bytes.length > MAX_TOPIC) {
    throw new MessageFault(`the topic has ${bytes.length} bytes: ${MAX_TOPIC} are allowed`);
  }
  readTopic(bytes);
  return bytes;
}
