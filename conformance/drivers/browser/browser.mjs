// The driver of browsers: starts Chromium, and takes commands to the driver in its page and reports back. Its arguments are the
// program of Chromium, a folder for profiles, and the bundle of page.ts.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import chromium from "../../../tests/browser/browser.js";

// Standard output has reports alone.
console.log = console.error;

class DriverBrowser extends chromium.Browser {
  constructor(program, profile) {
    super(program, profile);
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

chromium.run(async (program, profiles, bundle) => {
  const browser = new DriverBrowser(program, join(profiles, `chromium-${process.pid}`));
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
  await browser.close();
});
