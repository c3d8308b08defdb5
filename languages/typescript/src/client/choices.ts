/** Which codec and which compression a client offers: what the URL names has to be given in code, so that a bundle has no other. */

import { protobuf, type Codec, type Compression } from "../codec/index.js";
import { SettingError } from "../settings/values.js";

/**
 * The codec that is offered.
 *
 * @throws {@link SettingError} where the URL names one that code does not give.
 */
export function chosenCodec(url: ReadonlyMap<string, string>, given: Codec | undefined): Codec {
  const name = url.get("codec") ?? given?.name ?? "protobuf";
  if (name === "protobuf") return protobuf;
  if (given?.name === name) return given;
  throw new SettingError(`setting \`codec\`: \`${name}\` has to be given in code too, by the option codec, with the tables of the schema`);
}

/**
 * The compression that is offered.
 *
 * @throws {@link SettingError} where the URL names one that code does not give.
 */
export function chosenCompression(url: ReadonlyMap<string, string>, given: Compression | undefined): Compression | undefined {
  const name = url.get("compress") ?? given?.name ?? "none";
  if (name === "none") return undefined;
  if (given?.name === name) return given;
  throw new SettingError(`setting \`compress\`: \`${name}\` has to be given in code too, by the option compress`);
}
