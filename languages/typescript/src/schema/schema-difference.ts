/** What a program learns of a peer's schema. */

import { CodecId } from "../wire/messages.js";
import { summary, type Comparison } from "./comparison.js";
import { NAMES, NOTHING, PROTOBUF, breaksInWords, type Breaks, type Difference } from "./difference.js";

/** What differs between the schema of this program and that of a peer. As a text it is one line with the first differences. */
export class SchemaDifference {
  readonly ourFingerprint: bigint;
  readonly theirFingerprint: bigint;
  readonly #codec: number;
  readonly #comparison: Comparison | string;

  /** @param comparison Or why there is none. @internal */
  constructor(ours: bigint, theirs: bigint, codec: number, comparison: Comparison | string) {
    this.ourFingerprint = ours;
    this.theirFingerprint = theirs;
    this.#codec = codec;
    this.#comparison = comparison;
  }

  /** Why the two schemas were not compared: only their fingerprints are known to differ then. `undefined` where they were. */
  get notCompared(): string | undefined {
    return typeof this.#comparison === "string" ? this.#comparison : undefined;
  }

  /** The differences, those that break something first: at most 64. Empty where the two were not compared. */
  get differences(): readonly Difference[] {
    return this.#compared?.differences ?? [];
  }

  /** How many there are. */
  get count(): number {
    return this.#compared?.count ?? 0;
  }

  /**
   * Whether a difference keeps the two from understanding each other, in the codec of this connection: JSON and MessagePack carry names, and
   * protobuf numbers. False where the two were not compared.
   */
  get isWireBreaking(): boolean {
    const broken = this.#codec === CodecId.PROTOBUF ? PROTOBUF : NAMES;
    return (this.#breaks & broken) !== 0 || (this.#compared?.isCutShort ?? false);
  }

  /** Whether a line about it is a warning: something breaks in some codec, or nobody knows. @internal */
  get isWorrying(): boolean {
    return this.#compared === undefined || this.#breaks !== NOTHING || this.#compared.isCutShort;
  }

  /** What it breaks, in words. @internal */
  get verdict(): string {
    return this.notCompared ?? breaksInWords(this.#breaks);
  }

  toString(): string {
    return this.notCompared ?? summary(this.#comparison as Comparison);
  }

  get #compared(): Comparison | undefined {
    return typeof this.#comparison === "string" ? undefined : this.#comparison;
  }

  get #breaks(): Breaks {
    return this.#compared?.breaks ?? NOTHING;
  }
}
