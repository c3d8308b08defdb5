/** A message that is sent where that is possible at once, as those of broadcasts are. */

import type { Body } from "../connection/bodies.js";
import { now, type Driver } from "../connection/driver.js";
import type { Member } from "../protocol.js";

/** Sends a message, where that is possible at once: whether it was taken. */
export function offer(driver: Driver, member: Member, body: Body, topic = ""): boolean {
  const { session } = driver;
  if (session.phase !== "open" || !session.canSend(member, body.bytes.length)) return false;
  try {
    session.send(member, body.bytes, now(), { compressed: body.compressed, topic });
  } catch {
    // It is closing, say.
    return false;
  }
  driver.scheduleFlush();
  return true;
}
