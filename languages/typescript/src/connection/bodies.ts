/** Bodies of messages: how a connection encodes and decodes them. */

import type { Body, BoundCodec, Compression } from "../codec/index.js";
import type { Member } from "../protocol.js";
import type { ConnectionSettings } from "../settings/defaults.js";

export type { Body };

/** Settings of a connection that are about bodies. */
export type BodyLimits = Pick<ConnectionSettings, "compressThreshold" | "maxBody" | "maxDecoded">;

/** What a connection has agreed on: a codec, and a compression or none. */
export class Bodies {
  readonly #codec: BoundCodec;
  readonly #compression: Compression | undefined;
  readonly #compressThreshold: number;
  readonly #maxBody: number;
  readonly #maxDecoded: number;

  constructor(codec: BoundCodec, compression: Compression | undefined, limits: BodyLimits) {
    this.#codec = codec;
    this.#compression = compression;
    this.#compressThreshold = limits.compressThreshold;
    this.#maxBody = limits.maxBody;
    this.#maxDecoded = limits.maxDecoded || Math.max(16 * limits.maxBody, 64 * 2 ** 20);
  }

  /** @throws Status where the message has a value that its field cannot hold. */
  encode(member: Member, message: unknown): Body {
    const bytes = this.#codec.encode(member, message);
    if (this.#compression === undefined || bytes.length < this.#compressThreshold || member.compress === false) {
      return { bytes, compressed: false };
    }
    return this.#compression.pack(bytes);
  }

  /** @throws Status where the body is not one of this member. */
  decode(member: Member, bytes: Uint8Array, compressed: boolean): unknown {
    return this.#codec.decode(member, this.unpack(bytes, compressed), this.#maxDecoded);
  }

  /** @throws Status where the body cannot be decompressed. */
  unpack(bytes: Uint8Array, compressed: boolean): Uint8Array {
    // The session accepts none where no compression was agreed on.
    return compressed && this.#compression ? this.#compression.unpack(bytes, this.#maxBody) : bytes;
  }
}
