/** The handler of a program that no compiler has seen. */

import { SettingError } from "../settings/values.js";

/**
 * Refuses what has no methods: nothing at all, and a class in place of an object of it.
 *
 * @throws SettingError
 */
export function checkHandler(handler: unknown): void {
  if (typeof handler === "object" && handler !== null) return;
  const found = typeof handler === "function" ? `the function or class ${handler.name}` : String(handler);
  throw new SettingError(`the handler: expected an object with methods, found ${found}`);
}
