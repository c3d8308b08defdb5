/** TLS: the files of certificates, and what goes wrong in words (docs/transports.md, "TLS"). */

import { readFile } from "node:fs/promises";
import { checkServerIdentity as nodesCheck, type ConnectionOptions, type PeerCertificate } from "node:tls";

import { SettingError } from "../settings/values.js";

/** The application protocol over TLS. */
export const ALPN = "msip/1";

/** Settings of TLS, as they are in a URL: paths of PEM files. */
export const CLIENT_TLS_SETTINGS = ["ca", "cert", "key", "server_name"];
export const SERVER_TLS_SETTINGS = ["cert", "key", "client_ca", "client_auth"];

/** TLS in code, each PEM as text or bytes. Settings of the URL win. */
export interface TlsOptions {
  /** Those who may issue the server's certificate; without it, those whom Node trusts. */
  readonly ca?: string | Uint8Array;
  /** The certificate of this side, followed by those in between. */
  readonly cert?: string | Uint8Array;
  /** Its private key, not encrypted. */
  readonly key?: string | Uint8Array;
  /** The name for which the server's certificate has to be valid, where that is not the host of the URL. */
  readonly serverName?: string;
}

/** Reads the PEM files that settings of a URL name. They are read at each call, so that renewed ones are used. */
export async function readPem(settings: ReadonlyMap<string, string>, name: string, otherwise?: string | Uint8Array): Promise<Buffer | undefined> {
  const path = settings.get(name);
  if (path === undefined) return otherwise === undefined ? undefined : Buffer.from(otherwise);
  try {
    return await readFile(path);
  } catch (error) {
    throw new SettingError(`setting \`${name}\`: ${(error as Error).message}`);
  }
}

/** Options of Node for a client. */
export async function clientTls(settings: ReadonlyMap<string, string>, options: TlsOptions, host: string): Promise<ConnectionOptions> {
  const [ca, cert, key] = await Promise.all([
    readPem(settings, "ca", options.ca),
    readPem(settings, "cert", options.cert),
    readPem(settings, "key", options.key),
  ]);
  if ((cert === undefined) !== (key === undefined)) {
    throw new SettingError("settings `cert` and `key`: one is of no use without the other");
  }
  const name = settings.get("server_name") ?? options.serverName ?? host;
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    // An IP address is checked as the host, and is no server name in the hello.
    ...(/^[\d.]+$|:/.test(name) ? {} : { servername: name }),
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
    minVersion: "TLSv1.3",
  };
}

/** Says in words what an error of TLS means to a client. */
export function explainTls(error: Error, address: string): Error {
  const code = (error as { code?: string }).code ?? "";
  // Where Node.js writes before it knows, the reason is in the text alone.
  const failed = code === "EPROTO" && error.message.includes("wrong version number") ? "ERR_SSL_WRONG_VERSION_NUMBER" : code;
  const text = TEXTS.find(([codes]) => codes.includes(failed))?.[1];
  return text === undefined ? error : new Error(`${address}: ${text}`, { cause: error });
}

const TEXTS: readonly (readonly [readonly string[], string])[] = [
  [["CERT_HAS_EXPIRED"], "the server's certificate has expired: renew it"],
  [["CERT_NOT_YET_VALID"], "the server's certificate is not valid yet: look at the clocks"],
  [
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "UNABLE_TO_GET_ISSUER_CERT"],
    "the server's certificate is issued by nobody who is trusted here: set ca to the certificate of who has issued it",
  ],
  [["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG"], "the server speaks no TLS here: connect without it"],
  [
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE"],
    "the server requires a client certificate: set cert and key",
  ],
  [["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"], "the server refused the client certificate: who has issued it is not trusted there"],
  [["ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL"], "the server speaks TLS, and not MSIP"],
  [["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "ERR_SSL_UNSUPPORTED_PROTOCOL"], "the server does not speak TLS 1.3"],
];

function checkServerIdentity(name: string, certificate: PeerCertificate): Error | undefined {
  const wrong = nodesCheck(name, certificate);
  if (wrong === undefined) return undefined;
  const names = certificate.subjectaltname ?? "no name";
  return new Error(`the server's certificate is not for "${name}", but for ${names}: connect by such a name, or set server_name`, { cause: wrong });
}
