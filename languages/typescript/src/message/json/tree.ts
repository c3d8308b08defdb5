/**
 * Trees: what JSON and MessagePack have in common.
 *
 * @module
 */

/** Which of the two a tree is for: in MessagePack integers are integers of any length, and bytes are bytes. */
export type Form = "json" | "msgpack";

/**
 * A tree. In JSON it has null, booleans, numbers, strings, arrays and objects alone; a reader may give large integers as bigint. In
 * MessagePack a number is an integer, and {@link PackedFloat} a float, when it is written; a reader may give either as a number.
 */
export type Tree = null | boolean | number | bigint | string | Uint8Array | PackedFloat | Tree[] | TreeObject;

/** An object of a tree, or a map with strings as keys. */
export interface TreeObject {
  [key: string]: Tree;
}

/** A float in MessagePack: of 32 or 64 bits, whatever its value. */
export class PackedFloat {
  constructor(
    readonly value: number,
    readonly bits: 32 | 64,
  ) {}
}

/** How many maps and arrays may be inside of each other. */
export const MAX_TREE_DEPTH = 100;

/** Sets a property whatever its name is: `__proto__` would be the prototype otherwise. */
export function setProperty<T>(object: Record<string, T>, name: string, value: T): void {
  if (name === "__proto__") {
    Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  } else {
    object[name] = value;
  }
}

/** Whether a tree is an object. */
export function isTreeObject(tree: Tree | undefined): tree is TreeObject {
  return (
    typeof tree === "object" &&
    tree !== null &&
    !Array.isArray(tree) &&
    !(tree instanceof Uint8Array) &&
    !(tree instanceof PackedFloat)
  );
}

/** What a tree is, for errors. */
export function found(tree: unknown): string {
  if (tree === undefined) return "nothing";
  if (Array.isArray(tree)) return "an array";
  if (tree instanceof Uint8Array) return "bytes";
  if (tree instanceof PackedFloat) return String(tree.value);
  if (typeof tree === "string") return JSON.stringify(tree.length > 40 ? `${tree.slice(0, 40)}…` : tree);
  return typeof tree === "object" && tree !== null ? "an object" : String(tree);
}
