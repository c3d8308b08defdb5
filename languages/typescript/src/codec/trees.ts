/**
 * Bodies in JSON and MessagePack: the envelope as an object of one entry, by the tables of a generated module.
 *
 * @module
 */

import type { Memory } from "../message/memory.js";
import { fromTree, toTree } from "../message/json/functions.js";
import type { MemberJson, ProtocolJson } from "../message/json/tables.js";
import { isTreeObject, type Form, type Tree } from "../message/json/tree.js";
import type { Member } from "../protocol.js";
import { CodecId } from "../wire/messages.js";
import { fromUtf8, utf8 } from "../wire/proto.js";
import { undecodable, unwritable, type Codec } from "./codec.js";
import { packTree, unpackTree } from "./msgpack.js";
import { parseJson } from "./json-text.js";

/** JSON, by a protocol's tables: `json(CHAT_JSON)`. */
export function json(tables: ProtocolJson): Codec {
  return codec(
    CodecId.JSON,
    "json",
    tables,
    (tree) => utf8(JSON.stringify(tree)),
    (bytes, memory) => parseJson(fromUtf8(bytes), memory),
  );
}

/** MessagePack, by a protocol's tables: `messagePack(CHAT_JSON)`. */
export function messagePack(tables: ProtocolJson): Codec {
  return codec(CodecId.MESSAGE_PACK, "msgpack", tables, packTree, unpackTree);
}

function codec(
  id: number,
  name: Form,
  tables: ProtocolJson,
  write: (tree: Tree) => Uint8Array,
  read: (bytes: Uint8Array, memory: Memory) => Tree,
): Codec {
  return {
    id,
    name,
    bind(protocol) {
      const rows = new Map<Member, MemberJson>();
      for (const direction of ["clientToServer", "serverToClient"] as const) {
        for (const row of tables[direction]) {
          const member = protocol[direction].find(({ number }) => number === row.number);
          if (member) {
            rows.set(member, row);
          }
        }
      }
      const options = { any: tables.any?.() };
      const rowOf = (member: Member): MemberJson => {
        const row = rows.get(member);
        if (!row) {
          throw new Error("the tables of another protocol");
        }
        return row;
      };
      return {
        encode(member, message) {
          try {
            const row = rowOf(member);
            return write({ [row.name]: row.fields ? toTree(row.fields(), message ?? {}, name, options) : {} });
          } catch (error) {
            throw unwritable(member, error);
          }
        },
        decode(member, body, maxDecoded) {
          try {
            const row = rowOf(member);
            // The tree and the message are there at the same time.
            const memory = { used: 0, max: maxDecoded };
            const envelope = read(body, memory);
            if (!isTreeObject(envelope)) {
              throw new RangeError("the envelope is no object");
            }
            // The name of the schema is taken too.
            const key = [row.name, member.name].find((key) => Object.hasOwn(envelope, key));
            const tree = key === undefined ? undefined : envelope[key];
            if (tree === undefined) {
              throw new RangeError("another member than its frame names");
            }
            return row.fields ? fromTree(row.fields(), tree, name, options, memory) : undefined;
          } catch (error) {
            throw undecodable(member, error, maxDecoded);
          }
        },
      };
    },
  };
}
