/** Settings in URLs, and what is checked of them and of options (docs/operations.md, "Settings"). */

import { DEFAULTS } from "./defaults.js";
import { SettingError, checkValue, parseValue, type SettingForm, type SettingForms } from "./values.js";

/** A form, and the value where nothing is set, unless that is one of `DEFAULTS`. */
export type Setting = SettingForm & { readonly standard?: number | boolean | string | undefined };

/** Settings by name, as they are in a URL. */
export type Settings = Readonly<Record<string, Setting>>;

const KIB = 2 ** 10;
const GIB = 2 ** 30;
const HOUR = 3_600_000;

function number(kind: "duration" | "size" | "count", min: number, max: number, standard?: number): Setting {
  return { kind, min, max, standard };
}

/** One of these, the first where nothing is set. */
export function choice(...of: readonly [string, ...string[]]): Setting {
  return { kind: "choice", of, standard: of[0] };
}

/** How many milliseconds, sizes and counts are written. */
export const duration = number.bind(null, "duration");
export const size = number.bind(null, "size");
export const count = number.bind(null, "count");

/** Settings of clients and servers. */
export const CONNECTION: Settings = {
  max_body: size(KIB, GIB),
  max_decoded: size(0, 64 * GIB),
  handshake_timeout: duration(10, 600_000),
  ping_interval: duration(10, HOUR),
  call_timeout: duration(1, 24 * HOUR),
  max_calls: count(1, 32_768),
  max_call_bytes: size(KIB, 16 * GIB),
  outgoing_queue: size(64 * KIB, GIB),
  write_timeout: duration(10, HOUR),
  drain_timeout: duration(0, 24 * HOUR),
  stream_drain: duration(0, 24 * HOUR),
  session_buffer: size(4 * KIB, 16 * GIB),
  session_deliveries: count(1, 1_000_000),
  compress_threshold: size(1, GIB),
  insecure: { kind: "flag" },
};

/** Settings of clients, as in a URL. */
export const CLIENT: Settings = {
  ...CONNECTION,
  codec: choice("protobuf", "json", "msgpack"),
  compress: choice("none", "gzip", "zstd"),
  connect_timeout: duration(10, 600_000),
  login_timeout: duration(10, HOUR),
  address_order: choice("listed", "random"),
  reconnect_min: duration(1, HOUR),
  reconnect_max: duration(1, 24 * HOUR),
  buffer_disconnected: size(0, 16 * GIB),
  topic: { kind: "text" },
};

/** In code these are objects, and no settings. */
const OBJECTS: readonly string[] = ["codec", "compress"];

/** What Rust's clients and servers have, and this package has not. */
const ELSEWHERE =
  "correlation_ids channel max_auth_failures drain_spread codecs compressions compressions_for proxy_from";

/** `max_body` is the option `maxBody`, and `ping_interval`, a time, `pingIntervalMs`. */
function optionName(name: string, setting: Setting): string {
  const camel = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  return setting.kind === "duration" ? `${camel}Ms` : camel;
}

/**
 * The settings in force: what the URL says, else what the options say, else what is usual.
 *
 * @param also Names that somebody else reads, such as a transport.
 * @throws {@link SettingError} for a name that is unknown, or a value that is not accepted.
 */
export function resolveSettings(
  table: Settings,
  url: ReadonlyMap<string, string>,
  options: Readonly<Record<string, unknown>>,
  also: readonly string[] = [],
): Record<string, number | boolean | string> {
  const settings: Record<string, number | boolean | string> = {};
  for (const [name, setting] of Object.entries(table)) {
    const option = optionName(name, setting);
    const text = url.get(name);
    const given = options[option];
    if (text !== undefined) settings[option] = parseValue(name, text, setting);
    else if (given === undefined || OBJECTS.includes(name)) settings[option] = setting.standard ?? DEFAULTS[option as keyof typeof DEFAULTS];
    else settings[option] = checkValue(option, given as number, setting);
  }
  refuseUnknown(url, { ...table }, also);
  return settings;
}

/**
 * Refuses settings of a URL that nobody reads.
 *
 * @throws {@link SettingError} which names the first of them.
 */
export function refuseUnknown(url: ReadonlyMap<string, string>, known: SettingForms, also: readonly string[] = []): void {
  for (const name of url.keys()) {
    if (Object.hasOwn(known, name) || also.includes(name)) continue;
    if (name === "token" || name === "credential") {
      throw new SettingError(`setting \`${name}\`: a URL must not hold a secret: use the option \`credential\``);
    }
    if (ELSEWHERE.split(" ").includes(name)) {
      throw new SettingError(`setting \`${name}\`: TypeScript's clients and servers do not have it`);
    }
    throw new SettingError(`unknown setting \`${name}\`: expected one of ${[...Object.keys(known), ...also].sort().join(", ")}`);
  }
}
