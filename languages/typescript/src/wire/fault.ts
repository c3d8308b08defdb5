/**
 * What a peer can do wrong.
 *
 * @module
 */

import type { Code } from "../errors.js";

/** A violation of the protocol after which a connection cannot go on. */
export class Fault extends Error {
  readonly code: Code;
  /** The id of the offending frame; 0 where there is none. */
  readonly id: bigint;
  /** The peer speaks something else: it is sent one ERROR and no CLOSE. */
  readonly foreign: boolean;

  constructor(text: string, options: { code?: Code; id?: bigint; foreign?: boolean } = {}) {
    super(text);
    this.code = options.code ?? "INVALID_ARGUMENT";
    this.id = options.id ?? 0n;
    this.foreign = options.foreign ?? false;
  }
}

/** A fault of one message alone: it is answered, and the connection goes on. */
export class MessageFault extends Error {
  readonly code: Code;

  constructor(text: string, code: Code = "INVALID_ARGUMENT") {
    super(text);
    this.code = code;
  }
}
