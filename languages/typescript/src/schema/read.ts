/** The text of a description is read, within limits: a peer may have sent it. */

import { DIRECTIONS, isWellKnown, type Description, type FieldLine, type MemberLine, type TypeLines, type ValueLine } from "./description.js";

/** The longest text, in bytes. */
export const MAX_DESCRIPTION = 256 * 1024;

/** How many members, fields and values it may have together. */
const MAX_ENTRIES = 16_384;
const MAX_TYPES = 4096;

/** The longest name of a member, field, value or type, in bytes. */
const MAX_NAME = 512;

const KINDS: readonly string[] = ["EVENT", "COMMAND", "STATE", "LOG", "METRIC"];
const SCALARS: readonly string[] = [
  "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64",
  "fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
];

/**
 * Reads a description.
 *
 * @throws RangeError where the text is none, which says where and what was expected.
 */
export function readDescription(bytes: Uint8Array): Description {
  if (bytes.length > MAX_DESCRIPTION) throw new RangeError(`${bytes.length} bytes, where ${MAX_DESCRIPTION} are allowed`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new RangeError("it is not UTF-8");
  }
  return new DescriptionReader(text).read();
}

/** A member whose answer is known by its number alone. */
type Unanswered = MemberLine & { readonly answerNumber: number | undefined };

class DescriptionReader {
  readonly #lines: string[];
  #at = 0;
  #entries = 0;

