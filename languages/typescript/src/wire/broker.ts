/**
 * What a service and a broker tell each other about clients: the protocol `msip.broker.v1` (docs/protocol.md, "Subscribe").
 *
 * @module
 */

import type { MessageCodec } from "../protocol.js";
import { BOOL, FIXED64, MESSAGE, TEXT, TEXTS, VARINT, decode, encode, type Fields } from "./proto.js";

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
  ["topic", TEXT],
  ["peer", TEXT],
  ["presence", VARINT],
  ["principal", TEXT],
  ["user", TEXT],
  ["service", TEXT],
  ["roles", TEXTS],
  ["address", TEXT],
  ["clientName", TEXT],
  ["protocol", TEXT],
  ["fingerprint", FIXED64],
  ["looksAfter", BOOL],
];

const NOTICE: Fields = [
  ["", VARINT],
  ["presence", MESSAGE, PRESENCE],
  ["topic", MESSAGE, [["topic", TEXT], ["protocol", TEXT], ["fingerprint", FIXED64]]],
  ["subscriptionEnded", MESSAGE, [["topic", TEXT], ["code", TEXT], ["text", TEXT]]],
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
  ["peer", TEXT],
  ["items", VARINT],
  ["window", VARINT],
]);

/** `{ peer, code, text }`: the session of a client is to be ended. */
export const DISCONNECT_REQ = written("DisconnectReq", [
  ["peer", TEXT],
  ["code", TEXT],
  ["text", TEXT],
]);
