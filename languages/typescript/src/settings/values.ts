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
  size: { "": 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 },
  count: { "": 1 },
} as const;

/**
 * Reads the value of a setting.
 *
 * @throws {@link SettingError} where it has another form, or is out of range.
 */
export function parseValue(name: string, text: string, form: SettingForm): number | boolean | string {
  switch (form.kind) {
    case "text":
      return text;
    case "flag":
      if (text !== "true" && text !== "false") throw malformed(name, "true or false", text);
      return text === "true";
    case "choice":
      if (!form.of.includes(text)) throw malformed(name, form.of.join(" or "), text);
      return text;
    default:
      return checkRange(name, parseNumber(name, text, form.kind), form, text);
  }
}

/**
 * Checks a value that code gives for a setting.
 *
 * @throws {@link SettingError} where it has another type, or is out of range.
 */
export function checkValue(name: string, value: unknown, form: SettingForm): void {
  switch (form.kind) {
    case "text":
    case "flag":
      if (typeof value !== (form.kind === "flag" ? "boolean" : "string")) {
        throw malformed(name, form.kind === "flag" ? "true or false" : "a text", value);
      }
      return;
    case "choice":
      if (!form.of.includes(value as string)) throw malformed(name, form.of.join(" or "), value);
      return;
    default:
      if (typeof value !== "number") throw malformed(name, "a number", value);
      checkRange(name, value, form, value);
  }
}

function parseNumber(name: string, text: string, kind: keyof typeof UNITS): number {
  const units: Readonly<Record<string, number>> = UNITS[kind];
  const [, digits, unit] = /^(\d{1,15})([a-zA-Z]*)$/.exec(text) ?? [];
  if (kind === "duration" && text === "0") return 0;
  if (digits === undefined || unit === undefined || !Object.hasOwn(units, unit)) {
    const forms = { duration: "a time such as 250ms, 10s, 5min or 1h", size: "a size such as 4096, 64KiB or 4MiB", count: "a number" };
    throw malformed(name, forms[kind], text);
  }
  return Number(digits) * (units[unit] ?? 1);
}

function checkRange(name: string, value: number, form: { min: number; max: number }, shown: unknown): number {
  // Not a number is out of every range.
  if (value >= form.min && value <= form.max) return value;
  throw new SettingError(`setting \`${name}\`: ${String(shown)} is out of range (${form.min} to ${form.max})`);
}

function malformed(name: string, form: string, value: unknown): SettingError {
  return new SettingError(`setting \`${name}\`: expected ${form}, found \`${String(value)}\``);
}
