/**
 * What a service and a broker tell each other about clients: the protocol `msip.broker.v1` (docs/protocol.md, "Subscribe").
 *
 * @module
 */

import type { MessageCodec } from "../protocol.js";
import { BOOL, FIXED64, MESSAGE, REPEATED, TEXT, VARINT, decode, encode, type Fields } from "./proto.js";

/** The protocol's name. */
export const BROKER_PROTOCOL = "msip.broker.v1";

/** What has become of a client: values of {@link PresenceInd}. */
export const CONNECTED = 1;
export const GONE = 2;
export const LOOKED_AFTER = 3;

/** A client has come to a topic, or its session has gone. */
export interface PresenceInd {
  readonly topic?: string;
  /** As it is named in `T/$to/<peer>`. */
  readonly peer?: string;
  readonly presence?: number;
  readonly principal?: string;
  readonly user?: string;
  readonly service?: string;
  readonly roles?: readonly string[];
  readonly address?: string;
  readonly clientName?: string;
  readonly protocol?: string;
  readonly fingerprint?: bigint;
  /** Whether this instance tells its application of the client. */
  readonly looksAfter?: boolean;
}

/** What a broker says without being asked. */
export interface BrokerNotice {
  readonly presence?: PresenceInd;
  /** A first service has come to a topic, and speaks this. */
  readonly topic?: { readonly topic?: string; readonly protocol?: string; readonly fingerprint?: bigint };
  /** Why; no code is `PERMISSION_DENIED`. */
  readonly subscriptionEnded?: { readonly topic?: string; readonly code?: string; readonly text?: string };
}

const PRESENCE: Fields = [
  [1, "topic", TEXT],
  [2, "peer", TEXT],
  [3, "presence", VARINT],
  [4, "principal", TEXT],
  [5, "user", TEXT],
  [6, "service", TEXT],
  [7, "roles", REPEATED + TEXT],
  [8, "address", TEXT],
  [9, "clientName", TEXT],
  [10, "protocol", TEXT],
  [11, "fingerprint", FIXED64],
  [12, "looksAfter", BOOL],
];

const NOTICE: Fields = [
  [2, "presence", MESSAGE, PRESENCE],
  [3, "topic", MESSAGE, [[1, "topic", TEXT], [2, "protocol", TEXT], [3, "fingerprint", FIXED64]]],
  [4, "subscriptionEnded", MESSAGE, [[1, "topic", TEXT], [2, "code", TEXT], [3, "text", TEXT]]],
];

/** Reads what a broker says; what this version does not know is nothing. */
export function readNotice(body: Uint8Array): BrokerNotice {
  try {
    return decode<BrokerNotice>(NOTICE, body);
  } catch {
    return {};
  }
}

function written(name: string, fields: Fields): MessageCodec {
  return { name: `${BROKER_PROTOCOL}.${name}`, encode: (message: object) => encode(fields, message), decode: () => undefined };
}

/** `{ peer, items, window }`: so many messages of a client were handled, and so many may be forwarded from here on. */
export const PEER_CREDIT = written("PeerCredit", [
  [1, "peer", TEXT],
  [2, "items", VARINT],
  [3, "window", VARINT],
]);

/** `{ peer, code, text }`: the session of a client is to be ended. */
export const DISCONNECT_REQ = written("DisconnectReq", [
  [1, "peer", TEXT],
  [2, "code", TEXT],
  [3, "text", TEXT],
]);
