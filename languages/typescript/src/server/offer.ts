/** A message that is sent where that is possible at once, as those of broadcasts are. */

import { now, type Driver } from "../connection/driver.js";
import type { KeyedBody } from "../connection/keyed-body.js";
import type { Member } from "../protocol.js";

/** Sends a message, where that is possible at once: whether it was taken. */
export function offer(driver: Driver, member: Member, body: KeyedBody, topic = ""): boolean {
  const { session } = driver;
  if (session.phase !== "open" || !session.canSend(member, body.bytes.length)) return false;
  try {
    session.send(member, body.bytes, now(), { compressed: body.compressed, key: body.key, topic, metadata: body.metadata });
  } catch {
    // It is closing, say.
    return false;
  }
  driver.scheduleFlush();
  return true;
}
