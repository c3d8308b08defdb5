/**
 * MessagePack: trees as bytes, and bytes as trees, within limits.
 *
 * @module
 */

import { BIGINT, BYTES, ELEMENT, LIST, OBJECT, spend, textSize, type Memory } from "../message/memory.js";
import { MAX_TREE_DEPTH, PackedFloat, isTreeObject, setProperty, type Tree, type TreeObject } from "../message/json/tree.js";
import { fromUtf8, utf8 } from "../wire/proto.js";

/** The tree as MessagePack. */
export function packTree(tree: Tree): Uint8Array {
  const writer = new Packer();
  writer.write(tree);
  return writer.finish();
}

/**
 * The tree of MessagePack. Declared lengths reserve nothing.
 *
 * @throws RangeError or TypeError for what is none: bytes behind it, extension types, and nesting that is too deep. TooLargeError where it
 * takes more memory than it may.
 */
export function unpackTree(bytes: Uint8Array, memory: Memory = { used: 0, max: Infinity }): Tree {
  const reader = new Unpacker(bytes, memory);
  const tree = reader.read(0);
  if (reader.at < bytes.length) {
    throw new RangeError(`bytes behind the end, at byte ${reader.at}`);
  }
  return tree;
}

class Packer {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #len = 0;

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#len);
  }

  write(tree: Tree): void {
    if (tree === null) {
      this.#byte(0xc0);
    } else if (typeof tree === "boolean") {
      this.#byte(tree ? 0xc3 : 0xc2);
    } else if (typeof tree === "number" || typeof tree === "bigint") {
      this.#integer(tree);
    } else if (typeof tree === "string") {
      const text = utf8(tree);
      this.#head(text.length, 0xa0, 32, 0xd9);
      this.#put(text);
    } else if (tree instanceof Uint8Array) {
      this.#head(tree.length, 0, 0, 0xc4);
      this.#put(tree);
    } else if (tree instanceof PackedFloat) {
      const at = this.#reserve(1 + tree.bits / 8);
      this.#view.setUint8(at, tree.bits === 32 ? 0xca : 0xcb);
      if (tree.bits === 32) {
        this.#view.setFloat32(at + 1, tree.value);
      } else {
        this.#view.setFloat64(at + 1, tree.value);
      }
    } else if (Array.isArray(tree)) {
      this.#head(tree.length, 0x90, 16, 0xdb);
      for (const item of tree) {
        this.write(item);
      }
    } else {
      const names = Object.keys(tree);
      this.#head(names.length, 0x80, 16, 0xdd);
      for (const name of names) {
        this.write(name);
        this.write(tree[name]!);
      }
    }
  }

  #reserve(count: number): number {
    const at = this.#len;
    this.#len += count;
    if (this.#len > this.#bytes.length) {
      const grown = new Uint8Array(2 * this.#len);
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  #byte(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  #put(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** A length: within a byte below `fixed`, else behind the first of the types that hold it. Maps and arrays have none of 8 bits. */
  #head(len: number, fix: number, fixed: number, type8: number): void {
    if (len < fixed) {
      this.#byte(fix | len);
    } else if (len < 256 && type8 < 0xda) {
      this.#byte(type8);
      this.#byte(len);
    } else if (len < 65_536) {
      const at = this.#reserve(3);
      this.#bytes[at] = type8 + 1;
      this.#view.setUint16(at + 1, len);
    } else {
      const at = this.#reserve(5);
      this.#bytes[at] = type8 + 2;
      this.#view.setUint32(at + 1, len);
    }
  }

  #integer(value: number | bigint): void {
    const view = (type: number, size: number): [DataView, number] => {
      const at = this.#reserve(1 + size);
      this.#view.setUint8(at, type);
      return [this.#view, at + 1];
    };
    if (value >= -32 && value < 128) {
      this.#byte(Number(value) & 255);
    } else if (value >= 0) {
      if (value < 256) {
        const [to, at] = view(0xcc, 1);
        to.setUint8(at, Number(value));
      } else if (value < 65_536) {
        const [to, at] = view(0xcd, 2);
        to.setUint16(at, Number(value));
      } else if (value < 4_294_967_296) {
        const [to, at] = view(0xce, 4);
        to.setUint32(at, Number(value));
      } else {
        const [to, at] = view(0xcf, 8);
        to.setBigUint64(at, BigInt(value));
      }
    } else if (value >= -128) {
      const [to, at] = view(0xd0, 1);
      to.setInt8(at, Number(value));
    } else if (value >= -32_768) {
      const [to, at] = view(0xd1, 2);
      to.setInt16(at, Number(value));
    } else if (value >= -2_147_483_648) {
      const [to, at] = view(0xd2, 4);
      to.setInt32(at, Number(value));
    } else {
      const [to, at] = view(0xd3, 8);
      to.setBigInt64(at, BigInt(value));
    }
  }
}