  constructor(text: string) {
    this.#lines = text.split("\n");
    if (this.#lines.at(-1) === "") this.#lines.pop();
  }

  read(): Description {
    if (this.#next() !== "msip-description 1") throw this.#expected("`msip-description 1`, the version that is understood");
    const name = after("package ", this.#next());
    if (!isTypeName(name)) throw this.#expected("`package`, and its name");
    if (this.#next() !== "client-to-server") throw this.#expected("`client-to-server`");
    const toServer = this.#members("server-to-client");
    const toClient = this.#members("types");
    const [clientToServer, serverToClient] = [this.#answered(toServer, toClient), this.#answered(toClient, toServer)];
    const types = this.#types();
    const isThere = (of: FieldLine["of"], type: string): boolean => of === "scalar" || isWellKnown(type) || types.get(type)?.of === of;
    const isComplete =
      [...clientToServer, ...serverToClient].every(({ payload }) => payload === undefined || isThere("message", payload)) &&
      [...types.values()].every((lines) => lines.of === "enum" || lines.fields.every(({ of, type }) => isThere(of, type)));
    if (!isComplete) throw this.#expected("each type that is mentioned to be there");
    return { package: name, members: { [DIRECTIONS[0]]: clientToServer, [DIRECTIONS[1]]: serverToClient }, types };
  }

  /** Members, up to the line `end`. */
  #members(end: string): Unanswered[] {
    const members: Unanswered[] = [];
    for (let line = this.#next(); line !== end; line = this.#next()) {
      if (line !== undefined) this.#countEntry();
      const member = line === undefined ? undefined : readMember(line);
      if (member === undefined || member.number <= (members.at(-1)?.number ?? 0)) {
        throw this.#expected("a member, with a higher number than the one before");
      }
      members.push(member);
    }
    return members;
  }

  /** Members with the names of their answers. */
  #answered(members: readonly Unanswered[], others: readonly Unanswered[]): MemberLine[] {
    const names = new Map(others.map(({ number, name }) => [number, name]));
    return members.map(({ answerNumber, ...member }) => {
      if (answerNumber === undefined) return member;
      const answer = names.get(answerNumber);
      if (answer === undefined) throw this.#expected("each call's answer to be a member");
      return { ...member, answer };
    });
  }

  #types(): Map<string, TypeLines> {
    const types = new Map<string, TypeLines>();
    for (let line = this.#next(); line !== undefined; line = this.#next()) {
      if (types.size >= MAX_TYPES) throw new RangeError(`more than ${MAX_TYPES} types`);
      const isMessage = line.startsWith("message ");
      const name = after(isMessage ? "message " : "enum ", line);
      if (!isTypeName(name) || isWellKnown(name) || types.has(name)) throw this.#expected("`message` or `enum`, and a new name");
      types.set(name, isMessage ? { of: "message", fields: this.#fields() } : { of: "enum", values: this.#values() });
    }
    return types;
  }

  #fields(): FieldLine[] {
    const fields: FieldLine[] = [];
    for (let line = this.#nextEntry(); line !== undefined; line = this.#nextEntry()) {
      const field = readField(line);
      if (field === undefined || field.number <= (fields.at(-1)?.number ?? -1)) {
        throw this.#expected("a field, with a higher number than the one before");
      }
      fields.push(field);
    }
    // What a oneof is called is the lowest number that is there.
    const lowest = new Map<number, number>();
    for (const { oneof, number } of fields) if (oneof !== undefined && !lowest.has(oneof)) lowest.set(oneof, number);
    return fields.map((field) => (field.oneof === undefined ? field : { ...field, oneof: lowest.get(field.oneof) }));
  }

  #values(): ValueLine[] {
    const values: ValueLine[] = [];
    for (let line = this.#nextEntry(); line !== undefined; line = this.#nextEntry()) {
      const [digits = "", name = ""] = cut(line, 2);
      const number = /^-?\d{1,10}$/.test(digits) ? Number(digits) : NaN;
      if (!isWord(name) || (number | 0) !== number) throw this.#expected("the number and the name of a value");
      values.push({ number, name });
    }
    return values;
  }

  #next(): string | undefined {
    return this.#lines[this.#at++];
  }

  /** The next line, if it begins with a number. */
  #nextEntry(): string | undefined {
    if (!/^[-\d]/.test(this.#lines[this.#at] ?? "")) return undefined;
    this.#countEntry();
    return this.#next();
  }

  #countEntry(): void {
    this.#entries += 1;
    if (this.#entries > MAX_ENTRIES) throw new RangeError(`more than ${MAX_ENTRIES} members, fields and values`);
  }

  #expected(what: string): RangeError {
    return new RangeError(`line ${this.#at}: expected ${what}`);
  }
}

/** `1 connect_req COMMAND call single single 1 .chat.ConnectReq`. */
function readMember(line: string): Unanswered | undefined {
  const [digits = "", name = "", kind = "", ...rest] = line.split(" ");
  const number = readNumber(digits, 65_535);
  const isCall = rest[0] === "call";
  const exchange = rest.splice(0, isCall ? 4 : 1);
  const answerNumber = isCall ? readNumber(exchange[3], 65_535) : undefined;
  const isExchange = isCall
    ? exchange.slice(1, 3).every((shape) => shape === "single" || shape === "stream") && answerNumber !== undefined
    : ["one-way", "acknowledged", "answer"].includes(exchange[0] ?? "");
  const [mention = "", ...more] = rest;
  const payload = mention === "empty" ? undefined : after(".", mention);
  if (!number || !isWord(name) || !KINDS.includes(kind) || !isExchange || more.length > 0) return undefined;
  if (payload !== undefined && !isTypeName(payload)) return undefined;
  return { number, name, kind, exchange: exchange.join(" "), answerNumber, payload };
}

/** `1 user implicit string`, and its name in JSON where that is another than usual. */
function readField(line: string): FieldLine | undefined {
  const [digits, name = "", presenceText = "", mention = "", ownJsonName] = cut(line, 5);
  const number = readNumber(digits, 0xffff_ffff);
  if (number === undefined || !isWord(name)) return undefined;
  const [presence = "", argument] = cut(presenceText, 2, ":");
  const key = presence === "map" ? argument : undefined;
  const oneof = presence === "oneof" ? readNumber(argument, number) : undefined;
  if (presence === "map" ? !SCALARS.includes(key ?? "") : presence === "oneof" ? oneof === undefined : !["implicit", "optional", "repeated"].includes(presenceText)) {
    return undefined;
  }
  const of = mention.startsWith(".") ? "message" : mention.startsWith("enum:") ? "enum" : "scalar";
  const type = of === "scalar" ? mention : after(of === "message" ? "." : "enum:.", mention);
  if (of === "scalar" ? !SCALARS.includes(type) : !isTypeName(type)) return undefined;
  // eslint-disable-next-line no-control-regex -- these are what it must not have.
  if (ownJsonName !== undefined && (ownJsonName === "" || new TextEncoder().encode(ownJsonName).length > MAX_NAME || /[\0-\x1f\x7f-\x9f]/.test(ownJsonName))) {
    return undefined;
  }
  return {
    number,
    name,
    jsonName: ownJsonName ?? usualJsonName(name),
    // Whether a message is there is visible in any case.
    presence: of === "message" && presence === "implicit" ? "optional" : presence,
    key,
    oneof,
    of,
    type,
  };
}

/** `user_name` is `userName` in JSON, as protobuf says. */
function usualJsonName(name: string): string {
  return name.replace(/_+(.?)/g, (_, letter: string) => letter.toUpperCase());
}

/** A text in so many parts at most, of which the last has all that is left. */
function cut(text: string, count: number, by = " "): string[] {
  const parts = text.split(by);
  return parts.length <= count ? parts : [...parts.slice(0, count - 1), parts.slice(count - 1).join(by)];
}

/** What follows this beginning; empty where it begins otherwise. */
function after(beginning: string, text: string | undefined): string {
  return text?.startsWith(beginning) ? text.slice(beginning.length) : "";
}

function readNumber(digits: string | undefined, max: number): number | undefined {
  const number = /^\d{1,10}$/.test(digits ?? "") ? Number(digits) : NaN;
  return number <= max ? number : undefined;
}

/** Identifiers, with dots between them. */
function isTypeName(name: string): boolean {
  return name.length <= MAX_NAME && name.split(".").every(isWord);
}

function isWord(name: string): boolean {
  return name.length <= MAX_NAME && /^\w+$/.test(name);
}
