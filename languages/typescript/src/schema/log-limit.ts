/** A limit of lines that peers cause by making up fingerprints. */

/** How many lines are written in a minute, at most. */
const MAX_LINES = 16;
const MINUTE = 60_000;

/** How many fingerprints are remembered; more than versions of a protocol are in use at a time. */
const MAX_LOGGED = 64;

export class LogLimit {
  /** Fingerprints, with whether the schemas were compared: a later peer of the same one may be able to describe it. */
  readonly #logged = new Set<string>();
  readonly #lines: number[] = [];
  #unsaid = 0;

  /** Whether a line about this fingerprint is to be written now: how many were left out before it. */
  mayLog(fingerprint: bigint, isCompared: boolean, now: number): number | undefined {
    const line = `${fingerprint} ${isCompared}`;
    if (this.#logged.has(line)) return undefined;
    if (this.#lines.length >= MAX_LINES) {
      if (now < (this.#lines[0] as number) + MINUTE) {
        this.#unsaid += 1;
        return undefined;
      }
      this.#lines.shift();
    }
    this.#lines.push(now);
    if (this.#logged.size >= MAX_LOGGED) for (const oldest of [...this.#logged].slice(0, 1)) this.#logged.delete(oldest);
    this.#logged.add(line);
    const unsaid = this.#unsaid;
    this.#unsaid = 0;
    return unsaid;
  }
}
