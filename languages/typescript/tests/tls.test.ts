/** TLS: who is trusted, and what is said where nobody is. The certificates come with the folder that the environment names. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { Status } from "../src/index.js";
import { transport } from "../src/node/index.js";
import type { ServerOptions } from "../src/server/index.js";
import { LabClient, LabServer, handlers } from "./lab.js";

const FOLDER = process.env["MSIP_TEST_CERTIFICATES"];

describe("over TLS", { skip: FOLDER === undefined && "MSIP_TEST_CERTIFICATES names no folder" }, () => {
  const file = (name: string): string => join(FOLDER ?? "", name);

  /** Serves with this certificate, and calls a client in with these settings. */
  async function echo(settings: string, { certificate = "server", server = "", scheme = "tls", options = {} as ServerOptions } = {}): Promise<string> {
    const place = `${scheme}://127.0.0.1:0${scheme === "wss" ? "/lab" : ""}`;
    const serving = await LabServer.listen(
      `${place}?cert=${file(`${certificate}.pem`)}&key=${file(`${certificate}.key`)}${server}`,
      { ...handlers, onEcho: (request, { peer }) => request + (peer.connection.identity?.user ?? "") },
      options,
    );
    try {
      const lab = await LabClient.connect(transport(`${serving.urls[0]}?${settings}`));
      try {
        return await lab.echo("hi");
      } finally {
        await lab.close();
      }
    } finally {
      await serving.close();
    }
  }

  const trusted = `ca=${file("ca.pem")}`;

  for (const scheme of ["tls", "wss"]) {
    test(`a certificate that is trusted, by ${scheme}`, async () => {
      assert.equal(await echo(trusted, { scheme }), "hi");
    });
  }

  test("certificates may come from code", async () => {
    const [cert, key] = [readFileSync(file("server.pem")), readFileSync(file("server.key"))];
    const serving = await LabServer.listen("tls://127.0.0.1:0", handlers, { tls: { cert, key } });
    const lab = await LabClient.connect(transport(serving.urls[0] ?? "", { tls: { ca: readFileSync(file("ca.pem")) } }));
    assert.equal(await lab.echo("hi"), "hi");
    await lab.close();
    await serving.close();
  });

  test("what is wrong with a certificate is said in words", async () => {
    for (const [settings, certificate, text] of [
      ["", "server", /issued by nobody who is trusted here: set ca/],
      [`ca=${file("other-ca.pem")}`, "server", /issued by nobody who is trusted here: set ca/],
      [trusted, "expired", /has expired: renew it/],
      [trusted, "elsewhere", /is not for "127.0.0.1", but for DNS:elsewhere.test: connect by such a name, or set server_name/],
      ["ca=/none.pem", "server", /setting `ca`: ENOENT/],
      [`${trusted}&cert=${file("client.pem")}`, "server", /one is of no use without the other/],
    ] as const) {
      await assert.rejects(echo(settings, { certificate }), (error: Error) => {
        assert.match(error.message, text, `${certificate} with ${settings}`);
        return true;
      });
    }
    assert.equal(await echo(`${trusted}&server_name=elsewhere.test`, { certificate: "elsewhere" }), "hi");
  });

  test("a client is known by its certificate", async () => {
    const server = `&client_ca=${file("ca.pem")}`;
    const options: ServerOptions = { authenticate: ({ certificateNames }) => ({ user: certificateNames }) };
    const own = `${trusted}&cert=${file("client.pem")}&key=${file("client.key")}`;
    assert.equal(await echo(own, { server, options }), "hiDNS:ada.test");
    await assert.rejects(echo(trusted, { server, options }), (error: Error) => {
      assert.match(error.message, /requires a client certificate: set cert and key/);
      return error instanceof Status;
    });
    await assert.rejects(echo(`${trusted}&cert=${file("stranger.pem")}&key=${file("stranger.key")}`, { server, options }), Status);
  });
});
