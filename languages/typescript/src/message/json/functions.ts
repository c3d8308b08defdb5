/**
 * What generated functions and codecs call.
 *
 * @module
 */

import type { Memory } from "../memory.js";
import type { Init, JsonValue } from "../types.js";
import { readMessage } from "./read.js";
import type { AnyType, JsonContext, MessageFields } from "./tables.js";
import type { Form, Tree } from "./tree.js";
import { writeMessage } from "./write.js";

/** What there is to know beside the message. */
export interface JsonOptions {
  /** What a `google.protobuf.Any` may hold besides protobuf's own types: that of the protocol's JSON tables, such as `CHAT_JSON.any?.()`. */
  readonly any?: readonly AnyType[] | undefined;
}

/** The message as JSON. */
export function toJson<T>(fields: MessageFields<T>, message: Init<T>, options?: JsonOptions): JsonValue {
  return toTree(fields as MessageFields, message, "json", options) as JsonValue;
}

/** The message that JSON holds. */
export function fromJson<T>(fields: MessageFields<T>, json: JsonValue, options?: JsonOptions): T {
  return fromTree(fields as MessageFields, json, "json", options) as T;
}

/**
 * The tree of a message in a form.
 *
 * @throws EncodeError for a value that its field cannot hold, or that has no form in JSON.
 */
export function toTree(fields: MessageFields, message: unknown, form: Form, options?: JsonOptions): Tree {
  return writeMessage(fields, message, contextOf(form, options), 0);
}

/**
 * The message of a tree in a form.
 *
 * @param memory What it may take, without limit unless it is given.
 * @throws DecodeError for a tree that is no such message, and TooLargeError for one that would take more memory than it may.
 */
export function fromTree(fields: MessageFields, tree: Tree, form: Form, options?: JsonOptions, memory?: Memory): unknown {
  return readMessage(fields, tree, contextOf(form, options, memory), 0);
}

const UNLIMITED: Memory = { used: 0, max: Infinity };
const JSON_ALONE: JsonContext = { form: "json", any: [], anyDepth: 0, memory: UNLIMITED };

function contextOf(form: Form, options: JsonOptions | undefined, memory = UNLIMITED): JsonContext {
  return options === undefined && form === "json" && memory === UNLIMITED
    ? JSON_ALONE
    : { form, any: options?.any ?? [], anyDepth: 0, memory };
}
