/**
 * What can be wrong with a message.
 *
 * @module
 */

/** Bytes or JSON that are not a message of the type that was expected. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  /** Where in the message: `user.address.street`, or empty for the message itself. */
  readonly path: string;
  /** What is wrong there. */
  readonly reason: string;

  constructor(reason: string, path = "") {
    super(path === "" ? reason : `${path}: ${reason}`);
    this.reason = reason;
    this.path = path;
  }
}

/** A message that would take more memory than it may. */
export class TooLargeError extends Error {
  override readonly name = "TooLargeError";

  constructor() {
    super("too large");
  }
}

/** A message that cannot be written: a field has a value that its type does not hold. */
export class EncodeError extends Error {
  override readonly name = "EncodeError";
  /** The field, with its message: `chat.ConnectReq.user`. */
  readonly field: string;

  constructor(field: string, reason: string) {
    super(`${field}: ${reason}`);
    this.field = field;
  }
}

/** The same error, one step further out: its path begins with that field. What is no {@link DecodeError} stays as it is. */
export function within(error: unknown, field: string): unknown {
  if (!(error instanceof DecodeError)) return error;
  const rest = error.path === "" || error.path.startsWith("[") ? error.path : `.${error.path}`;
  return new DecodeError(error.reason, field + rest);
}

/** A value as an error shows it: short, and quoted where it is text. */
export function shown(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
