/** Messages of protobuf-es. */

import { LargeSchema, SmallSchema } from "#es/notes_pb";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";

import { counts, large, measure, small } from "./messages";

measure({
  small: {
    message: create(SmallSchema, small),
    encode: (message) => toBinary(SmallSchema, message),
    decode: (bytes) => fromBinary(SmallSchema, bytes),
  },
  large: {
    message: create(LargeSchema, { ...large, counts: Object.fromEntries(counts) }),
    encode: (message) => toBinary(LargeSchema, message),
    decode: (bytes) => fromBinary(LargeSchema, bytes),
  },
});
