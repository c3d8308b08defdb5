/**
 * What a peer can do wrong.
 *
 * @module
 */

import { Status, type Code } from "../errors.js";

/** A violation of the protocol after which a connection cannot go on. */
export class Fault extends Error {
  constructor(
    text: string,
    /** The id of the offending frame; 0 where there is none. */
    readonly id = 0n,
    readonly code: Code = "INVALID_ARGUMENT",
    /** The peer speaks something else: it is sent one ERROR and no CLOSE. */
    readonly foreign = false,
  ) {
    super(text);
  }
}

/** A fault of one message alone: it is answered, or told to its sender, and the connection goes on. */
export class MessageFault extends Status {
  constructor(text: string, code: Code = "INVALID_ARGUMENT") {
    super(code, text);
  }
}
