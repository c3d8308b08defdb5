/**
 * What can go wrong: every error has a code, for programs, and a text, for people.
 *
 * @module
 */

/** The sixteen canonical RPC codes (docs/protocol.md, "Errors and close"). */
export type Code =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

/** What an error says in addition to its text: a message of any type, in protobuf. */
export interface Detail {
  /** The full name of its type, such as `fleet.v1.RetryInfo`. */
  readonly typeName: string;
  readonly value: Uint8Array;
}

/** What an error may have besides its code and text. */
export interface StatusOptions extends ErrorOptions {
  readonly headers?: ReadonlyMap<string, string>;
  readonly details?: readonly Detail[];
}

/**
 * The outcome of a call or a delivery that failed. A handler throws one to answer with it; any other error is answered
 * as `INTERNAL`.
 */
export class Status extends Error {
  override readonly name: string = "Status";
  /** What went wrong, for programs. */
  readonly code: Code;
  /** The headers of the answer. */
  readonly headers: ReadonlyMap<string, string>;
  readonly details: readonly Detail[];

  constructor(code: Code, message: string, options?: StatusOptions) {
    super(message, options);
    this.code = code;
    this.headers = options?.headers ?? new Map<string, string>();
    this.details = options?.details ?? [];
  }
}

/** No connection could be made, or the server has refused the session. */
export class ConnectError extends Status {
  override readonly name = "ConnectError";
}

/** The connection, or the session, has ended. */
export class ClosedError extends Status {
  override readonly name = "ClosedError";
}
