/** Values of settings as they are written in a URL, `10s` or `4MiB`, and how settings go wrong. */

/** A URL, or a setting, that cannot be used. The text names it, and says what is accepted. */
export class SettingError extends Error {
  override readonly name = "SettingError";
}

/** What a setting accepts: its kind, and the range of its value in milliseconds, bytes or pieces. */
export type SettingForm =
  | { readonly kind: "duration" | "size" | "count"; readonly min: number; readonly max: number }
  | { readonly kind: "flag" | "text" }
  | { readonly kind: "choice"; readonly of: readonly string[] };

/** Forms by the names of their settings. */
export type SettingForms = Readonly<Record<string, SettingForm>>;

const UNITS = {
  duration: { ms: 1, s: 1000, min: 60_000, h: 3_600_000 },
  size: { "": 1, B: 1, KiB: 0x400, MiB: 0x100000, GiB: 0x40000000 },
  count: { "": 1 },
} as const;

/** What each kind of a setting is, for people. */
const EXPECTED = {
  duration: "a time such as 250ms, 10s, 5min or 1h",
  size: "a size such as 4096, 64KiB or 4MiB",
  count: "a number",
  flag: "true or false",
  text: "a text",
};

const TYPES = { duration: "number", size: "number", count: "number", flag: "boolean", text: "string" };

/**
 * Reads the value of a setting.
 *
 * @throws {@link SettingError} where it has another form, or is out of range.
 */
export function parseValue(name: string, text: string, form: SettingForm): number | boolean | string {
  const { kind } = form;
  let value: number | boolean | string = text;
  if (kind === "flag" && (text === "true" || text === "false")) value = text === "true";
  else if (kind in UNITS) value = parseNumber(text, kind as keyof typeof UNITS) ?? text;
  return checkValue(name, value, form, text);
}

/**
 * Checks a value of a setting.
 *
 * @param written What a URL has for it, which is what errors show.
 * @throws {@link SettingError} where it has another type, or is out of range.
 */
export function checkValue<T>(name: string, value: T, form: SettingForm, written?: string): T {
  const { kind } = form;
  const refuse = (what: string): SettingError => new SettingError(`setting \`${name}\`: ${what}`);
  const shown = written ?? String(value);
  if (kind === "choice" ? !form.of.includes(value as string) : typeof value !== TYPES[kind]) {
    const expected = kind === "choice" ? form.of.join(" or ") : written === undefined && kind in UNITS ? "a number" : EXPECTED[kind];
    throw refuse(`expected ${expected}, found \`${shown}\``);
  }
  // Not a number is out of every range.
  if ("min" in form && !((value as number) >= form.min && (value as number) <= form.max)) {
    throw refuse(`${shown} is out of range (${form.min} to ${form.max})`);
  }
  return value;
}

/** The number that a text says; undefined where it says none. */
function parseNumber(text: string, kind: keyof typeof UNITS): number | undefined {
  const units: Readonly<Record<string, number>> = UNITS[kind];
  const [, digits, unit = ""] = /^(\d{1,15})([a-zA-Z]*)$/.exec(text) ?? [];
  if (kind === "duration" && text === "0") return 0;
  return digits !== undefined && Object.hasOwn(units, unit) ? Number(digits) * (units[unit] as number) : undefined;
}
