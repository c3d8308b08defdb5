/**
 * The payload of SUBSCRIBE and UNSUBSCRIBE (docs/protocol.md, "Subscribe").
 *
 * @module
 */

import { MessageFault } from "./fault.js";
import { SUBSCRIBED_FIELDS, SUBSCRIBE_FIELDS, type Subscribe, type Subscribed } from "./messages.js";
import { MAX_METADATA } from "./payload.js";
import { decode, encode } from "./proto.js";
import { writeTopic } from "./topic.js";

/** The payload of a SUBSCRIBE; with the flag META where `subscribe` is given. Throws {@link MessageFault}. */
export function writeSubscribe(topic: string, subscribe?: Subscribe): Uint8Array {
  const name = writeTopic(topic);
  if (!subscribe) {
    return name;
  }
  const encoded = encode(SUBSCRIBE_FIELDS, subscribe);
  if (encoded.length > MAX_METADATA) {
    throw new MessageFault(`the Subscribe has ${encoded.length} bytes: ${MAX_METADATA} are allowed`);
  }
  const payload = new Uint8Array(2 + encoded.length + name.length);
  payload[0] = encoded.length >> 8;
  payload[1] = encoded.length & 255;
  payload.set(encoded, 2);
  payload.set(name, 2 + encoded.length);
  return payload;
}

/** Reads the answer to a SUBSCRIBE with `byPeer`: what the first service of the topic speaks. Throws {@link MessageFault}. */
export function readSubscribed(body: Uint8Array): Subscribed {
  try {
    return decode<Subscribed>(SUBSCRIBED_FIELDS, body);
  } catch {
    throw new MessageFault("the answer to the SUBSCRIBE cannot be decoded");
  }
}
