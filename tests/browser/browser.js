// Chromium, driven by a script of Node over two pipes by its DevTools protocol, so that nothing has to be installed for it. Who requires
// it extends `Browser` by what a person does at a page.
"use strict";

const { spawn } = require("node:child_process");

class Browser {
  constructor(program, profile, options = []) {
    this.asked = new Map();
    this.lastId = 0;
    this.isClosing = false;
    const args = [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      `--user-data-dir=${profile}`, "--remote-debugging-pipe", ...options, "about:blank",
    ];
    this.process = spawn(program, args, { stdio: ["ignore", "ignore", "inherit", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.ended.then((code) => {
      if (this.isClosing) return;
      console.log(`! the browser has ended (${code})`);
      process.exit(1);
    });
    this.process.stdio[3].on("error", () => {});
    let text = "";
    this.process.stdio[4].setEncoding("utf8").on("data", (part) => {
      text += part;
      const messages = text.split("\0");
      text = messages.pop();
      for (const message of messages) this.take(JSON.parse(message));
    });
  }

  take({ id, result, error, method, params }) {
    if (method) this.onEvent(method, params);
    const asked = this.asked.get(id);
    this.asked.delete(id);
    if (error) asked?.failed(new Error(`${asked.method}: ${error.message}`));
    else asked?.answered(result);
  }

  ask(method, params = {}) {
    const id = ++this.lastId;
    const message = { id, method, params, sessionId: this.session };
    this.process.stdio[3].write(`${JSON.stringify(message)}\0`);
    return new Promise((answered, failed) => this.asked.set(id, { method, answered, failed }));
  }

  // What the browser tells by itself.
  onEvent(method, params) {}

  // What has to be asked before there is a page.
  async prepare() {}

  async open(url) {
    const { targetId } = await this.ask("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.ask("Target.attachToTarget", { targetId, flatten: true });
    this.session = sessionId;
    await this.ask("Runtime.enable");
    await this.ask("Page.enable");
    await this.prepare();
    const { errorText } = await this.ask("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
  }

  async close() {
    this.isClosing = true;
    this.session = undefined;
    this.ask("Browser.close").catch(() => {});
    await this.ended;
  }
}

// Runs a script that is given the browser, a folder for its profile, and a URL.
function run(script) {
  script(...process.argv.slice(-3)).catch((error) => {
    console.log(`! ${error.stack}`);
    process.exit(1);
  });
}

module.exports = { Browser, run };
