// A person at a browser, in the test of chat-web: starts Chromium, opens the page, prints the lines that it shows, and types there
// what comes by standard input. It speaks Chromium's DevTools protocol over two pipes, so that nothing has to be installed for it.
"use strict";

const { spawn } = require("node:child_process");

// What runs in the page: each line that it shows is told.
const WATCH = `document.addEventListener("DOMContentLoaded", () => {
  const log = document.getElementById("log");
  for (const line of log.children) tell(line.textContent);
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const line of addedNodes) tell(line.textContent);
  }).observe(log, { childList: true });
});`;

class Browser {
  constructor(program, profile) {
    this.asked = new Map();
    this.lastId = 0;
    this.onLine = () => {};
    this.loaded = new Promise((resolve) => { this.onLoad = resolve; });
    const args = [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      `--user-data-dir=${profile}`, "--remote-debugging-pipe", "about:blank",
    ];
    this.process = spawn(program, args, { stdio: ["ignore", "ignore", "inherit", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => this.process.once("exit", resolve));
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
    if (method === "Runtime.bindingCalled") this.onLine(params.payload);
    if (method === "Page.loadEventFired") this.onLoad();
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

  async open(url) {
    const { targetId } = await this.ask("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.ask("Target.attachToTarget", { targetId, flatten: true });
    this.session = sessionId;
    await this.ask("Runtime.enable");
    await this.ask("Runtime.addBinding", { name: "tell" });
    await this.ask("Page.enable");
    await this.ask("Page.addScriptToEvaluateOnNewDocument", { source: WATCH });
    await this.ask("Emulation.setFocusEmulationEnabled", { enabled: true });
    const { errorText } = await this.ask("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await this.loaded;
  }

  async type(line) {
    await this.ask("Runtime.evaluate", { expression: 'document.getElementById("input").focus()' });
    await this.ask("Input.insertText", { text: line });
    const enter = { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 };
    await this.ask("Input.dispatchKeyEvent", { type: "keyDown", text: "\r", ...enter });
    await this.ask("Input.dispatchKeyEvent", { type: "keyUp", ...enter });
  }

  // Leaves the page first, as a person does who closes its tab.
  async close() {
    await this.ask("Page.close");
    this.session = undefined;
    this.ask("Browser.close").catch(() => {});
    await this.ended;
  }
}

async function main([program, profile, url]) {
  const browser = new Browser(program, profile);
  let isClosing = false;
  browser.ended.then((code) => {
    if (isClosing) return;
    console.log(`! the browser has ended (${code})`);
    process.exit(1);
  });
  browser.onLine = (line) => console.log(line);
  await browser.open(url);
  console.log("! the page is open");
  const lines = require("node:readline").createInterface({ input: process.stdin });
  for await (const line of lines) await browser.type(line);
  isClosing = true;
  await browser.close();
}

main(process.argv.slice(-3)).catch((error) => {
  console.log(`! ${error.stack}`);
  process.exit(1);
});
