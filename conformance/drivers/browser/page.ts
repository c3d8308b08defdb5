/** The driver in a page: clients over WebSockets. browser.mjs calls `driver.take` with commands, and is told reports. */

import { drive } from "../node/driver.js";
import { CLIENTS } from "../node/versions.js";

/** Tells browser.mjs a report, in Base64. */
declare function tell(report: string): void;

/** More than this are too many arguments for one call. */
const MAX_ARGUMENTS = 32 * 1024;

const takeBytes = drive({
  language: "browser",
  profiles: ["core", "metadata", "resume", "codecs", "cleared-states", "versions", "tls", "websocket", "topics"],
  clients: CLIENTS,
  transport: (url) => url,
  write(report) {
    let text = "";
    for (let at = 0; at < report.length; at += MAX_ARGUMENTS) text += String.fromCharCode(...report.subarray(at, at + MAX_ARGUMENTS));
    tell(btoa(text));
  },
});

/** Takes a command, in Base64. */
export const take = (command: string): void => takeBytes(Uint8Array.from(atob(command), (letter) => letter.charCodeAt(0)));
