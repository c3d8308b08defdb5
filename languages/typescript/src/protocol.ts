/**
 * What a generated module says of its schema: the members of the two directions, and how each is sent.
 *
 * @module
 */

/** How a message is treated under pressure and by a broker (docs/protocol.md, "Kinds"). */
export const Kind = { EVENT: 1, COMMAND: 2, STATE: 3, LOG: 4, METRIC: 5 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/**
 * What the sender of a message waits for: nothing (`ONE_WAY`), its acknowledgment (`ACKNOWLEDGED`), or an answer (`CALL`).
 * A member of the shape `ANSWER` answers calls of the other direction.
 */
export const Shape = { ONE_WAY: 1, ACKNOWLEDGED: 2, CALL: 3, ANSWER: 4 } as const;
export type Shape = (typeof Shape)[keyof typeof Shape];

/** How a message is encoded in protobuf, and its name. What `msip/message` calls a `MessageType` is one. */
export interface MessageCodec {
  readonly name: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each type has its own message: the typed client pairs them.
  encode(message: any): Uint8Array;
  /** @param max What the message may take in memory, in bytes; without limit unless it is given. */
  decode(bytes: Uint8Array, max?: number): unknown;
}

/** One member of a direction's oneof. What is left out of a literal has the value that its comment names. */
export interface Member {
  /** As in the schema: `connect_req`. */
  readonly name: string;
  /** The number of the member of the oneof: the variant on the wire. */
  readonly number: number;
  /** `undefined` where the member carries nothing. */
  readonly message: MessageCodec | undefined;
  readonly kind: Kind;
  readonly shape: Shape;
  /** The name of the handler's method: `onConnectReq`. Nothing for answers. */
  readonly handler?: string;
  /** Of a call: the number of the member of the other direction that answers it. */
  readonly answer?: number;
  /** Of a call: whether its request is a stream. Default false. */
  readonly requestStream?: boolean;
  /** Of a call: whether its answer is a stream. Default false. */
  readonly responseStream?: boolean;
  /** How long its sender waits, in milliseconds, after the default has been applied. Nothing: without a limit. */
  readonly timeoutMs?: number;
  /** Whether it overtakes what is not urgent. Default false. */
  readonly urgent?: boolean;
  /** Whether its body may be compressed. Default true. */
  readonly compress?: boolean;
  /** Whether the call may be repeated when its fate is unknown. Default false. */
  readonly idempotent?: boolean;
  /**
   * The key of a message, which is given in protobuf, as text: empty where the field has its default (docs/schema.md, "Keys"). Nothing where
   * the schema names no key field.
   */
  readonly key?: (encoded: Uint8Array) => string;
}

/** A protocol: what the two sides say to each other. */
export interface Protocol {
  /** The package of the schema. */
  readonly name: string;
  /** The first 8 bytes of the hash over the schema (docs/protocol.md, "Schema fingerprint"). */
  readonly fingerprint: bigint;
  /** The schema as a text, by which a peer that has another version of it compares them (docs/schema.md, "Description"). */
  readonly description?: string | undefined;
  readonly clientToServer: readonly Member[];
  readonly serverToClient: readonly Member[];
}

/** In the place of what a side does not need, in code that was generated for one side: no bundle has more. */
export function otherSide(): never {
  throw new Error("this code was generated for one side alone");
}