class Unpacker {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #memory: Memory;

  constructor(bytes: Uint8Array, memory: Memory) {
    this.#bytes = bytes;
    this.#memory = memory;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  read(depth: number): Tree {
    const start = this.at;
    const type = this.#view.getUint8(this.#take(1));
    if (type < 0x80) return type;
    if (type < 0x90) return this.#map(type & 15, depth);
    if (type < 0xa0) return this.#array(type & 15, depth);
    if (type < 0xc0) return this.#text(type & 31);
    if (type >= 0xe0) return type - 256;
    const view = this.#view;
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#blob(this.#uint(1 << (type - 0xc4)));
      case 0xca:
        return view.getFloat32(this.#take(4));
      case 0xcb:
        return view.getFloat64(this.#take(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#uint(1 << (type - 0xcc));
      case 0xcf:
        return this.#integer(view.getBigUint64(this.#take(8)));
      case 0xd0:
        return view.getInt8(this.#take(1));
      case 0xd1:
        return view.getInt16(this.#take(2));
      case 0xd2:
        return view.getInt32(this.#take(4));
      case 0xd3:
        return this.#integer(view.getBigInt64(this.#take(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#uint(1 << (type - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#uint(2 << (type - 0xdc)), depth);
      case 0xde:
      case 0xdf:
        return this.#map(this.#uint(2 << (type - 0xde)), depth);
      default:
        throw new RangeError(`an extension or an unused type at byte ${start}`);
    }
  }

  #take(len: number): number {
    const start = this.at;
    if (start + len > this.#bytes.length) {
      throw new RangeError(`truncated at byte ${this.#bytes.length}`);
    }
    this.at += len;
    return start;
  }

  #uint(size: number): number {
    const at = this.#take(size);
    return size === 1 ? this.#view.getUint8(at) : size === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #part(len: number): Uint8Array {
    const start = this.#take(len);
    return this.#bytes.subarray(start, start + len);
  }

  #text(len: number): string {
    const part = this.#part(len);
    spend(this.#memory, textSize(len));
    return fromUtf8(part);
  }

  #blob(len: number): Uint8Array {
    const part = this.#part(len);
    spend(this.#memory, BYTES + len);
    return part.slice();
  }

  /** A number where it can be one. */
  #integer(value: bigint): number | bigint {
    spend(this.#memory, BIGINT);
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }

  #array(len: number, depth: number): Tree {
    this.#deeper(depth);
    const items: Tree[] = [];
    spend(this.#memory, LIST);
    for (let n = 0; n < len; n++) {
      spend(this.#memory, ELEMENT);
      items.push(this.read(depth + 1));
    }
    return items;
  }

  #map(len: number, depth: number): Tree {
    this.#deeper(depth);
    const object: TreeObject = {};
    spend(this.#memory, OBJECT);
    for (let n = 0; n < len; n++) {
      spend(this.#memory, ELEMENT);
      const start = this.at;
      const key = this.read(depth + 1);
      if (key === null || (typeof key === "object" && !isTreeObject(key)) || isTreeObject(key)) {
        throw new RangeError(`a key at byte ${start} is no string, integer or boolean`);
      }
      const name = String(key);
      if (Object.hasOwn(object, name)) {
        throw new RangeError(`the key ${JSON.stringify(name.slice(0, 40))} occurs twice`);
      }
      setProperty(object, name, this.read(depth + 1));
    }
    return object;
  }

  #deeper(depth: number): void {
    if (depth >= MAX_TREE_DEPTH) {
      throw new RangeError(`more than ${MAX_TREE_DEPTH} maps and arrays inside of each other, at byte ${this.at}`);
    }
  }
}
