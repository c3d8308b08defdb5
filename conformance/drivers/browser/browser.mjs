// The driver of browsers: starts Chromium, and takes commands to the driver in its page and reports back. Its arguments are the
// program of Chromium, the folder of the run, and the bundle of page.ts. It ends with its input, and leaves nothing behind.
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import chromium from "../../../tests/browser/browser.js";

// Standard output has reports alone.
console.log = console.error;

class DriverBrowser extends chromium.Browser {
  constructor(...args) {
    super(...args);
    this.loaded = new Promise((resolve) => { this.onLoad = resolve; });
  }

  onEvent(method, params) {
    if (method === "Page.loadEventFired") this.onLoad();
    if (method === "Runtime.bindingCalled") {
      const report = Buffer.from(params.payload, "base64");
      const length = Buffer.alloc(4);
      length.writeUInt32BE(report.length);
      process.stdout.write(Buffer.concat([length, report]));
    }
    if (method === "Runtime.exceptionThrown") console.error(params.exceptionDetails.exception?.description);
  }

  async prepare() {
    await this.ask("Runtime.addBinding", { name: "tell" });
  }

  async evaluate(expression) {
    const { exceptionDetails } = await this.ask("Runtime.evaluate", { expression });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  }
}

// What lets Chromium take certificates that the authority of the run has issued: a page cannot say whom it trusts.
function trust(folder) {
  const { publicKey } = new X509Certificate(readFileSync(join(folder, "ca.pem")));
  const hash = createHash("sha256").update(publicKey.export({ type: "spki", format: "der" })).digest("base64");
  return `--ignore-certificate-errors-spki-list=${hash}`;
}

async function drive(browser, bundle) {
  await browser.open(new URL("page.html", import.meta.url).href);
  await browser.loaded;
  await browser.evaluate(readFileSync(bundle, "utf8"));
  let input = Buffer.alloc(0);
  for await (const data of process.stdin) {
    input = Buffer.concat([input, data]);
    while (input.length >= 4 && input.length >= 4 + input.readUInt32BE()) {
      const end = 4 + input.readUInt32BE();
      const command = input.subarray(4, end).toString("base64");
      input = input.subarray(end);
      // The page takes commands in their order, so none waits for the one before it.
      browser.evaluate(`driver.take("${command}")`).catch((error) => console.error(error.stack));
    }
  }
}

chromium.run(async (program, folder, bundle) => {
  const profile = mkdtempSync(join(folder, "chromium-"));
  const remove = () => rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  // However this process ends by itself, a browser that has crashed included.
  process.on("exit", remove);
  const browser = new DriverBrowser(program, profile, [trust(folder)]);
  try {
    await drive(browser, bundle);
  } finally {
    await browser.close();
  }
});
