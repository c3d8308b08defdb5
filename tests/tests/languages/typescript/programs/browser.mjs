// Runs a part of a test in a page of Chromium, by playwright-core of the folder in which it is run:
//
//     node browser.mjs <program of the browser> <bundle of browser-page.ts> <URL> <part>
//
// It prints what the page tells, and "done".

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";

const { chromium } = createRequire(join(process.cwd(), "index.js"))("playwright-core");
const [program, bundle, url, part] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Calls a function of the page. */
const run = (page, name, ...args) => page.evaluate(([name, args]) => globalThis.page[name](...args), [name, args]);

const PARTS = {
  /** Every shape, over a connection with a window that is used up many times. */
  async everything(page) {
    await run(page, "connect", url);
    assert.deepEqual(await run(page, "everything"), [
      "grüße 200000",
      "who? page",
      "599500",
      "599500",
      "A",
      "B",
      "CANCELLED",
      "NOT_FOUND: no such thing",
    ]);
    await run(page, "close");
  },

  /** Deliveries, while the connection is cut once for each line of input. */
  async reconnect(page) {
    // What is sent before the page is back waits.
    await run(page, "connect", url, { bufferDisconnected: 65_536 });
    for (let first = 100; !(await lines.next()).done; first += 20) {
      assert.equal(await run(page, "deliver", first, 20), 20);
      console.log("sent");
    }
    assert.equal(await run(page, "echo", "hi"), "hi");
    await run(page, "close");
  },

  /** A hidden page, whose timers are a minute late: it answers pings all the same, and stays, until there is a line of input. */
  async hidden(page) {
    await page.evaluate(() => {
      const { setTimeout } = globalThis;
      globalThis.setTimeout = (run, ms, ...args) => setTimeout(run, ms + 60_000, ...args);
    });
    await run(page, "connect", url);
    await lines.next();
    assert.equal(await run(page, "state"), "connected");
    assert.equal(await run(page, "echo", "hi"), "hi");
  },
};

/** Where a program is. */
const found = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, program));
const browser = await chromium.launch({ executablePath: found.find((path) => existsSync(path)) ?? program, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.log(`! ${error.stack}`));
  await page.exposeFunction("tell", (line) => console.log(line));
  await page.addScriptTag({ path: bundle });
  await PARTS[part](page);
} finally {
  await browser.close();
}
console.log("done");
// Its input may be open still.
process.exit();
