/** Bodies of messages: how a connection encodes and decodes them. */

import type { Body, BoundCodec, Compression } from "../codec/index.js";
import { Status } from "../errors.js";
import type { Member } from "../protocol.js";

export type { Body };

/** What a connection has agreed on: a codec, and a compression or none. */
export class Bodies {
  readonly #codec: BoundCodec;
  readonly #compression: Compression | undefined;
  readonly #compressThreshold: number;
  readonly #maxBody: number;

  /** @param compression One whose results are no promises. */
  constructor(codec: BoundCodec, compression: Compression | undefined, limits: { compressThreshold: number; maxBody: number }) {
    this.#codec = codec;
    this.#compression = compression;
    this.#compressThreshold = limits.compressThreshold;
    this.#maxBody = limits.maxBody;
  }

  /** @throws Status where the message has a value that its field cannot hold. */
  encode(member: Member, message: unknown): Body {
    const bytes = this.#codec.encode(member, message);
    if (this.#compression === undefined || bytes.length < this.#compressThreshold || member.compress === false) {
      return { bytes, compressed: false };
    }
    return this.#compression.pack(bytes) as Body;
  }

  /** @throws Status where the body is not one of this member. */
  decode(member: Member, bytes: Uint8Array, compressed: boolean): unknown {
    if (!compressed) return this.#codec.decode(member, bytes);
    if (this.#compression === undefined) throw new Status("INVALID_ARGUMENT", "a compressed body, where no compression was agreed on");
    return this.#codec.decode(member, this.#compression.unpack(bytes, this.#maxBody) as Uint8Array);
  }
}
