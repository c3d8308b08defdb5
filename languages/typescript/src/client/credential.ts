/** What a client says of who it is. */

import { ConnectError } from "../errors.js";
import type { Credential } from "./options.js";

const MAX_LEN = 6 * 1024;

/**
 * The credential for one attempt to connect.
 *
 * @throws ConnectError where it is too long, or its function fails.
 */
export async function readCredential(credential: Credential | undefined): Promise<Uint8Array | undefined> {
  if (credential === undefined) return undefined;
  let value: string | Uint8Array;
  try {
    value = typeof credential === "function" ? await credential() : credential;
  } catch (error) {
    throw new ConnectError("UNAVAILABLE", "the credential's function has failed", { cause: error });
  }
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  if (bytes.length > MAX_LEN) throw new ConnectError("INVALID_ARGUMENT", `the credential has ${bytes.length} bytes: ${MAX_LEN} are allowed`);
  return bytes;
}
