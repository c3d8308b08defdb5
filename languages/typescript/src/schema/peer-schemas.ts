/** The schemas of the peers of a client, or of a server: each is asked for once, and compared with ours. */

import { now } from "../connection/driver.js";
import { compare } from "./compare.js";
import type { Comparison } from "./comparison.js";
import type { Description } from "./description.js";
import type { Sides } from "./difference.js";
import { fingerprintOf, type Hash } from "./fingerprint.js";
import { LogLimit } from "./log-limit.js";
import { Pace } from "./pace.js";
import { readDescription } from "./read.js";
import { SchemaDifference } from "./schema-difference.js";

/** How many comparisons are kept. Of more the oldest is forgotten, and made again when it is needed. */
const MAX_KNOWN = 64;

/** How long a peer waits for another one to tell the same schema before it is asked itself. */
const OTHERS_ASK_MS = 1000;

/** Is told what differs, once for each version of the schema, and at most 16 times a minute. */
export type OnDifference = (difference: SchemaDifference) => void;

/** A peer whose schema has another fingerprint. */
export interface OtherPeer {
  readonly fingerprint: bigint;
  /** The codec that is spoken with it. */
  readonly codec: number;
  /** Asks it for the description of its schema; nothing where it has none. */
  readonly ask: (() => Promise<Uint8Array>) | undefined;
}

export class PeerSchemas {
  readonly #text: string;
  readonly #fingerprint: bigint;
  readonly #peer: "client" | "server";
  readonly #sides: Sides;
  readonly #onDifference: OnDifference | undefined;
  readonly #hash: Hash | undefined;
  #ours: Description | undefined;
  /** By fingerprint; the newest at the end. */
  readonly #known = new Map<bigint, Comparison>();
  /** The fingerprints about which a peer is being asked. */
  readonly #asking = new Map<bigint, Promise<unknown>>();
  /** One comparison is made at a time, since it may take a processor for some time. */
  #comparing: Promise<unknown> = Promise.resolve();
  readonly #log = new LogLimit();

  /**
   * @param text The description of our schema.
   * @param fingerprint Its fingerprint.
   * @param peer What the others are.
   */
  constructor(text: string, fingerprint: bigint, peer: "client" | "server", onDifference?: OnDifference, hash?: Hash) {
    this.#text = text;
    this.#fingerprint = fingerprint;
    this.#peer = peer;
    const us = peer === "client" ? "server" : "client";
    this.#sides = { ours: `on the ${us}`, theirs: `on the ${peer}` };
    this.#onDifference = onDifference;
    this.#hash = hash;
  }

  /** What differs between our schema and that of a peer. Never fails. */
  async check(peer: OtherPeer): Promise<SchemaDifference> {
    const comparison = await this.#comparison(peer).catch((error: unknown) => (error as Error).message);
    const difference = new SchemaDifference(this.#fingerprint, peer.fingerprint, peer.codec, comparison);
    const unsaid = this.#log.mayLog(peer.fingerprint, difference.notCompared === undefined, now());
    if (unsaid !== undefined) this.#report(difference, unsaid);
    return difference;
  }

  #report(difference: SchemaDifference, unsaid: number): void {
    try {
      if (this.#onDifference === undefined) this.#write(difference, unsaid);
      else this.#onDifference(difference);
    } catch (error) {
      // It changes nothing of what was compared.
      console.error("the report of what differs in schemas failed:", error);
    }
  }

  async #comparison({ fingerprint, ask }: OtherPeer): Promise<Comparison> {
    if (ask === undefined) throw new Error(`the ${this.#peer} cannot describe its schema`);
    const others = this.#asking.get(fingerprint);
    if (others !== undefined) await sooner(others, OTHERS_ASK_MS);
    const known = this.#known.get(fingerprint);
    if (known !== undefined) return known;
    const comparison = this.#ask(fingerprint, ask);
    this.#asking.set(fingerprint, comparison);
    try {
      return await comparison;
    } finally {
      if (this.#asking.get(fingerprint) === comparison) this.#asking.delete(fingerprint);
    }
  }

  async #ask(fingerprint: bigint, ask: () => Promise<Uint8Array>): Promise<Comparison> {
    const text = await ask().catch((error: unknown) => {
      throw new Error(`the ${this.#peer} does not describe its schema: ${printable((error as Error).message)}`);
    });
    const comparing = this.#comparing.then(() => this.#compare(text, fingerprint));
    this.#comparing = comparing.catch(() => {});
    const comparison = await comparing;
    if (this.#known.size >= MAX_KNOWN) for (const oldest of [...this.#known.keys()].slice(0, 1)) this.#known.delete(oldest);
    this.#known.set(fingerprint, comparison);
    return comparison;
  }

  async #compare(text: Uint8Array, fingerprint: bigint): Promise<Comparison> {
    const ours = (this.#ours ??= readDescription(new TextEncoder().encode(this.#text)));
    let theirs: Description;
    try {
      theirs = readDescription(text);
    } catch (error) {
      throw new Error(`the ${this.#peer}'s description cannot be read: ${(error as Error).message}`);
    }
    const pace = new Pace();
    if ((await fingerprintOf(theirs, pace, this.#hash)) !== fingerprint) {
      throw new Error(`the ${this.#peer}'s description is of another schema than its fingerprint`);
    }
    return compare(ours, theirs, this.#sides, pace);
  }

  #write(difference: SchemaDifference, unsaid: number): void {
    const [ours, theirs] = [difference.ourFingerprint, difference.theirFingerprint].map((number) => number.toString(16).padStart(16, "0"));
    const differences = difference.notCompared === undefined ? ` differences=${difference}` : "";
    const text = `the ${this.#peer} has another version of the schema: ${difference.verdict} ours=${ours} theirs=${theirs} unsaid=${unsaid}${differences}`;
    if (difference.isWorrying) console.warn(text);
    else console.info(text);
  }
}

/** Waits for something, however it ends, but not for longer than this. */
async function sooner(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.then(() => {}, () => {}), late]);
  clearTimeout(timer);
}

/** A text of a peer in one line, without what a terminal would do. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- these are what is replaced.
  return text.replace(/[\0-\x1f\x7f-\x9f]/g, (c) => `\\u{${c.charCodeAt(0).toString(16)}}`);
}
