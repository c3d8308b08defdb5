/** Messages of MSIP. */

import { createLarge, createSmall, decodeLarge, decodeSmall, encodeLarge, encodeSmall } from "#ours/notes";

import { counts, large, measure, small } from "./messages";

measure({
  small: { message: createSmall(small), encode: encodeSmall, decode: decodeSmall },
  large: { message: createLarge({ ...large, counts: new Map(counts) }), encode: encodeLarge, decode: decodeLarge },
});
