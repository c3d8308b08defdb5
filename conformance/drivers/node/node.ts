/**
 * The driver in Node.js: clients over every transport, servers, and control by standard input and output. With the argument `core` it
 * has clients of the core alone, and no servers.
 */

import { Status, json, messagePack } from "msip";
import { gzip, transport } from "msip/node";

import {
  TO_CLIENT,
  TO_SERVER,
  drive,
  endpoints,
  handlers,
  isKnown,
  numberOf,
  report,
  silent,
  type Report,
} from "./driver.js";
import { CORE_CLIENTS } from "./core-client.js";
import { CONFORMANCE_JSON } from "./gen/conformance.js";
import type { Serve } from "./gen/conformance_control.js";
import { ConformanceServer, type ConformancePeer } from "./gen/conformance.server.js";
import { CLIENTS } from "./versions.js";

/** The URL without settings that are given in code, and these. */
function withoutChoices(url: string): { place: string; codecs: string | null; compressions: string | null } {
  const [place = "", query] = url.split("?");
  const settings = new URLSearchParams(query);
  const [codecs, compressions] = [settings.get("codecs"), settings.get("compressions")];
  settings.delete("codecs");
  settings.delete("compressions");
  const rest = decodeURIComponent(settings.toString());
  return { place: rest === "" ? place : `${place}?${rest}`, codecs, compressions };
}

async function serve({ endpoint, url, accounts, held, attach }: Serve): Promise<Report> {
  const { place, codecs, compressions } = withoutChoices(url);
  const known = new Map(accounts.map((account) => [account.credential, account]));
  const handler = {
    ...handlers(endpoint, new Set(held), TO_SERVER, TO_CLIENT),
    onClientConnected(peer: ConformancePeer): void {
      const resumed = isKnown(peer);
      const id = numberOf(peer);
      endpoints.set(id, peer);
      const { user = "", roles = [] } = peer.connection.identity ?? {};
      report({ case: "connected", value: { endpoint, peer: id, resumed, user, roles: [...roles] } });
    },
    onClientDisconnected: (peer: ConformancePeer) => report({ case: "disconnected", value: { endpoint: numberOf(peer) } }),
  } as never;
  if (attach) {
    endpoints.set(endpoint, await ConformanceServer.attach(url, handler, { ...silent, name: "node" }));
    return { case: "serving", value: { url } };
  }
  const server = await ConformanceServer.listen(place, handler, {
    ...silent,
    name: "node",
    codecs: codecs === "protobuf" ? [] : [json(CONFORMANCE_JSON), messagePack(CONFORMANCE_JSON)],
    compressions: compressions === "none" ? [] : [gzip],
    ...(known.size > 0 && {
      authenticate: ({ credential }: { credential: Uint8Array }) => {
        const account = known.get(new TextDecoder().decode(credential));
        if (account === undefined) throw new Status("UNAUTHENTICATED", "unknown credential");
        return { user: account.user, roles: account.roles };
      },
    }),
  });
  endpoints.set(endpoint, server);
  return { case: "serving", value: { url: server.urls[0] ?? "" } };
}

const CORE_PROFILES = ["core", "codecs", "gzip", "tcp", "tls", "unix", "websocket", "versions"];
const PROFILES = [...CORE_PROFILES, "metadata", "resume", "cleared-states", "websocket-server", "topics", "services"];
const isCore = process.argv[2] === "core";

const take = drive({
  language: isCore ? "node-core" : "node",
  profiles: isCore ? CORE_PROFILES : PROFILES,
  clients: isCore ? CORE_CLIENTS : CLIENTS,
  gzip,
  transport,
  serve,
  write(report) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(report.length);
    process.stdout.write(Buffer.concat([length, report]));
  },
});

let input = Buffer.alloc(0);
process.stdin.on("data", (data: Buffer) => {
  input = Buffer.concat([input, data]);
  while (input.length >= 4 && input.length >= 4 + input.readUInt32BE()) {
    const end = 4 + input.readUInt32BE();
    const command = input.subarray(4, end);
    input = input.subarray(end);
    take(command);
  }
});
process.stdin.on("end", () => process.exit());
