/** Messages of ts-proto. */

import { Large, Small } from "#ts_proto/notes";

import { counts, large, measure, small } from "./messages";

measure({
  small: {
    message: Small.fromPartial(small),
    encode: (message) => Small.encode(message).finish(),
    decode: (bytes) => Small.decode(bytes),
  },
  large: {
    message: Large.fromPartial({ ...large, counts: Object.fromEntries(counts) }),
    encode: (message) => Large.encode(message).finish(),
    decode: (bytes) => Large.decode(bytes),
  },
});
