/** A schema as it is compared: the members of both directions, and their types (docs/schema.md, "Description"). */

/** The two directions, by the names that they have in descriptions. */
export const DIRECTIONS = ["client-to-server", "server-to-client"] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** What is said of a member of a direction. */
export interface MemberLine {
  readonly number: number;
  readonly name: string;
  /** `EVENT`, `COMMAND`, `STATE`, `LOG` or `METRIC`. */
  readonly kind: string;
  /** What comes back, in the words of the canonical form: `one-way`, or `call single stream 4`. */
  readonly exchange: string;
  /** Of a call: the name of the member that answers it. */
  readonly answer?: string;
  /** The full name of its message; `undefined` where it carries nothing. */
  readonly payload: string | undefined;
}

/** What is said of a field of a message. */
export interface FieldLine {
  readonly number: number;
  readonly name: string;
  readonly jsonName: string;
  /** `implicit`, `optional`, `repeated`, `map` or `oneof`. */
  readonly presence: string;
  /** Of a map: the type of its keys. */
  readonly key: string | undefined;
  /** Of a member of a oneof: the lowest number of that oneof's fields. */
  readonly oneof: number | undefined;
  /** Whether its values are messages, values of an enum, or neither. */
  readonly of: "message" | "enum" | "scalar";
  /** The full name of the type of its values, or that of a scalar in protobuf. */
  readonly type: string;
}

/** A value of an enum. */
export interface ValueLine {
  readonly number: number;
  readonly name: string;
}

/** A message, or an enum. */
export type TypeLines =
  | { readonly of: "message"; readonly fields: readonly FieldLine[] }
  | { readonly of: "enum"; readonly values: readonly ValueLine[] };

/** The part of a schema that two peers must agree on. */
export interface Description {
  readonly package: string;
  /** By ascending number. */
  readonly members: Readonly<Record<Direction, readonly MemberLine[]>>;
  readonly types: ReadonlyMap<string, TypeLines>;
}

/** What is known by its name, since all know what it is made of. */
export function isWellKnown(name: string): boolean {
  return name.startsWith("google.protobuf.");
}
