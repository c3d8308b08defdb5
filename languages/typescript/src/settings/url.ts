/** URLs of services, `scheme://authority/path?settings` (docs/transports.md, "URLs"). */

import { SettingError } from "./values.js";

/** A URL, taken apart. */
export interface ServiceUrl {
  /** `tcp`, `tls`, `unix`, `ws` or `wss`, or any other. */
  readonly scheme: string;
  /** Every `host:port`, one for a server; none for a Unix socket. */
  readonly authorities: readonly string[];
  /** As it is written; empty where there is none. */
  readonly path: string;
  /** By name, unescaped. */
  readonly settings: ReadonlyMap<string, string>;
}

/** Schemes whose path is short for a topic. */
const PATH_IS_TOPIC = ["tcp", "tls"];

/**
 * Takes a URL apart.
 *
 * @throws {@link SettingError} where it is none, or a setting is named twice.
 */
export function parseUrl(text: string): ServiceUrl {
  const [, scheme, authority, path = "", query] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/i.exec(text) ?? [];
  if (scheme === undefined || authority === undefined) {
    throw new SettingError(`\`${text}\` is no URL of a service: expected scheme://host:port?setting=value`);
  }
  if (authority.includes("@")) {
    throw new SettingError("a URL must not hold a user or a password: use the option `credential`");
  }
  const settings = new Map<string, string>();
  for (const setting of (query ?? "").split("&")) {
    if (setting === "") continue;
    const at = setting.indexOf("=");
    const name = at < 0 ? setting : setting.slice(0, at);
    if (at < 0) throw new SettingError(`setting \`${name}\`: expected ${name}=value`);
    if (settings.has(name)) throw new SettingError(`setting \`${name}\` is given twice`);
    settings.set(name, unescape(name, setting.slice(at + 1)));
  }
  if (PATH_IS_TOPIC.includes(scheme) && path.length > 1) {
    if (settings.has("topic")) throw new SettingError("setting `topic`: the URL has a path, which is a topic too: give one of them");
    settings.set("topic", unescape("topic", path.slice(1)));
  }
  return { scheme, authorities: authority === "" ? [] : authority.split(","), path, settings };
}

function unescape(name: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new SettingError(`setting \`${name}\`: \`${text}\` is not percent-escaped text`);
  }
}

/**
 * Host and port of an authority: `127.0.0.1:7400`, `[::1]:7400`.
 *
 * @throws {@link SettingError} where the port is missing or no port.
 */
export function hostAndPort(authority: string): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(authority) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || host === "" || !(port <= 65_535)) {
    throw new SettingError(`\`${authority}\` is no address: expected host:port, with a port up to 65535`);
  }
  return { host, port };
}

/** Whether what is sent to this host stays on this machine. That of a `URL` has its brackets. */
export function isLoopback(host: string): boolean {
  return /^(localhost|::1|\[::1\]|127(\.\d{1,3}){3})$/.test(host) || /^::ffff:127\./i.test(host);
}
