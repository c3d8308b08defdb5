/** Settings of servers: no bundle of a client has them. */

import { CONNECTION, choice, count, duration, size, type Settings } from "./settings.js";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const HOUR = 3_600_000;

/** Settings of servers, as in a URL. */
export const SERVER: Settings = {
  ...CONNECTION,
  max_connections: count(1, 10_000_000, 16_384),
  max_handshakes: count(1, 10_000_000, 1024),
  session_expiry: duration(0, 24 * HOUR),
  max_detached_sessions: count(0, 10_000_000, 10_000),
  max_memory: size(MIB, 1024 * GIB, GIB),
  schema: choice("any", "compatible", "strict"),
};
