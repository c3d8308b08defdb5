/**
 * Reads JSON: as `JSON.parse` does, but for integers that a number cannot hold, which are bigints, and names that occur twice, which
 * are errors.
 *
 * @module
 */

import { BIGINT, ELEMENT, LIST, OBJECT, spend, textSize, type Memory } from "../message/memory.js";
import { MAX_TREE_DEPTH, setProperty, type Tree, type TreeObject } from "../message/json/tree.js";

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
// eslint-disable-next-line no-control-regex -- these may not be in a string.
const TEXT = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const WORDS: readonly (readonly [string, Tree])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

/** The tree of a text. Throws a RangeError for what is none, and a TooLargeError for one that takes more memory than it may. */
export function parseJson(text: string, memory: Memory = { used: 0, max: Infinity }): Tree {
  const reader = new Reader(text, memory);
  const tree = reader.read(0);
  reader.end();
  return tree;
}

class Reader {
  #at = 0;
  readonly #text: string;
  readonly #memory: Memory;

  constructor(text: string, memory: Memory) {
    this.#text = text;
    this.#memory = memory;
  }

  end(): void {
    this.#skip();
    if (this.#at < this.#text.length) {
      throw this.#fault("the end");
    }
  }

  read(depth: number): Tree {
    this.#skip();
    const next = this.#text[this.#at];
    if (next === '"') {
      return this.#string();
    }
    if (next === "{" || next === "[") {
      if (depth >= MAX_TREE_DEPTH) {
        throw new RangeError(`more than ${MAX_TREE_DEPTH} objects and arrays inside of each other`);
      }
      this.#at++;
      return next === "{" ? this.#object(depth) : this.#array(depth);
    }
    for (const [word, value] of WORDS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    const found = this.#match(NUMBER);
    if (!found) {
      throw this.#fault("a value");
    }
    const value = Number(found[0]);
    if (found[1] !== undefined || found[2] !== undefined || Number.isSafeInteger(value)) return value;
    spend(this.#memory, BIGINT + found[0].length);
    return BigInt(found[0]);
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    this.#at += found?.[0].length ?? 0;
    return found;
  }

  #skip(): void {
    this.#match(SPACE);
  }

  #string(): string {
    // The usual one has nothing that is escaped.
    const end = this.#text.indexOf('"', this.#at + 1);
    const found = this.#match(TEXT);
    if (!found) {
      throw this.#fault("a string");
    }
    const raw = found[0];
    spend(this.#memory, textSize(raw.length));
    return end + 1 === this.#at && !raw.includes("\\") ? raw.slice(1, -1) : (JSON.parse(raw) as string);
  }

  /** Whether another one follows; false at the end. */
  #next(end: string, isFirst: boolean): boolean {
    this.#skip();
    const next = this.#text[this.#at];
    if (next === end) {
      this.#at++;
      return false;
    }
    if (!isFirst) {
      if (next !== ",") {
        throw this.#fault(`, or ${end}`);
      }
      this.#at++;
      this.#skip();
    }
    return true;
  }

  #array(depth: number): Tree {
    const items: Tree[] = [];
    spend(this.#memory, LIST);
    while (this.#next("]", items.length === 0)) {
      spend(this.#memory, ELEMENT);
      items.push(this.read(depth + 1));
    }
    return items;
  }

  #object(depth: number): Tree {
    const object: TreeObject = {};
    spend(this.#memory, OBJECT);
    for (let isFirst = true; this.#next("}", isFirst); isFirst = false) {
      spend(this.#memory, ELEMENT);
      if (this.#text[this.#at] !== '"') {
        throw this.#fault("a name");
      }
      const name = this.#string();
      if (Object.hasOwn(object, name)) {
        throw new RangeError(`the name ${JSON.stringify(name.slice(0, 40))} occurs twice`);
      }
      this.#skip();
      if (this.#text[this.#at] !== ":") {
        throw this.#fault(":");
      }
      this.#at++;
      setProperty(object, name, this.read(depth + 1));
    }
    return object;
  }

  #fault(expected: string): RangeError {
    const found = this.#text[this.#at];
    return new RangeError(`invalid JSON at character ${this.#at}: expected ${expected}, found ${found === undefined ? "the end" : JSON.stringify(found)}`);
  }
}
