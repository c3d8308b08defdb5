/** What URLs may say, as a part of a client: settings and several addresses, or only where a WebSocket is. */

import { protobuf, type Codec, type Compression } from "../codec/index.js";
import { ConnectError } from "../errors.js";
import { plainSettings, type ClientSettings } from "../settings/defaults.js";
import { CLIENT, resolveSettings } from "../settings/settings.js";
import { SettingError } from "../settings/values.js";
import type { Transport } from "../transport/transport.js";
import { plainWebSocket, webSocket, type WebSocketClass } from "../transport/websocket.js";
import type { ClientOptions } from "./options.js";

/** What a client uses. */
export interface Choices {
  readonly settings: ClientSettings;
  readonly codec: Codec;
  readonly compression: Compression | undefined;
}

/** What a client needs for settings in URLs. */
export interface ClientUrls {
  webSocket(url: string, socketClass: WebSocketClass | undefined): Transport;
  /** Connects to one of these addresses, of which one was in use before. */
  connect(addresses: readonly string[], before: string, connect: (address: string) => Promise<void>): Promise<void>;
  /** What a URL says, else the options, else what is usual. Throws {@link SettingError}. */
  choose(url: ReadonlyMap<string, string>, options: ClientOptions): Choices;
}

/** Settings in URLs, several addresses in one, and the ranges of settings. */
export const urls: ClientUrls = {
  webSocket,
  connect: connectAnywhere,
  choose: (url, options) => ({
    settings: resolveSettings(CLIENT, url, { ...options }) as unknown as ClientSettings,
    codec: chosen("codec", url, options.codec, "protobuf") ?? protobuf,
    compression: chosen("compress", url, options.compress, "none"),
  }),
};

/** No settings in URLs: they are options in code alone. */
export const plainUrls: ClientUrls = {
  webSocket: plainWebSocket,
  connect: ([address = ""], _before, connect) => connect(address),
  choose(url, options) {
    if (url.size > 0) throw new SettingError("settings in URLs are not a part of this client");
    return { settings: plainSettings(options), codec: options.codec ?? protobuf, compression: options.compress };
  },
};

/** Tries each address, beginning with the one that was in use. */
async function connectAnywhere(addresses: readonly string[], before: string, connect: (address: string) => Promise<void>): Promise<void> {
  const known = Math.max(0, addresses.indexOf(before));
  const errors: ConnectError[] = [];
  const texts: string[] = [];
  for (const address of [...addresses.slice(known), ...addresses.slice(0, known)]) {
    try {
      return await connect(address);
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      errors.push(error);
      texts.push(`${address}: ${error.message}`);
    }
  }
  if (errors.length === 1) throw errors[0];
  throw new ConnectError("UNAVAILABLE", `no address can be connected to: ${texts.join("; ")}`, { cause: errors });
}

/** What code gives, unless the URL names the usual one. It can name no other, so that a bundle has no other. */
function chosen<T extends { readonly name: string }>(setting: string, url: ReadonlyMap<string, string>, given: T | undefined, usual: string): T | undefined {
  const name = url.get(setting) ?? given?.name ?? usual;
  if (name === usual) return undefined;
  if (given?.name === name) return given;
  throw new SettingError(`setting \`${setting}\`: \`${name}\` has to be given in code too, by the option ${setting}`);
}
